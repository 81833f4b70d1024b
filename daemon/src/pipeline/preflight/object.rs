//! An object that is read, a key that is written: by the requests that a transfer sends, and by an upload of a
//! few bytes that is aborted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::bucket::shown;
use super::report::{Halted, Report};
use crate::base::{Pace, SharedObserver, clock};
use crate::blob::{self, Attributes, PresignedObject, Rehearsed, S3Object, S3Target, Source};
use crate::egress::Egress;
use crate::ledger::{AskedUpload, Ledger};
use crate::model::{
    ByteCount, ByteRange, Encryption, Failure, FailureClass, IfExists, JobId, ObjectAddress,
    PresignedUrl, Timestamp, TransferSpec,
};
use crate::remote::Remote;
use crate::transfer::unrecorded;

/// Each is an upload of its own.
const UPLOAD_TRIES: u32 = 3;
const UPLOAD_PAUSE: Duration = Duration::from_millis(500);
/// Looking for an upload whose answer was lost.
const SEARCH_PATIENCE: Duration = Duration::from_secs(10);
/// A URL that ends sooner ends under a large object.
const URL_DOUBTFUL_MILLIS: u64 = 3600 * 1000;
/// A lifecycle rule that aborts uploads sooner ends large ones.
const ABORT_DOUBTFUL_MILLIS: u64 = 7 * 24 * 3600 * 1000;

/// How an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// With all that goes along, and the very version that was pinned.
    Transfer,
    /// Its bytes, as they are.
    Ec2,
}

/// Whether the object can be read.
pub(super) async fn read(
    report: &mut Report,
    remote: &Arc<Remote>,
    address: &ObjectAddress,
    reader: Reader,
) -> Result<(), Halted> {
    read_from(report, &S3Object::new(Arc::clone(remote), address.clone()), reader).await
}

/// Whether the presigned object can be read, and for how long.
pub(super) async fn read_presigned(
    report: &mut Report,
    url: &PresignedUrl,
    pace: Arc<Pace>,
    observer: SharedObserver,
    egress: &Egress,
) -> Result<(), Halted> {
    let source = match PresignedObject::new(url.clone(), pace, observer, egress, None) {
        Ok(source) => source,
        Err(error) => return report.refused("source object", &error.to_failure(report.side())),
    };
    read_from(report, &source, Reader::Transfer).await?;
    if let Some(at) = url.expires_at() {
        let left = at.millis_since(clock::now());
        let detail = format!("it holds until {}", clock::rfc3339(at));
        match left < URL_DOUBTFUL_MILLIS {
            true => report.warning(
                "presigned URL",
                detail,
                "ask for one that holds for as long as the object takes",
            ),
            false => report.passed("presigned URL", detail),
        }
    }
    Ok(())
}

async fn read_from(report: &mut Report, source: &dyn Source, reader: Reader) -> Result<(), Halted> {
    const NAME: &str = "source object";
    let (mut pinned, warnings) = match report.ask(|| source.pin()).await {
        Ok(pinned) => pinned,
        Err(trouble) => return report.refused(NAME, &trouble.told(report.side())),
    };
    if reader == Reader::Ec2 {
        // It is another right.
        pinned.version_id = None;
    }
    let range = ByteRange { start: 0, len: pinned.size.min(1) };
    let byte = || async {
        let mut frames = source.read(&pinned, range).await?;
        while let Some(frame) = frames.next().await {
            frame?;
        }
        Ok::<_, blob::Error>(())
    };
    match report.ask(byte).await {
        Ok(()) => {
            report.passed(NAME, format!("{}; its first byte can be read", ByteCount(pinned.size)));
        }
        Err(trouble) => report.refused(NAME, &trouble.told(report.side()))?,
    }
    for warning in warnings.into_iter().filter(|_| reader == Reader::Transfer) {
        let remedy = "allow s3:GetObjectTagging and s3:GetObjectVersionTagging on it, or take the \
                      object without";
        report.warning("source attributes", warning, remedy);
    }
    Ok(())
}

