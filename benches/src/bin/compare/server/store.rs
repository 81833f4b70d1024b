//! What is there: objects that are only a number at the source; sizes and checksums of what was written
//! at the target, each held against the object it should be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use causewayd::integrity;

use super::Report;
use super::content::Content;
use super::reply::Refusal;

/// Faults beyond this many say nothing new.
const FAULTS_MAX: usize = 20;

/// All of one side.
pub struct Store {
    pub content: Content,
    pub objects: u64,
    pub size: u64,
    /// Whether this is the source, where the objects stand from the beginning.
    held: bool,
    connections_now: AtomicU64,
    written: Mutex<Written>,
}

/// What changes.
#[derive(Default)]
struct Written {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    uploads_begun: u64,
    /// CRC64NVME of the objects as they should be, as far as anybody asked.
    expected: BTreeMap<u64, u64>,
    report: Report,
}

/// An object that stands there.
#[derive(Debug, Clone)]
pub struct Object {
    pub index: u64,
    pub size: u64,
    pub etag: String,
    pub crc64nvme: u64,
}

#[derive(Debug, Clone)]
pub struct Upload {
    pub key: String,
    pub parts: BTreeMap<u64, Part>,
}

#[derive(Debug, Clone)]
pub struct Part {
    pub size: u64,
    pub etag: String,
    pub crc64nvme: u64,
}

impl Part {
    /// A part of these bytes. The ETag has a dash, so that nobody takes it for an MD5: the server
    /// would have to compute one, and so would a tool to compare it.
    pub fn new(size: u64, crc64nvme: u64) -> Self {
        Self { size, crc64nvme, etag: format!("\"{crc64nvme:016x}{size:016x}-1\"") }
    }
}

/// The key of object `index`.
pub fn key(index: u64) -> String {
    format!("object-{index:06}.bin")
}

