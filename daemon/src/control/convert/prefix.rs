//! From a prefix to one submission for each object below it.

use causeway_proto::v1;

use super::{Invalid, quoted, submit};
use crate::control::engine::Defaults;
use crate::model::{Address, ObjectAddress, Submission, TransferSpec};

/// The longest pattern that is taken: matching costs its length times the key's.
const PATTERN_BYTES_MAX: usize = 1024;

/// A prefix to carry: where from, where to, and everything else that each of its objects gets.
#[derive(Debug, Clone)]
pub struct Prefix {
    source: ObjectAddress,
    target: ObjectAddress,
    include: Glob,
    template: Submission,
}

impl Prefix {
    /// Reads a request.
    ///
    /// # Errors
    /// The first field that cannot be taken.
    pub fn new(request: v1::SubmitRequest, include: &str, to: Defaults) -> Result<Self, Invalid> {
        let transfer = submit::transfer_of(&request)?;
        if transfer.expect_blake3.is_some() {
            return Err(Invalid::new(
                "transfer.expect_blake3",
                "one digest cannot be that of every object below a prefix: leave it out",
            ));
        }
        let source = source_prefix(&transfer.source)?;
        let target = target_prefix(&transfer.target)?;
        check_apart(&source, &target)?;
        let address = Address::Object(source.clone());
        let template = submit::submission_of(request, address, target.clone(), to)?;
        Ok(Self { source, target, include: Glob::new(include)?, template })
    }

    /// The prefix to list.
    pub fn source(&self) -> &ObjectAddress {
        &self.source
    }

    /// The submission that all objects share, with the prefixes as its addresses.
    pub fn template(&self) -> &Submission {
        &self.template
    }

    /// Whether the object of this key is to be carried. A key that ends with `/` is a console's
    /// folder marker: it holds nothing, and its target would be a prefix.
    pub fn takes(&self, key: &str) -> bool {
        let below = key.strip_prefix(&self.source.key);
        below.is_some_and(|below| !key.ends_with('/') && self.include.matches(below))
    }

    /// The submission of one object.
    ///
    /// # Errors
    /// Where its key cannot be one at the target.
    pub fn submission(&self, key: &str) -> Result<Submission, Invalid> {
        let below = key.strip_prefix(&self.source.key).unwrap_or(key);
        let target =
            self.target.join(below).map_err(|fault| Invalid::new("transfer.target", fault))?;
        let mut submission = self.template.clone();
        let source = ObjectAddress { key: key.to_owned(), ..self.source.clone() };
        submission.spec = submission.spec.map(|spec| TransferSpec {
            source: Address::Object(source),
            target,
            ..spec
        });
        if let Some(idempotency_key) = &mut submission.idempotency_key {
            idempotency_key.push_str(key);
        }
        Ok(submission)
    }
}

fn source_prefix(text: &str) -> Result<ObjectAddress, Invalid> {
    match submit::address("transfer.source", text)? {
        Address::Object(source) if source.is_prefix() => Ok(source),
        Address::Object(_) => Err(not_a_prefix("transfer.source", text)),
        Address::Presigned(url) => Err(Invalid::new(
            "transfer.source",
            format_args!("{url} is presigned and names one object: submit it by itself"),
        )),
    }
}

fn target_prefix(text: &str) -> Result<ObjectAddress, Invalid> {
    let target = submit::target_address(text)?;
    if target.is_prefix() { Ok(target) } else { Err(not_a_prefix("transfer.target", text)) }
}

fn not_a_prefix(field: &'static str, text: &str) -> Invalid {
    let fault = format_args!("{} is not a prefix: end it with '/'", quoted(text));
    Invalid::new(field, fault)
}

/// A target inside its source would be listed while it fills, and never end.
fn check_apart(source: &ObjectAddress, target: &ObjectAddress) -> Result<(), Invalid> {
    let same_bucket = source.remote == target.remote && source.bucket == target.bucket;
    if same_bucket && target.key.starts_with(&source.key) {
        return Err(Invalid::new(
            "transfer.target",
            format_args!("'{target}' lies within the source '{source}': name another prefix"),
        ));
    }
    Ok(())
}

/// A pattern: `*` is any run of characters, `?` is one, all else is itself.
#[derive(Debug, Clone)]
struct Glob(Vec<char>);

impl Glob {
    /// Reads a pattern; an empty one takes everything.
    ///
    /// # Errors
    /// Where it is too long.
    fn new(pattern: &str) -> Result<Self, Invalid> {
        if pattern.len() > PATTERN_BYTES_MAX {
            let fault = format_args!("it is {} bytes long: use at most 1024", pattern.len());
            return Err(Invalid::new("include", fault));
        }
        Ok(Self(if pattern.is_empty() { vec!['*'] } else { pattern.chars().collect() }))
    }