/// What stands at the target's key, and what that means to the job.
pub(super) async fn look(
    report: &mut Report,
    target: &S3Target,
    spec: &TransferSpec,
) -> Result<(), Halted> {
    const NAME: &str = "target key";
    let found = match report.ask(|| target.look()).await {
        Ok(found) => found,
        Err(trouble) => return report.refused(NAME, &trouble.told(report.side())),
    };
    let Some(found) = found else {
        report.passed(NAME, format!("nothing stands at {} yet", target.address()));
        return Ok(());
    };
    let there = format!("the target exists ({}, ETag {})", ByteCount(found.size), found.etag);
    match spec.if_exists {
        IfExists::Fail => {
            report.failed(NAME, there, "choose another key, or submit with --if-exists replace");
        }
        IfExists::Skip => report.passed(NAME, format!("{there}, and is taken if it is the same")),
        IfExists::Replace => report.passed(NAME, format!("{there}, and is to be replaced")),
    }
    Ok(())
}

/// Whether an upload whose answer is lost could be found again.
pub(super) async fn list_uploads(report: &mut Report, target: &S3Target) -> Result<(), Halted> {
    const NAME: &str = "open uploads";
    match report.ask(|| target.list_uploads()).await {
        Ok(uploads) => report.passed(NAME, format!("{} of this key", uploads.len())),
        Err(trouble) => {
            let failure = trouble.told(report.side());
            if failure.class != FailureClass::Permanent {
                return report.refused(NAME, &failure);
            }
            let detail = format!("they cannot be listed: {}", failure.reason);
            let remedy = format!(
                "allow {} on the bucket: without, an upload whose answer is lost is left to a \
                 lifecycle rule",
                failure.operation
            );
            report.warning(NAME, detail, remedy);
        }
    }
    Ok(())
}

/// What the transfer asks of the object that it makes.
pub(super) fn attributes(spec: &TransferSpec) -> Attributes {
    Attributes {
        tags: spec.tags.clone(),
        storage_class: spec.storage_class.clone(),
        encryption: spec.encryption.clone(),
        ..Attributes::default()
    }
}

/// An upload that is tried.
pub(super) struct Upload {
    pub attributes: Attributes,
    /// The job will list its parts.
    pub lists_parts: bool,
    pub name: &'static str,
}

/// Begins an upload to the very key, sends a part and aborts it.
pub(super) async fn upload(
    report: &mut Report,
    ledger: &Ledger,
    target: &S3Target,
    upload: Upload,
) -> Result<(), Halted> {
    let begun = clock::now();
    let asked = upload.attributes.encryption.clone();
    let mut tries_left = UPLOAD_TRIES;
    let rehearsed = loop {
        tries_left -= 1;
        let rehearsed = rehearse(target, &upload.attributes, report.until()).await;
        if tries_left == 0 || !may_pass(&rehearsed, report.until()) {
            break rehearsed;
        }
        tokio::time::sleep(UPLOAD_PAUSE).await;
    };
    let rehearsed = match rehearsed {
        Ok(rehearsed) => rehearsed,
        Err(error) => {
            let mut failure = error.to_failure(report.side());
            if error.answer_lost() {
                failure.reason += &search(ledger, target, begun).await;
            }
            return report.refused(upload.name, &failure);
        }
    };
    let left = left_over(target, &rehearsed, report);
    let went_well = told(report, upload.name, upload.lists_parts, &rehearsed);
    if let Some(failure) = left {
        report.refused("abort", &failure)?;
    }
    went_well?;
    if let Some(asked) = asked {
        encrypted(report, &asked, rehearsed.created.encryption.as_ref());
    }
    Ok(())
}

/// A task of its own, which ends by itself: whoever asked may go away midway, and the upload would stay.
async fn rehearse(
    target: &S3Target,
    attributes: &Attributes,
    until: Instant,
) -> Result<Rehearsed, blob::Error> {
    let (asking, attributes) = (target.clone(), attributes.clone());
    let task = tokio::spawn(async move { asking.rehearse(&attributes, until).await });
    task.await.unwrap_or_else(|_| Err(target.put_stalled("was asked by a task that broke off")))
}

