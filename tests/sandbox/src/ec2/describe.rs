//! What all Describe operations have in common: filters with wildcards, and pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination>

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::api::Refused;
use crate::query::Form;

/// `Filter.N.Name` and `Filter.N.Value.M`: all names have to match, each by one of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub(super) fn of(form: &Form) -> Self {
        let members = form.members("Filter").into_iter();
        Self(
            members
                .map(|filter| {
                    let values = filter.list("Value").into_iter().map(str::to_owned).collect();
                    (filter.get("Name").unwrap_or_default().to_owned(), values)
                })
                .collect(),
        )
    }

    /// Whether a resource passes; `values` answers what it has by a filter's name, or that there is no
    /// such filter.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a filter that is not known.
    pub(super) fn pass(
        &self,
        values: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, Refused> {
        let mut passes = true;
        for (name, patterns) in &self.0 {
            let Some(has) = values(name) else {
                let message = format!("The filter '{name}' is invalid");
                return Err(Refused::new("InvalidParameterValue", message));
            };
            passes &= has.iter().any(|value| patterns.iter().any(|p| matches(p, value)));
        }
        Ok(passes)
    }
}

/// `*` stands for any characters, `?` for one, and a backslash takes their meaning away.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // Which lengths of the text the pattern so far can match.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        at += 1;
        if c == '*' {
            let first = ends.iter().position(|end| *end).unwrap_or(ends.len());
            ends[first..].fill(true);
            continue;
        }
        let escaped = if c == '\\' { pattern.get(at).copied() } else { None };
        at += usize::from(escaped.is_some());
        let fits = |t: char| match escaped {
            Some(literal) => t == literal,
            None => c == '?' || t == c,
        };
        for end in (1..ends.len()).rev() {
            ends[end] = ends[end - 1] && fits(text[end - 1]);
        }
        ends[0] = false;
    }
    ends[text.len()]
}

/// The page that `MaxResults` and `NextToken` ask for, in ascending `order`, and the next one's token.
///
/// # Errors
/// `InvalidParameterValue`, `InvalidNextToken`.
pub(super) fn page<T>(
    form: &Form,
    items: Vec<T>,
    order: impl Fn(&T) -> String,
    allowed: RangeInclusive<usize>,
) -> Result<(Vec<T>, Option<String>), Refused> {
    let max = form.parsed::<usize>("MaxResults")?;
    if max.is_some_and(|max| !allowed.contains(&max)) {
        let message = format!(
            "Value for parameter MaxResults is invalid. Expecting a value between {} and {}.",
            allowed.start(),
            allowed.end()
        );
        return Err(Refused::new("InvalidParameterValue", message));
    }
    let operation = form.get("Action").unwrap_or_default();
    let after = match form.get("NextToken").filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let bytes = BASE64.decode(token).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let after = text.as_deref().and_then(|t| t.strip_prefix(operation)?.strip_prefix(':'));
            let invalid = || Refused::new("InvalidNextToken", "The token is not valid.");
            Some(after.ok_or_else(invalid)?.to_owned())
        }
    };
    let mut rest: Vec<(String, T)> = items.into_iter().map(|item| (order(&item), item)).collect();
    rest.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    let max = max.unwrap_or(*allowed.end());
    let next = match rest.len() > max {
        true => rest.get(max - 1).map(|(key, _)| BASE64.encode(format!("{operation}:{key}"))),
        false => None,
    };
    rest.truncate(max);
    Ok((rest.into_iter().map(|(_, item)| item).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_ec2s_do() {
        for (pattern, text, expected) in [
            ("golden-*", "golden-2026", true),
            ("golden-*", "golde", false),
            ("*", "", true),
            ("g?ld*n", "golden", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn pages_give_every_item_once() {
        let items: Vec<u32> = (0..23).rev().collect();
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let form = Form::parse(&format!("Action=D&MaxResults=5&NextToken={token}"));
            let order = |n: &u32| format!("{n:04}");
            let (rows, next) = page(&form, items.clone(), order, 5..=1000).unwrap();
            assert!(rows.len() <= 5);
            seen.extend(rows);
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(seen, (0..23).collect::<Vec<_>>());
        let foreign = Form::parse(&format!("Action=E&NextToken={token}"));
        let refused = page(&foreign, items.clone(), |n| n.to_string(), 5..=1000).unwrap_err();
        assert_eq!(refused.code, "InvalidNextToken");
        let few = Form::parse("Action=D&MaxResults=4");
        let refused = page(&few, items, |n| n.to_string(), 5..=1000).unwrap_err();
        assert_eq!(refused.code, "InvalidParameterValue");
    }

    #[test]
    fn every_filter_has_to_pass_by_one_of_its_values() {
        let form = Form::parse(
            "Filter.1.Name=name&Filter.1.Value.1=x&Filter.1.Value.2=a*&Filter.2.Name=state&\
             Filter.2.Value.1=available",
        );
        let has = |state: &'static str| {
            move |name: &str| match name {
                "name" => Some(vec!["ab".to_owned()]),
                "state" => Some(vec![state.to_owned()]),
                _ => None,
            }
        };
        let filters = Filters::of(&form);
        assert_eq!(filters.pass(has("available")), Ok(true));
        assert_eq!(filters.pass(has("pending")), Ok(false));
        let unknown = Filters::of(&Form::parse("Filter.1.Name=no&Filter.1.Value.1=x"));
        assert_eq!(unknown.pass(has("")).unwrap_err().code, "InvalidParameterValue");
    }
}
