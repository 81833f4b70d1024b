//! What is to be done: pins the source, looks at the target, and refuses early what cannot work.

use std::collections::BTreeMap;

use super::{Fault, Transfer};
use crate::blob::{Existing, Habits};
use crate::model::spec::TAGS_MAX;
use crate::model::{
    ByteCount, Failure, FailureClass, IfExists, ObjectRef, PartPlan, PinnedObject, PublishedObject,
    Side, TransferSpec, Verify,
};

/// S3's limit on user metadata: names and values together.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const METADATA_BYTES_MAX: usize = 2048;

/// A transfer, thought through.
#[derive(Debug, Clone)]
pub struct Draft {
    pub source: PinnedObject,
    pub plan: PartPlan,
    pub warnings: Vec<String>,
    /// What stands at the target key now.
    pub existing: Option<Existing>,
}

/// What planning came to.
pub(super) enum Planned {
    Carry(Box<Draft>),
    /// The target holds the same object already, and `skip` was asked for.
    Same {
        draft: Box<Draft>,
        existing: Box<Existing>,
    },
}

impl Transfer {
    pub(super) async fn plan(&self) -> Result<Planned, Fault> {
        let draft = self.draft_of_source().await?;
        // That there is no bucket shows at the first write.
        let existing = self.retrying(Side::Target, || self.target.look()).await?;
        let draft = self.beside(draft, existing)?;
        match &draft.existing {
            Some(existing) if self.spec.if_exists == IfExists::Skip => {
                let existing = Box::new(existing.clone());
                Ok(Planned::Same { draft: Box::new(draft), existing })
            }
            _ => {
                self.check_proof(self.target.habits())?;
                Ok(Planned::Carry(Box::new(draft)))
            }
        }
    }

    /// Plans without doing anything at the target: the whole of a dry run.
    ///
    /// # Errors
    /// [`Fault::Failed`] where the transfer cannot work as asked.
    pub async fn draft(&self) -> Result<Draft, Fault> {
        let draft = self.draft_of_source().await?;
        let existing = self.retrying(Side::Target, || self.target.head(None)).await?;
        self.beside(draft, existing)
    }

    /// What the source alone tells.
    async fn draft_of_source(&self) -> Result<Draft, Fault> {
        let (source, mut warnings) = self.retrying(Side::Source, || self.source.pin()).await?;
        warnings.extend(self.warn_of_overwriting());
        let slots = u32::try_from(self.parts_max).unwrap_or(u32::MAX);
        let plan = PartPlan::new(source.size, self.spec.part_size, slots)
            .map_err(|error| self.refused(Side::Source, "", error.to_string(), ""))?;
        self.check_fidelity(&source)?;
        Ok(Draft { source, plan, warnings, existing: None })
    }

    /// The draft, beside what stands at the target.
    fn beside(&self, draft: Draft, existing: Option<Existing>) -> Result<Draft, Fault> {
        if let Some(existing) = &existing {
            self.check_existing(&draft.source, existing)?;
        }
        Ok(Draft { existing, ..draft })
    }

    /// By `if_exists`, what a target that exists means.
    fn check_existing(&self, source: &PinnedObject, existing: &Existing) -> Result<(), Fault> {
        let refuse = |reason: String| {
            let remedy = "choose another key, or submit with --if-exists replace";
            Err(self.refused(Side::Target, "s3:PutObject", reason, remedy))
        };
        match self.spec.if_exists {
            IfExists::Replace => Ok(()),
            IfExists::Fail => {
                let size = ByteCount(existing.size);
                refuse(format!("the target exists ({size}, ETag {})", existing.etag))
            }
            IfExists::Skip
                if self.spec.expect_blake3.is_some() || self.spec.verify == Verify::Readback =>
            {
                refuse(
                    "the target exists, and to skip it would prove nothing of what was asked for \
                     (--expect-blake3, --verify readback)"
                        .into(),
                )
            }
            IfExists::Skip if is_same(source, existing) => Ok(()),
            IfExists::Skip if source.size != existing.size => refuse(format!(
                "the target exists and is another object: {} there, {} at the source",
                ByteCount(existing.size),
                ByteCount(source.size),
            )),
            IfExists::Skip => {
                refuse("the target exists and its checksum does not show it to be the same".into())
            }
        }
    }

    /// Conditional writes and full-object checksums came to S3 in the same half year: a server that
    /// lacks the one may well ignore the other, and asking it would mean overwriting something.
    fn warn_of_overwriting(&self) -> Option<String> {
        let doubtful = !self.target.habits().full_object && self.only_if_absent();
        doubtful.then(|| {
            format!(
                "the server of {} may ignore If-None-Match: the key is looked at just before the \
                 object is published, but one that appears in that moment would be overwritten",
                self.target.name(),
            )
        })
    }