/// What fails may go well in a moment. One that could not be aborted is not followed by another.
fn may_pass(rehearsed: &Result<Rehearsed, blob::Error>, until: Instant) -> bool {
    let error = match rehearsed {
        Ok(rehearsed) if rehearsed.aborted.is_err() => None,
        Ok(rehearsed) => rehearsed.part.as_ref().err().or(rehearsed.listed.as_ref().err()),
        Err(error) => Some(error),
    };
    let class = error.map(blob::Error::class);
    matches!(class, Some(FailureClass::Transient | FailureClass::Throttled))
        && Instant::now() + UPLOAD_PAUSE < until
}

fn told(
    report: &mut Report,
    name: &'static str,
    lists_parts: bool,
    rehearsed: &Rehearsed,
) -> Result<(), Halted> {
    if let Err(error) = &rehearsed.part {
        return report.refused(name, &error.to_failure(report.side()));
    }
    if let Some(error) = rehearsed.listed.as_ref().err().filter(|_| lists_parts) {
        return report.refused(name, &error.to_failure(report.side()));
    }
    let done = "one of a few bytes was begun, taken, and aborted";
    let Some(at) = rehearsed.created.abort_at else {
        report.passed(name, done);
        return Ok(());
    };
    let detail =
        format!("{done}; a lifecycle rule would have aborted it at {}", clock::rfc3339(at));
    match at.millis_since(clock::now()) < ABORT_DOUBTFUL_MILLIS {
        true => report.warning(name, detail, "give uploads seven days before the rule aborts them"),
        false => report.passed(name, detail),
    }
    Ok(())
}

/// What a person has to do about an upload that could not be aborted.
fn left_over(target: &S3Target, rehearsed: &Rehearsed, report: &Report) -> Option<Failure> {
    let error = rehearsed.aborted.as_ref().err()?;
    let mut failure = error.to_failure(report.side());
    let (address, upload) = (target.address(), &rehearsed.created.upload.0);
    failure.reason = format!("the upload {upload} is left: {}", failure.reason);
    failure.remedy = format!(
        "allow s3:AbortMultipartUpload, and abort it: aws s3api abort-multipart-upload --bucket {} \
         --key '{}' --upload-id {upload}",
        address.bucket, address.key
    );
    Some(failure)
}

/// Looks for an upload whose answer was lost, and aborts it where it is nobody else's.
async fn search(ledger: &Ledger, target: &S3Target, begun: Timestamp) -> String {
    let asked = AskedUpload {
        // No job of the ledger: each of those that ask for the key is another.
        job: JobId::from_parts(begun, 0),
        target: target.address().clone(),
        at: begun,
    };
    let (ledger, target) = (ledger.clone(), target.clone());
    let task = tokio::spawn(async move {
        timeout(SEARCH_PATIENCE, unrecorded::abort_late(&ledger, &target, &asked)).await
    });
    match task.await {
        Ok(Ok(Ok(Ok(true)))) => "; nothing of it is left",
        _ => "; an upload may be left, which a lifecycle rule or the next job of this key aborts",
    }
    .to_owned()
}

/// Whether the server takes the encryption that was asked for.
fn encrypted(report: &mut Report, asked: &Encryption, said: Option<&Encryption>) {
    const NAME: &str = "encryption";
    let Some(said) = said else {
        let detail =
            format!("asked for {}, and the server does not say what it does", shown(asked));
        report.warning(NAME, detail, "look at the object once it is there");
        return;
    };
    if is_alike(asked, said) {
        report.passed(NAME, format!("the server takes {}", shown(said)));
        return;
    }
    let detail = format!("asked for {}, and the server says {}", shown(asked), shown(said));
    report.failed(NAME, detail, "see what the bucket's policy and the server make of it");
}

/// A key is asked for by its id, ARN or alias, and told by its ARN.
fn is_alike(asked: &Encryption, said: &Encryption) -> bool {
    let is_key = |asked: &Option<String>, said: &Option<String>| match (asked, said) {
        (Some(asked), Some(said)) => {
            asked.contains("alias/") || said == asked || said.ends_with(&format!("/{asked}"))
        }
        (None, _) | (_, None) => true,
    };
    match (asked, said) {
        (Encryption::Aes256, Encryption::Aes256) => true,
        (Encryption::Kms { key_id: asked }, Encryption::Kms { key_id: said })
        | (Encryption::KmsDsse { key_id: asked }, Encryption::KmsDsse { key_id: said }) => {
            is_key(asked, said)
        }
        _ => false,
    }
}
