//! Tags of images and snapshots: eventually consistent, as all that DescribeImages shows.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Ec2;
use super::describe::{Filters, page};
use super::state::State;
use crate::api::Refused;
use crate::lock::lock;
use crate::query::{Form, Written};

/// Tags that a resource can have.
const TAGS_MAX: usize = 50;

/// A resource's tags.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags(BTreeMap<String, Tag>);

#[derive(Debug, Clone)]
struct Tag {
    value: String,
    /// What is seen until this one is.
    before: Option<String>,
    visible_at: Instant,
}

impl Tags {
    pub(super) fn new(tags: BTreeMap<String, String>, visible_at: Instant) -> Self {
        let mut new = Self::default();
        for (key, value) in tags {
            new.set(key, value, visible_at);
        }
        new
    }

    pub(super) fn set(&mut self, key: String, value: String, visible_at: Instant) {
        let before = self.0.remove(&key).map(|tag| tag.value);
        self.0.insert(key, Tag { value, before, visible_at });
    }

    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect()
    }

    pub(super) fn visible(&self, now: Instant) -> BTreeMap<String, String> {
        let seen = |tag: &Tag| match tag.visible_at <= now {
            true => Some(tag.value.clone()),
            false => tag.before.clone(),
        };
        self.0.iter().filter_map(|(key, tag)| Some((key.clone(), seen(tag)?))).collect()
    }

    /// # Errors
    /// `TagLimitExceeded`.
    fn check_room(&self, added: &BTreeMap<String, String>) -> Result<(), Refused> {
        let new = added.keys().filter(|key| !self.0.contains_key(*key)).count();
        if self.0.len() + new > TAGS_MAX {
            let message = format!("A resource has at most {TAGS_MAX} tags");
            return Err(Refused::new("TagLimitExceeded", message));
        }
        Ok(())
    }
}

/// Reads `Tag.1.Key`, `Tag.1.Value`, …
///
/// # Errors
/// `InvalidTagKey.Malformed`, `InvalidParameterValue`.
pub(super) fn given(form: &Form, name: &str) -> Result<BTreeMap<String, String>, Refused> {
    let mut tags = BTreeMap::new();
    for tag in form.members(name) {
        let (key, value) = (tag.need("Key")?.to_owned(), tag.get("Value").unwrap_or_default());
        if key.to_lowercase().starts_with("aws:") {
            let message = format!("Tag keys starting with 'aws:' are reserved: {key}");
            return Err(Refused::new("InvalidTagKey.Malformed", message));
        }
        if key.chars().count() > 127 || value.chars().count() > 255 {
            let message = format!("Tag {key:?} is too long");
            return Err(Refused::new("InvalidParameterValue", message));
        }
        tags.insert(key, value.to_owned());
    }
    Ok(tags)
}

/// Tags for what an operation makes.
#[derive(Debug, Clone, Default)]
pub(super) struct Specified {
    pub(super) image: BTreeMap<String, String>,
    /// For each of its snapshots.
    pub(super) snapshot: BTreeMap<String, String>,
}

impl Specified {
    /// Reads `TagSpecification.1.ResourceType`, `TagSpecification.1.Tag.1.Key`, …
    ///
    /// # Errors
    /// Those of [`given`], and `InvalidParameterValue` for another resource type.
    pub(super) fn of(form: &Form) -> Result<Self, Refused> {
        let mut specified = Self::default();
        for specification in form.members("TagSpecification") {
            let tags = given(&specification, "Tag")?;
            match specification.need("ResourceType")? {
                "image" => specified.image.extend(tags),
                "snapshot" => specified.snapshot.extend(tags),
                other => {
                    let message = format!("'{other}' is not a valid taggable resource type here.");
                    return Err(Refused::new("InvalidParameterValue", message));
                }
            }
        }
        Ok(specified)
    }
}

impl Ec2 {
    pub(super) fn create_tags(&self, form: &Form) -> Result<Written, Refused> {
        let tags = given(form, "Tag")?;
        let resources = form.list("ResourceId");
        if resources.is_empty() || tags.is_empty() {
            let message = "The request must contain the parameters ResourceId and Tag";
            return Err(Refused::new("MissingParameter", message));
        }
        let mut state = lock(&self.0.state);
        // All or none.
        for id in &resources {
            self.tags_of(&mut state, id)?.check_room(&tags)?;
        }
        let visible_at = state.visible_at();
        for id in resources {
            let on = self.tags_of(&mut state, id)?;
            for (key, value) in &tags {
                on.set(key.clone(), value.clone(), visible_at);
            }
        }
        Ok(Box::new(|xml| xml.leaf("return", true)))
    }

    fn tags_of<'a>(&self, state: &'a mut State, id: &str) -> Result<&'a mut Tags, Refused> {
        match id.split_once('-') {
            Some(("ami", _)) => Ok(&mut state.own_image(id)?.tags),
            Some(("snap", _)) => Ok(&mut state.own_snapshot(id)?.tags),
            _ => Err(Refused::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html>
    pub(super) fn describe_tags(&self, form: &Form) -> Result<Written, Refused> {
        let filters = Filters::of(form);
        let state = lock(&self.0.state);
        let now = Instant::now();
        let images = state.images.values().map(|image| (&image.id, "image", &image.tags));
        let snapshots = state.snapshots.values().map(|snap| (&snap.id, "snapshot", &snap.tags));
        let mut rows = Vec::new();
        for (id, kind, tags) in images.chain(snapshots) {
            for (key, value) in tags.visible(now) {
                let passes = filters.pass(|name| {
                    let by_key = name.strip_prefix("tag:").map(|wanted| wanted == key);
                    Some(match name {
                        "key" => vec![key.clone()],
                        "value" => vec![value.clone()],
                        "resource-id" => vec![id.clone()],
                        "resource-type" => vec![kind.to_owned()],
                        _ if by_key? => vec![value.clone()],
                        _ => Vec::new(),
                    })
                })?;
                if passes {
                    rows.push((id.clone(), kind, key, value));
                }
            }
        }
        let order = |row: &(String, &str, String, String)| format!("{}/{}", row.0, row.2);
        let (rows, next) = page(form, rows, order, 5..=1000)?;
        Ok(Box::new(move |xml| {
            xml.list("tagSet", rows, |xml, (id, kind, key, value)| {
                xml.leaf("resourceId", id);
                xml.leaf("resourceType", kind);
                xml.leaf("key", key);
                xml.leaf("value", value);
            });
            xml.leaf_if("nextToken", next);
        }))
    }
}