    /// What S3 would refuse of the object's attributes, said before a byte moves.
    fn check_fidelity(&self, source: &PinnedObject) -> Result<(), Fault> {
        let attributes = self.attributes(source);
        if attributes.tags.len() > TAGS_MAX {
            let reason = format!(
                "{} tags, the source's and those asked for: S3 takes at most {TAGS_MAX}",
                attributes.tags.len()
            );
            return Err(self.refused(Side::Target, "s3:PutObjectTagging", reason, "ask for fewer"));
        }
        let bytes: usize = attributes.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            let reason =
                format!("{bytes} bytes of user metadata: S3 takes at most {METADATA_BYTES_MAX}");
            return Err(self.refused(
                Side::Source,
                "s3:GetObject",
                reason,
                "shorten it at the source",
            ));
        }
        Ok(())
    }

    /// A proof that the target's server cannot give is refused before hours of work, not after.
    fn check_proof(&self, habits: Habits) -> Result<(), Fault> {
        if self.spec.verify != Verify::Checksum || habits.full_object {
            return Ok(());
        }
        let reason =
            "the target's server gives no full-object CRC64NVME, which --verify checksum needs";
        Err(self.refused(
            Side::Target,
            "s3:CreateMultipartUpload",
            reason.into(),
            "submit with --verify readback or auto",
        ))
    }

    /// A permanent failure of one side.
    pub(super) fn refused(
        &self,
        side: Side,
        operation: &str,
        reason: String,
        remedy: &str,
    ) -> Fault {
        let failure = Failure::new(FailureClass::Permanent, reason, remedy);
        let (remote, resource) = match side {
            Side::Source => (self.source.name(), self.spec.source.to_string()),
            Side::Target => (self.target.name(), self.target.address().resource()),
        };
        let failure = failure.on(side, remote.parse().ok());
        Fault::failed(if operation.is_empty() { failure } else { failure.at(operation, resource) })
    }
}

/// Whether the target's object is shown to be the source's, by a checksum that both sides computed
/// over the whole.
fn is_same(source: &PinnedObject, existing: &Existing) -> bool {
    let same = match (source.crc64nvme, existing.crc64nvme) {
        // An ETag says nothing against it: with encryption it is no MD5, though it looks like one.
        (Some(ours), Some(theirs)) => ours == theirs,
        // Without a dash an ETag may be the MD5 of the content; equal on both sides, it is.
        _ => {
            !source.etag.contains('-')
                && source.etag.len() == 32
                && source.etag.eq_ignore_ascii_case(&existing.etag)
        }
    };
    source.size == existing.size && same
}

impl Existing {
    /// What stands there, as if it had just been published.
    pub(super) fn published(&self) -> PublishedObject {
        PublishedObject { etag: self.etag.clone(), version_id: self.version_id.clone() }
    }

    /// What stands there as something to read: exactly this version.
    pub(super) fn pinned(&self) -> PinnedObject {
        PinnedObject {
            size: self.size,
            etag: self.etag.clone(),
            version_id: self.version_id.clone(),
            last_modified: self.last_modified,
            headers: self.headers.clone(),
            metadata: self.metadata.clone(),
            tags: BTreeMap::new(),
            crc64nvme: self.crc64nvme,
        }
    }
}

impl Draft {
    /// Bytes that would move.
    pub fn bytes_to_send(&self, spec: &TransferSpec) -> u64 {
        let skipped = self.existing.is_some() && spec.if_exists == IfExists::Skip;
        if skipped { 0 } else { self.source.size }
    }
}

impl Transfer {
    /// Both ends as the receipt, or a dry run, names them.
    pub fn describe(&self, draft: &Draft) -> (ObjectRef, ObjectRef) {
        let source = self.source.describe(&draft.source);
        let unpublished = PublishedObject { etag: String::new(), version_id: None };
        let at = draft.existing.as_ref().map_or(unpublished, Existing::published);
        (source, self.target.describe(&at, draft.source.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(etag: &str, crc64nvme: Option<u64>) -> Existing {
        Existing {
            size: 5,
            etag: etag.into(),
            version_id: None,
            last_modified: None,
            crc64nvme,
            headers: Default::default(),
            metadata: BTreeMap::new(),
            metadata_missing: 0,
            storage_class: None,
            tag_count: None,
        }
    }

    /// To skip an object that is another one would lose its bytes.
    #[test]
    fn checksums_that_differ_are_not_outvoted_by_an_etag() {
        let etag = "0123456789abcdef0123456789abcdef";
        let is_same = |ours, theirs| is_same(&there(etag, ours).pinned(), &there(etag, theirs));
        assert!(is_same(Some(1), Some(1)) && is_same(None, None) && is_same(Some(1), None));
        assert!(!is_same(Some(1), Some(2)));
    }
}