impl Store {
    pub fn new(objects: u64, size: u64, held: bool) -> Self {
        Self {
            content: Content::new(),
            objects,
            size,
            held,
            connections_now: AtomicU64::new(0),
            written: Mutex::default(),
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which object a key stands for, whatever prefix it has.
    fn index(&self, key: &str) -> Option<u64> {
        let name = key.rsplit('/').next()?;
        let index = name.strip_prefix("object-")?.strip_suffix(".bin")?.parse().ok()?;
        (index < self.objects).then_some(index)
    }

    fn as_it_should_be(&self, index: u64) -> Object {
        let compute = || self.content.crc64nvme(index, self.size);
        let crc64nvme = *self.written().expected.entry(index).or_insert_with(compute);
        let etag = Part::new(self.size, crc64nvme).etag;
        Object { index, size: self.size, etag, crc64nvme }
    }

    /// The object at `key`.
    pub fn find(&self, key: &str) -> Option<Object> {
        if self.held {
            return self.index(key).map(|index| self.as_it_should_be(index));
        }
        self.written().objects.get(key).cloned()
    }

    /// Up to `max` keys behind `after` that begin with `prefix`, in order, and whether there are more.
    pub fn list(&self, prefix: &str, after: &str, max: usize) -> (Vec<(String, Object)>, bool) {
        let fits = |key: &String| key.starts_with(prefix) && key.as_str() > after;
        let mut keys: Vec<String> = match self.held {
            true => (0..self.objects).map(key).filter(fits).take(max + 1).collect(),
            false => self
                .written()
                .objects
                .keys()
                .filter(|key| fits(key))
                .take(max + 1)
                .cloned()
                .collect(),
        };
        let more = keys.len() > max;
        keys.truncate(max);
        let found = keys.into_iter().filter_map(|key| Some((self.find(&key)?, key)));
        (found.map(|(object, key)| (key, object)).collect(), more)
    }

    /// Puts an object there if it is the one that belongs there.
    pub fn publish(&self, key: &str, size: u64, crc64nvme: u64) -> Result<Object, Refusal> {
        let Some(index) = self.index(key) else {
            return Err(self.fault(format!("{key} is no object of the source")));
        };
        let expected = self.as_it_should_be(index);
        if (size, crc64nvme) != (expected.size, expected.crc64nvme) {
            return Err(self.fault(format!(
                "{key} has {size} bytes and CRC64NVME {crc64nvme:016x} instead of {} and {:016x}",
                expected.size, expected.crc64nvme
            )));
        }
        self.written().objects.insert(key.to_owned(), expected.clone());
        Ok(expected)
    }

    pub fn delete(&self, key: &str) {
        self.written().objects.remove(key);
    }

    /// Begins an upload and answers its id.
    pub fn begin(&self, key: &str) -> String {
        let mut written = self.written();
        written.uploads_begun += 1;
        let id = format!("upload-{:06}", written.uploads_begun);
        written.uploads.insert(id.clone(), Upload { key: key.to_owned(), parts: BTreeMap::new() });
        id
    }

    /// Adds a part, or replaces it.
    pub fn add(&self, upload: &str, number: u64, part: Part) -> Result<(), Refusal> {
        let mut written = self.written();
        let upload = written.uploads.get_mut(upload).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, part);
        Ok(())
    }

    pub fn upload(&self, id: &str) -> Result<Upload, Refusal> {
        self.written().uploads.get(id).cloned().ok_or_else(no_such_upload)
    }

    pub fn uploads(&self) -> Vec<(String, Upload)> {
        self.written().uploads.clone().into_iter().collect()
    }

    pub fn abort(&self, upload: &str) -> Result<(), Refusal> {
        self.written().uploads.remove(upload).map(drop).ok_or_else(no_such_upload)
    }

    /// Publishes the object that the parts `named`, with their ETags, make.
    pub fn complete(&self, id: &str, named: &[(u64, String)]) -> Result<Object, Refusal> {
        let upload = self.upload(id)?;
        let (mut size, mut crc) = (0, integrity::crc64nvme(b""));
        for (number, etag) in named {
            let found = upload.parts.get(number).filter(|part| &part.etag == etag);
            let part = found.ok_or_else(|| {
                Refusal::new(400, "InvalidPart", format!("no part {number} with {etag}"))
            })?;
            crc = integrity::combine(crc, part.crc64nvme, part.size);
            size += part.size;
        }
        let object = self.publish(&upload.key, size, crc)?;
        self.abort(id)?;
        Ok(object)
    }

    /// Counts a fault and makes the refusal of it.
    pub fn fault(&self, message: String) -> Refusal {
        let faults = &mut self.written().report.faults;
        if faults.len() < FAULTS_MAX {
            faults.push(message.clone());
        }
        Refusal::new(400, "BadDigest", message)
    }

    /// Counts a request.
    pub fn asked(&self, operation: &str) {
        let mut written = self.written();
        let requests = &mut written.report.requests;
        match requests.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(requests.insert(operation.to_owned(), 1)),
        }
    }

    /// Counts a connection, for as long as the answer lives.
    pub fn connected(&self) -> impl Drop {
        let now = self.connections_now.fetch_add(1, Ordering::Relaxed) + 1;
        let report = &mut self.written().report;
        report.connections += 1;
        report.connections_max = report.connections_max.max(now);
        Connected(&self.connections_now)
    }

    pub fn report(&self) -> Report {
        let written = self.written();
        Report {
            // Nothing wrong is ever published.
            objects_right: written.objects.len() as u64,
            uploads_open: written.uploads.len() as u64,
            ..written.report.clone()
        }
    }

    pub fn clear(&self) {
        let mut written = self.written();
        let expected = std::mem::take(&mut written.expected);
        let uploads_begun = written.uploads_begun;
        *written = Written { expected, uploads_begun, ..Written::default() };
    }
}

struct Connected<'a>(&'a AtomicU64);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn no_such_upload() -> Refusal {
    Refusal::new(404, "NoSuchUpload", "the upload does not exist")
}