    /// Whether the whole text fits.
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut read) = (0, 0);
        // Where the last `*` stands, and how much of the text it has taken. Only the last one is
        // ever tried again: what an earlier one could give, the last can too.
        let mut star: Option<(usize, usize)> = None;
        while read < text.len() {
            match (self.0.get(at), star) {
                (Some('*'), _) => {
                    star = Some((at, read));
                    at += 1;
                }
                (Some(&c), _) if c == '?' || c == text[read] => {
                    at += 1;
                    read += 1;
                }
                (_, Some((star_at, taken))) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    read = taken + 1;
                }
                (_, None) => return false,
            }
        }
        self.0[at..].iter().all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IfExists, Verify};

    const DEFAULTS: Defaults = Defaults { verify: Verify::Auto, if_exists: IfExists::Fail };

    fn request(source: &str, target: &str) -> v1::SubmitRequest {
        v1::SubmitRequest {
            transfer: Some(v1::TransferSpec {
                source: source.to_owned(),
                target: target.to_owned(),
                ..Default::default()
            }),
            idempotency_key: Some("nightly:".to_owned()),
            ..Default::default()
        }
    }

    #[test]
    fn a_glob_matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("", "anything/at/all", true),
            ("*.bin", "ami-1.bin", true),
            ("*.bin", "deep/ami-1.bin", true),
            ("*.bin", "ami-1.bin.tmp", false),
            ("ami-?.bin", "ami-1.bin", true),
            ("ami-?.bin", "ami-12.bin", false),
            ("ami-?.bin", "ami-.bin", false),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxbxxbx", false),
            ("a*", "a", true),
            ("?", "ü", true),
            ("a", "", false),
            ("**", "", true),
        ] {
            let glob = Glob::new(pattern).expect("short");
            assert_eq!(glob.matches(text), expected, "{pattern} on {text}");
        }
        assert!(Glob::new(&"*".repeat(1025)).is_err());
    }

    #[test]
    fn each_object_keeps_its_key_below_the_prefix() {
        let asked = request("com:images/golden/", "gov:vault/from-com/");
        let prefix = Prefix::new(asked, "*.bin", DEFAULTS).expect("legal");
        assert!(prefix.takes("golden/2026/ami-1.bin"));
        for left in ["golden/", "golden/notes.txt", "golden/dir.bin/", "other/ami-1.bin"] {
            assert!(!prefix.takes(left), "{left}");
        }
        let submission = prefix.submission("golden/2026/ami-1.bin").expect("legal");
        assert_eq!(
            submission.spec.as_ref().expect("a transfer").source.to_string(),
            "com:images/golden/2026/ami-1.bin"
        );
        assert_eq!(
            submission.spec.as_ref().expect("a transfer").target.to_string(),
            "gov:vault/from-com/2026/ami-1.bin"
        );
        assert_eq!(submission.idempotency_key.as_deref(), Some("nightly:golden/2026/ami-1.bin"));
    }

    #[test]
    fn a_whole_bucket_is_a_prefix_too() {
        let prefix =
            Prefix::new(request("com:images/", "gov:vault/"), "", DEFAULTS).expect("legal");
        let submission = prefix.submission("ami-1.bin").expect("legal");
        assert_eq!(
            submission.spec.as_ref().expect("a transfer").target.to_string(),
            "gov:vault/ami-1.bin"
        );
        assert!(prefix.submission(&"k".repeat(1025)).is_err());
    }

    #[test]
    fn what_is_not_two_prefixes_apart_is_refused() {
        for (source, target, fault) in [
            ("com:images/a.bin", "gov:vault/", "transfer.source: 'com:images/a.bin' is not a pre"),
            ("com:images/", "gov:vault/a.bin", "transfer.target: 'gov:vault/a.bin' is not a pre"),
            ("com:images/", "com:images/copy/", "lies within the source"),
            ("https://host/a?X-Amz-Signature=s3cret", "gov:vault/", "names one object"),
        ] {
            let refused = Prefix::new(request(source, target), "", DEFAULTS).expect_err(source);
            let refused = refused.to_string();
            assert!(refused.contains(fault), "{refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
        let mut asked = request("com:images/", "gov:vault/");
        asked.transfer.as_mut().expect("set above").expect_blake3 = Some("0".repeat(64));
        assert!(Prefix::new(asked, "", DEFAULTS).is_err());
    }
}
