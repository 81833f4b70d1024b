//! The Query protocol of EC2 and STS: a form with numbered parameters in, XML out.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use crate::api::Refused;

/// A request's parameters, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded` text, of a body or of a query string.
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// # Errors
    /// `MissingParameter`.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let message = format!("The request must contain the parameter {name}");
            Refused::new("MissingParameter", message)
        })
    }

    /// True, false, or false when absent.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refused> {
        Ok(self.parsed(name)?.unwrap_or(false))
    }

    /// # Errors
    /// `InvalidParameterValue`.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let message = format!("Value ({text}) for parameter {name} is invalid.");
            Refused::new("InvalidParameterValue", message)
        })
    }

    /// The values of `NAME.1`, `NAME.2`, …
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let numbers = self.numbers(name).into_iter();
        numbers.filter_map(|n| self.get(&format!("{name}.{n}"))).collect()
    }

    /// What stands below `NAME.1.`, `NAME.2.`, …
    pub(crate) fn members(&self, name: &str) -> Vec<Self> {
        let numbers = self.numbers(name).into_iter();
        numbers.map(|n| self.below(&format!("{name}.{n}"))).collect()
    }

    /// What stands below `NAME.`; empty when there is nothing.
    pub(crate) fn below(&self, name: &str) -> Self {
        let below = |key: &str| Some(key.strip_prefix(name)?.strip_prefix('.')?.to_owned());
        Self(self.0.iter().filter_map(|(key, v)| Some((below(key)?, v.clone()))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn numbers(&self, name: &str) -> BTreeSet<u32> {
        let number = |key: &String| {
            let rest = key.strip_prefix(name)?.strip_prefix('.')?;
            rest.split('.').next()?.parse().ok()
        };
        self.0.keys().filter_map(number).collect()
    }
}

/// Writes what is particular to an answer.
pub(crate) type Written = Box<dyn FnOnce(&mut Xml) + Send>;

/// An XML document in the making.
pub(crate) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// `<ROOT xmlns="NAMESPACE">…</ROOT>`; without a namespace, none is named.
    pub(crate) fn document(
        root: &str,
        namespace: Option<&str>,
        content: impl FnOnce(&mut Self),
    ) -> Vec<u8> {
        let mut xml = Self(Writer::new(Vec::new()));
        let mut start = BytesStart::new(root);
        if let Some(namespace) = namespace {
            start.push_attribute(("xmlns", namespace));
        }
        xml.write(Event::Decl(quick_xml::events::BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml.write(Event::Start(start));
        content(&mut xml);
        xml.write(Event::End(BytesEnd::new(root)));
        xml.0.into_inner()
    }

    /// `<NAME>TEXT</NAME>`.
    pub(crate) fn leaf(&mut self, name: &str, text: impl Display) {
        self.write(Event::Start(BytesStart::new(name)));
        self.write(Event::Text(BytesText::new(&text.to_string())));
        self.write(Event::End(BytesEnd::new(name)));
    }

    /// The same, if there is a text.
    pub(crate) fn leaf_if(&mut self, name: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    /// `<NAME>…</NAME>`.
    pub(crate) fn node(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.write(Event::Start(BytesStart::new(name)));
        content(self);
        self.write(Event::End(BytesEnd::new(name)));
    }

    /// `<NAME><item>…</item>…</NAME>`, as EC2 writes lists.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) {
        self.node(name, |xml| {
            for item in items {
                xml.node("item", |xml| content(xml, item));
            }
        });
    }

    fn write(&mut self, event: Event<'_>) {
        // Memory takes everything.
        let _ = self.0.write_event(event);
    }
}

/// An error as EC2 writes it.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub(crate) fn ec2_error(refused: &Refused, request_id: &str) -> (StatusCode, Vec<u8>) {
    let xml = Xml::document("Response", None, |xml| {
        xml.node("Errors", |xml| {
            xml.node("Error", |xml| {
                xml.leaf("Code", &refused.code);
                xml.leaf("Message", &refused.message);
            });
        });
        xml.leaf("RequestID", request_id);
    });
    (refused.status, xml)
}

/// An error as STS writes it.
pub(crate) fn sts_error(refused: &Refused, request_id: &str) -> (StatusCode, Vec<u8>) {
    let fault = if refused.status.is_server_error() { "Receiver" } else { "Sender" };
    let namespace = Some("https://sts.amazonaws.com/doc/2011-06-15/");
    let xml = Xml::document("ErrorResponse", namespace, |xml| {
        xml.node("Error", |xml| {
            xml.leaf("Type", fault);
            xml.leaf("Code", &refused.code);
            xml.leaf("Message", &refused.message);
        });
        xml.leaf("RequestId", request_id);
    });
    (refused.status, xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_parameters_are_read_in_the_order_of_their_numbers() {
        let form = Form::parse("ImageId.10=c&ImageId.2=b&ImageId.1=a+%26&Filter.1.Value.1=x");
        assert_eq!(form.list("ImageId"), ["a &", "b", "c"]);
        assert_eq!(form.members("Filter")[0].list("Value"), ["x"]);
        assert_eq!(form.list("Image"), [""; 0]);
        assert_eq!(form.need("Bucket").unwrap_err().code, "MissingParameter");
        assert_eq!(Form::parse("a=maybe").flag("a").unwrap_err().code, "InvalidParameterValue");
    }

    /// A description is anybody's text.
    #[test]
    fn text_cannot_break_the_document() {
        let xml = Xml::document("R", Some("urn:x"), |xml| {
            xml.list("set", ["<a>&\"b\""], |xml, text| xml.leaf("text", text));
        });
        let text = String::from_utf8(xml).unwrap();
        assert!(text.contains("<R xmlns=\"urn:x\"><set><item><text>&lt;a&gt;&amp;"), "{text}");
        assert!(text.ends_with("</text></item></set></R>"), "{text}");
    }
}
