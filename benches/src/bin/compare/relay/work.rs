//! What a floor has to do: parts to carry, uploads to begin before and to complete after.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use causewayd::integrity;
use causewayd::model::{ByteRange, PartDigest};

use super::Arguments;
use super::client::{Answer, Client};
use crate::server::{SOURCE_BUCKET, TARGET_BUCKET, key};

/// One range of one object.
#[derive(Debug)]
pub struct Part {
    object: usize,
    pub range: ByteRange,
    pub object_size: u64,
    /// Where it is read, and where it is written.
    pub source: String,
    pub target: String,
}

/// A part that the target has.
#[derive(Debug)]
pub struct Done {
    etag: String,
    digest: PartDigest,
}

/// All parts.
#[derive(Debug)]
pub struct Work {
    parts: Vec<Part>,
    next: AtomicUsize,
    done: Mutex<Vec<Option<Done>>>,
    /// By object; none where one PutObject does it.
    uploads: Vec<Option<String>>,
}

impl Work {
    /// Begins the uploads.
    pub fn begin(arguments: &Arguments, target: &mut Client) -> anyhow::Result<Self> {
        let size = arguments.size;
        let (mut parts, mut uploads) = (Vec::new(), Vec::new());
        for object in 0..arguments.objects {
            let name = key(object);
            let object = uploads.len();
            let (source, target_path) =
                (format!("/{SOURCE_BUCKET}/{name}"), format!("/{TARGET_BUCKET}/{name}"));
            let part = |range, target| Part {
                object,
                range,
                object_size: size,
                source: source.clone(),
                target,
            };
            if size <= arguments.part_size {
                parts.push(part(ByteRange { start: 0, len: size }, target_path));
                uploads.push(None);
                continue;
            }
            let created = target.ask("POST", &format!("{target_path}?uploads"), "")?;
            let id = element(&created.text, "UploadId").context("no upload id")?.to_owned();
            for (number, start) in
                (0..size).step_by(usize::try_from(arguments.part_size)?).enumerate()
            {
                let range = ByteRange { start, len: arguments.part_size.min(size - start) };
                let number = number + 1;
                parts.push(part(range, format!("{target_path}?partNumber={number}&uploadId={id}")));
            }
            uploads.push(Some(format!("{target_path}?uploadId={id}")));
        }
        let done = parts.iter().map(|_| None).collect();
        Ok(Self { parts, next: AtomicUsize::new(0), done: Mutex::new(done), uploads })
    }

    /// The next part that nobody has taken, and its number in this work.
    pub fn take(&self) -> Option<(usize, &Part)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        Some((index, self.parts.get(index)?))
    }

    /// Keeps what completing needs.
    pub fn finish(&self, index: usize, etag: String, digest: PartDigest) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done[index] = Some(Done { etag, digest });
    }

    /// Completes the uploads, with the whole objects' CRC64NVME.
    pub fn complete(self, target: &mut Client) -> anyhow::Result<()> {
        let done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<(String, u64)> =
            self.uploads.iter().map(|_| (String::new(), integrity::crc64nvme(b""))).collect();
        let mut numbers = vec![0; rows.len()];
        for (part, done) in self.parts.iter().zip(done) {
            let Done { etag, digest } = done.context("a part was not carried")?;
            let (xml, crc) = &mut rows[part.object];
            *crc = integrity::combine(*crc, digest.crc64nvme, digest.len);
            numbers[part.object] += 1;
            let number = numbers[part.object];
            write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")?;
        }
        for (upload, (parts, _)) in self.uploads.iter().zip(&rows) {
            let Some(path) = upload else { continue };
            let text = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
            let Answer { status, text, .. } = target.ask("POST", path, &text)?;
            anyhow::ensure!(status == 200, "Complete is answered with {status}: {text}");
        }
        Ok(())
    }
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = xml[start..].find('<')?;
    Some(&xml[start..start + end])
}
