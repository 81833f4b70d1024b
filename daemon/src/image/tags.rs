//! Tags of images and snapshots. They are set by the request that makes what has them, and by no other: its
//! policy allows no more, see `pipeline/preflight/policy.rs`.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use super::Tags;

/// As EC2 takes them.
fn written(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// As EC2 gives them; one without a name is none.
pub(super) fn read(tags: Option<Vec<Tag>>) -> Tags {
    let pair = |tag: Tag| Some((tag.key?, tag.value.unwrap_or_default()));
    tags.unwrap_or_default().into_iter().filter_map(pair).collect()
}

/// Tags for what a request makes, of each kind the same; `None` for no tags.
pub(super) fn specified(tags: &Tags, kinds: &[ResourceType]) -> Option<Vec<TagSpecification>> {
    let of = |kind: &ResourceType| {
        TagSpecification::builder()
            .resource_type(kind.clone())
            .set_tags(Some(written(tags)))
            .build()
    };
    (!tags.is_empty()).then(|| kinds.iter().map(of).collect())
}
