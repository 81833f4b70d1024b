//! Makes `proto/API.md` of the contract: every RPC, message and enum, in the order of the file.

use std::fmt::Write as _;

use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MethodDescriptorProto,
};

use crate::comments::{Comments, ENUM, MESSAGE, Rpc, SERVICE, SYNTAX};
use crate::surface::{bare, type_of};

pub fn render(file: &FileDescriptorProto) -> String {
    let page = Page { package: format!("{}.", file.package()), comments: Comments::of(file) };
    let mut out = String::from("# API reference\n\n");
    out += "Made of the comments in [control.proto](proto/causeway/v1/control.proto) by a test, which fails\n\
            where this page is another. To change it, change them.\n\n";
    out += page.comments.at(&[SYNTAX]);
    out += "\n\n";
    page.contents(file, &mut out);
    out += "## Methods\n\n";
    for (at, method) in file.service[0].method.iter().enumerate() {
        page.method(method, &Rpc::of(page.comments.member(SERVICE, 0, at)), &mut out);
    }
    out += "## Messages\n\n";
    for (at, message) in file.message_type.iter().enumerate() {
        page.message(at, message, &mut out);
    }
    out += "## Enums\n\n";
    for (at, of) in file.enum_type.iter().enumerate() {
        page.enumeration(at, of, &mut out);
    }
    out.trim_end().to_owned() + "\n"
}

struct Page {
    /// With the dot behind it.
    package: String,
    comments: Comments,
}

impl Page {
    fn contents(&self, file: &FileDescriptorProto, out: &mut String) {
        *out += "| method | role | does |\n| --- | --- | --- |\n";
        for (at, method) in file.service[0].method.iter().enumerate() {
            let rpc = Rpc::of(self.comments.member(SERVICE, 0, at));
            let does = cell(first_sentence(&rpc.text));
            let _ = writeln!(out, "| {} | {} | {does} |", link(method.name()), rpc.role);
        }
        let messages: Vec<_> = file.message_type.iter().map(|of| link(of.name())).collect();
        let enums: Vec<_> = file.enum_type.iter().map(|of| link(of.name())).collect();
        let _ = write!(out, "\nMessages: {}.\n\n", messages.join(", "));
        let _ = write!(out, "Enums: {}.\n\n", enums.join(", "));
    }

    fn method(&self, method: &MethodDescriptorProto, rpc: &Rpc, out: &mut String) {
        let _ = write!(out, "### {}\n\n{}\n\n", method.name(), rpc.text);
        let side = |streaming, name| {
            format!("{}{}", if streaming { "stream of " } else { "" }, self.shown(bare(name)))
        };
        let sent = side(method.client_streaming(), method.input_type());
        let answered = side(method.server_streaming(), method.output_type());
        let errors = if rpc.errors.is_empty() { "none of its own" } else { &rpc.errors };
        *out += "| request | response | role | errors |\n| --- | --- | --- | --- |\n";
        let _ = write!(out, "| {sent} | {answered} | {} | {} |\n\n", rpc.role, cell(errors));
    }

    fn message(&self, at: usize, message: &DescriptorProto, out: &mut String) {
        heading(message.name(), self.comments.top(MESSAGE, at), out);
        if message.field.is_empty() {
            *out += "No fields.\n\n";
            return;
        }
        *out += "| # | field | type | meaning |\n| --- | --- | --- | --- |\n";
        for (member, field) in message.field.iter().enumerate() {
            let (number, name) = (field.number(), field.name());
            let kind = self.field_type(message, field);
            let meaning = cell(self.comments.member(MESSAGE, at, member));
            let _ = writeln!(out, "| {number} | `{name}` | {kind} | {meaning} |");
        }
        *out += "\n";
    }

    fn enumeration(&self, at: usize, of: &EnumDescriptorProto, out: &mut String) {
        heading(of.name(), self.comments.top(ENUM, at), out);
        *out += "| # | value | meaning |\n| --- | --- | --- |\n";
        for (member, value) in of.value.iter().enumerate() {
            let meaning = cell(self.comments.member(ENUM, at, member));
            let _ = writeln!(out, "| {} | `{}` | {meaning} |", value.number(), value.name());
        }
        *out += "\n";
    }

    fn field_type(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
        let kind = self.shown(&type_of(message, field));
        match field.oneof_index {
            Some(_) if field.proto3_optional() => format!("optional {kind}"),
            Some(at) => {
                let group = usize::try_from(at).ok().and_then(|at| message.oneof_decl.get(at));
                format!("{kind}, one of `{}`", group.map_or("", |group| group.name()))
            }
            None if field.label() == Label::Repeated && !kind.starts_with("map") => {
                format!("repeated {kind}")
            }
            None => kind,
        }
    }

    /// A type of this page as a link, another as it is.
    fn shown(&self, name: &str) -> String {
        match name.strip_prefix(&self.package) {
            Some(own) => link(own),
            None => name.replace('<', "&lt;").replace('>', "&gt;"),
        }
    }
}

fn heading(name: &str, comment: &str, out: &mut String) {
    let _ = write!(out, "### {name}\n\n");
    if !comment.is_empty() {
        let _ = write!(out, "{comment}\n\n");
    }
}

/// Headings' anchors are their words in lower case.
fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").or_else(|| text.find(".\n"));
    end.map_or(text, |end| &text[..=end])
}

mod tests {
    use std::collections::BTreeSet;

    use crate::contract;

    /// Two of one name would share an anchor, and one of them could not be reached.
    #[test]
    fn every_link_of_the_page_leads_to_a_heading_of_its_own() {
        let page = super::render(&contract());
        let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
        let headings: Vec<_> = headings.map(str::to_lowercase).collect();
        let known: BTreeSet<_> = headings.iter().map(String::as_str).collect();
        assert_eq!(known.len(), headings.len());
        let links: Vec<_> =
            page.split("](#").skip(1).filter_map(|link| link.split(')').next()).collect();
        assert!(links.len() > 100, "{}", links.len());
        for link in links {
            assert!(known.contains(link), "{link}");
        }
    }
}
