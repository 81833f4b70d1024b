//! Images, and how far an image job is: its stages, and what came of them.

use serde::Serialize;

use super::{Object, known, must, time};
use crate::v1;

/// One image on one side.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    pub remote: String,
    pub partition: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub image_id: String,
    pub name: Option<String>,
    /// All of its volumes together.
    pub size_gib: Option<u64>,
    pub created_at: Option<String>,
}

impl From<&v1::ImageRef> for Image {
    fn from(image: &v1::ImageRef) -> Self {
        Self {
            remote: image.remote.clone(),
            partition: known(&image.partition),
            account: known(&image.account),
            region: known(&image.region),
            image_id: image.image_id.clone(),
            name: known(&image.name),
            size_gib: (image.size_gib > 0).then_some(image.size_gib),
            created_at: time(image.created_at.as_ref()),
        }
    }
}

/// When a stage began and ended.
#[derive(Clone, Debug, Serialize)]
pub struct StageSpan {
    pub stage: &'static str,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
}

impl From<&v1::StageProgress> for StageSpan {
    fn from(stage: &v1::StageProgress) -> Self {
        Self {
            stage: must::<v1::Stage>(stage.stage),
            started_at: time(stage.started_at.as_ref()),
            finished_at: time(stage.finished_at.as_ref()),
        }
    }
}

/// How far a stage is.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    #[serde(flatten)]
    pub span: StageSpan,
    /// 0 to 100.
    pub percent: u32,
}

/// How the new image differs from the one that was stored.
#[derive(Clone, Debug, Serialize)]
pub struct Fidelity {
    pub differences: Vec<Difference>,
    /// What a store and restore never carries.
    pub lost_by_design: Vec<String>,
    /// The image was registered anew because of what was lost.
    pub repaired: bool,
    /// All of its snapshots are encrypted.
    pub encrypted: bool,
}

impl From<&v1::Fidelity> for Fidelity {
    fn from(fidelity: &v1::Fidelity) -> Self {
        Self {
            differences: fidelity.differences.iter().map(Difference::from).collect(),
            lost_by_design: fidelity.lost_by_design.clone(),
            repaired: fidelity.repaired,
            encrypted: fidelity.encrypted,
        }
    }
}

/// One field that is another in the new image; `null` where an image has none.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub field: String,
    pub source: Option<String>,
    pub restored: Option<String>,
}

impl From<&v1::Difference> for Difference {
    fn from(difference: &v1::Difference) -> Self {
        Self {
            field: difference.field.clone(),
            source: known(&difference.source),
            restored: known(&difference.restored),
        }
    }
}

/// A parameter that names an image, as the job wrote it.
#[derive(Clone, Debug, Serialize)]
pub struct Alias {
    pub parameter: String,
    /// That of the parameter which names the image.
    pub version: u64,
    /// What it held before; `null` when there was none.
    pub previous: Option<String>,
}

impl From<&v1::Alias> for Alias {
    fn from(alias: &v1::Alias) -> Self {
        Self {
            parameter: alias.parameter.clone(),
            version: alias.version,
            previous: alias.previous.clone(),
        }
    }
}

/// The alias of a job, as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct AliasState {
    #[serde(flatten)]
    pub alias: Alias,
    /// It was put back.
    pub rolled_back: bool,
}

impl From<&v1::Alias> for AliasState {
    fn from(alias: &v1::Alias) -> Self {
        Self { alias: Alias::from(alias), rolled_back: alias.rolled_back }
    }
}

/// How far an image job is.
#[derive(Clone, Debug, Serialize)]
pub struct ImageProgress {
    /// In order, with those still ahead.
    pub stages: Vec<Stage>,
    pub source: Option<Image>,
    /// The object that EC2 wrote.
    pub stored: Option<Object>,
    pub restored: Option<Image>,
    pub fidelity: Option<Fidelity>,
    pub alias: Option<AliasState>,
    /// What was deleted or retired, and what stays behind.
    pub aftermath: Vec<String>,
}

impl From<&v1::ImageProgress> for ImageProgress {
    fn from(image: &v1::ImageProgress) -> Self {
        let stage =
            |stage: &v1::StageProgress| Stage { span: stage.into(), percent: stage.percent };
        Self {
            stages: image.stages.iter().map(stage).collect(),
            source: image.source.as_ref().map(Image::from),
            stored: image.stored.as_ref().map(Object::from),
            restored: image.restored.as_ref().map(Image::from),
            fidelity: image.fidelity.as_ref().map(Fidelity::from),
            alias: image.alias.as_ref().map(AliasState::from),
            aftermath: image.aftermath.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_image_job_has_not_reached_is_null() {
        let image = v1::ImageProgress {
            stages: vec![v1::StageProgress {
                stage: v1::Stage::Storing.into(),
                started_at: Some(Timestamp { seconds: 1, nanos: 0 }),
                finished_at: None,
                percent: 37,
            }],
            source: Some(v1::ImageRef {
                remote: "com".into(),
                image_id: "ami-1".into(),
                size_gib: 30,
                ..Default::default()
            }),
            ..Default::default()
        };
        let expected = json!({
            "stages": [{
                "stage": "storing", "started_at": "1970-01-01T00:00:01.000Z", "finished_at": null,
                "percent": 37,
            }],
            "source": {
                "remote": "com", "partition": null, "account": null, "region": null,
                "image_id": "ami-1", "name": null, "size_gib": 30, "created_at": null,
            },
            "stored": null, "restored": null, "fidelity": null, "alias": null, "aftermath": [],
        });
        assert_eq!(serde_json::to_value(ImageProgress::from(&image)).expect("json"), expected);
    }

    #[test]
    fn an_alias_tells_whether_it_was_put_back() {
        let alias = v1::Alias {
            parameter: "/golden/web".into(),
            version: 3,
            previous: Some("ami-8".into()),
            rolled_back: true,
        };
        let expected = json!({
            "parameter": "/golden/web", "version": 3, "previous": "ami-8", "rolled_back": true,
        });
        assert_eq!(serde_json::to_value(AliasState::from(&alias)).expect("json"), expected);
    }
}
