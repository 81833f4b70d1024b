//! Object tags.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{Tag, Tagging};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Error;
use super::call::{Caller, Operation};

const GET_TAGS: Operation = Operation::new("GetObjectTagging", "s3:GetObjectTagging");
const GET_VERSION_TAGS: Operation =
    Operation::new("GetObjectTagging", "s3:GetObjectVersionTagging");
const PUT_TAGS: Operation = Operation::new("PutObjectTagging", "s3:PutObjectTagging");
const PUT_VERSION_TAGS: Operation =
    Operation::new("PutObjectTagging", "s3:PutObjectVersionTagging");

/// Tags by name.
pub(super) type Tags = BTreeMap<String, String>;

/// The tags of the caller's key, or of one of its versions.
pub(super) async fn get(caller: &Caller, version: Option<&str>) -> Result<Tags, Error> {
    let operation = if version.is_some() { GET_VERSION_TAGS } else { GET_TAGS };
    let request = caller
        .client
        .get_object_tagging()
        .bucket(&caller.address.bucket)
        .key(&caller.address.key)
        .set_version_id(version.map(str::to_owned))
        .send();
    match caller.call(operation, request).await {
        Ok(answer) => Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
        Err(error) if error.code() == Some("NoSuchTagSet") => Ok(Tags::new()),
        Err(error) => Err(error),
    }
}

/// Sets the tags of the caller's key, or of one of its versions, all of them.
pub(super) async fn put(caller: &Caller, tags: &Tags, version: Option<&str>) -> Result<(), Error> {
    let operation = if version.is_some() { PUT_VERSION_TAGS } else { PUT_TAGS };
    let asked = |error: aws_sdk_s3::error::BuildError| {
        let message = error.to_string();
        Error::Refused(Box::new(super::Exchange { message, ..caller.asked(operation) }))
    };
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let set = tags.iter().map(tag).collect::<Result<Vec<_>, _>>().map_err(asked)?;
    let tagging = Tagging::builder().set_tag_set(Some(set)).build().map_err(asked)?;
    let request = caller
        .client
        .put_object_tagging()
        .bucket(&caller.address.bucket)
        .key(&caller.address.key)
        .set_version_id(version.map(str::to_owned))
        .tagging(tagging)
        .send();
    caller.call(operation, request).await.map(drop)
}

/// The value of `x-amz-tagging`: a query string. `None` for no tags.
pub(super) fn header(tags: &Tags) -> Option<String> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> =
        tags.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_header_is_a_query_string() {
        assert_eq!(header(&Tags::new()), None);
        let tags = Tags::from([("a b".to_owned(), "x=y&z".to_owned()), ("c".into(), "é".into())]);
        assert_eq!(header(&tags).as_deref(), Some("a%20b=x%3Dy%26z&c=%C3%A9"));
    }
}
