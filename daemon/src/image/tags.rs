//! Tags of images and snapshots.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use super::{Error, Images, Tags};
use crate::remote::Operation;

const CREATE: Operation = Operation::new("CreateTags", "ec2:CreateTags");

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

impl Images {
    /// Sets these tags of all these images and snapshots, or of none; others stay.
    ///
    /// # Errors
    /// `NoSuchImage`, `NoSuchSnapshot`; the other faults of a request.
    pub async fn tag(&self, ids: &[String], tags: &Tags) -> Result<(), Error> {
        if ids.is_empty() || tags.is_empty() {
            return Ok(());
        }
        let request = self.tag_request(ids, tags).send();
        self.call(CREATE, &ids.join(","), request).await.map(drop)
    }

    /// Whether [`Images::tag`] would be permitted.
    ///
    /// # Errors
    /// As that.
    pub async fn may_tag(&self, ids: &[String], tags: &Tags) -> Result<(), Error> {
        let request = self.tag_request(ids, tags).dry_run(true).send();
        self.rehearse(CREATE, &ids.join(","), request).await
    }

    fn tag_request(
        &self,
        ids: &[String],
        tags: &Tags,
    ) -> aws_sdk_ec2::operation::create_tags::builders::CreateTagsFluentBuilder {
        let (ids, tags) = (Some(ids.to_vec()), Some(written(tags)));
        self.ec2.create_tags().set_resources(ids).set_tags(tags)
    }
}
