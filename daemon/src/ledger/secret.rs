//! The one secret that a job needs: the query of a presigned source. Neither the database nor the audit log
//! holds it. It is kept in a file of its own, named by the job, which only the daemon's user can read.
//!
//! # Crash consistency
//! The file is on disk before the audit line that refers to it. It is removed once nobody can need it: the
//! job has succeeded, or it ended otherwise, so that it may be retried, and the URL's time is over; where it only
//! ends later, by the first start after that. A crash in between leaves a file that the next start removes.
//!
//! # Invariants
//! - Between the moment that a secret is written and the one in which its job is entered nobody removes it,
//!   whoever else acts on the job meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Error, store};
use crate::base::clock;
use crate::model::{Address, Job, JobId, JobState, PresignedUrl, TransferSpec};

/// The directory's name in the data directory.
pub(super) const DIR: &str = "secrets";

/// What of this transfer is a secret; `None` where nothing is.
pub(super) fn of(spec: Option<&TransferSpec>) -> Option<&str> {
    match &spec?.source {
        Address::Object(_) => None,
        Address::Presigned(url) => url.secret(),
    }
}

/// Leaves the secret of this transfer out: no job holds it.
pub(super) fn leave_out(spec: &mut TransferSpec) {
    if let Address::Presigned(url) = &mut spec.source {
        *url = url.without_secret();
    }
}

/// Whether a secret was left out of this transfer: that of a URL with a query.
pub(super) fn was_left_out(spec: Option<&TransferSpec>) -> bool {
    presigned(spec).is_some_and(|url| url.expose().query().is_some())
}

/// The presigned source of this transfer; `None` where it has another one.
pub(super) fn presigned(spec: Option<&TransferSpec>) -> Option<&PresignedUrl> {
    match &spec?.source {
        Address::Object(_) => None,
        Address::Presigned(url) => Some(url),
    }
}

/// Whether the URL's time is over, as it says itself.
pub(super) fn is_over(url: &PresignedUrl) -> bool {
    url.expires_at().is_some_and(|end| end <= clock::now())
}

/// The secrets of the jobs that may need them.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    dir: PathBuf,
    /// The jobs whose secret is being kept for a change that is not entered yet; once for each such change.
    entering: Arc<Mutex<Vec<JobId>>>,
}

/// A change that needs a job's secret is on its way. Dropped once it was entered, or will not be.
#[derive(Debug)]
pub(super) struct Entering {
    id: JobId,
    secrets: Secrets,
}

impl Drop for Entering {
    fn drop(&mut self) {
        let mut entering = self.secrets.lock();
        let at = entering.iter().position(|id| *id == self.id);
        at.map(|at| entering.swap_remove(at));
    }
}

impl Secrets {
    /// The secrets kept in the data directory `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, Error> {
        let dir = data_dir.join(DIR);
        let made = store::make_dir(&dir);
        made.map_err(|source| Error::NotWritable { dir: dir.clone(), source })?;
        Ok(Self::at(dir))
    }

    /// Those in a directory that exists, to be read.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir, entering: Arc::default() }
    }

    /// Keeps the job's secret from being removed for as long as the answer lives.
    pub(super) fn entering(&self, id: JobId) -> Entering {
        self.lock().push(id);
        Entering { id, secrets: self.clone() }
    }

    /// Plain data that every holder leaves whole.
    fn lock(&self) -> MutexGuard<'_, Vec<JobId>> {
        self.entering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once the secret is on disk. Blocks.
    pub(super) fn keep(&self, id: JobId, secret: &str) -> Result<(), Error> {
        let written = self.write(id, secret);
        written.map_err(|source| Error::NotWritable { dir: self.dir.clone(), source })
    }

    fn write(&self, id: JobId, secret: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        // Nothing is cut off first: a full disk must not take away what is kept already.
        options.write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(self.path(id))?;
        file.write_all(secret.as_bytes())?;
        file.set_len(secret.len() as u64)?;
        file.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// The secret of a job; `None` where none is kept.
    pub(super) fn read(&self, id: JobId) -> Result<Option<String>, Error> {
        match fs::read_to_string(self.path(id)) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::NotWritable { dir: self.dir.clone(), source }),
        }
    }

    /// Whether the job's secret may be needed yet.
    pub(super) fn is_needed_by(&self, job: &Job) -> bool {
        match job.state {
            JobState::Queued | JobState::Running | JobState::Paused => true,
            JobState::Failed | JobState::Cancelled => !self.is_worthless(job),
            JobState::Succeeded => false,
        }
    }

    /// Whether the URL's time is over, as it says itself.
    fn is_worthless(&self, job: &Job) -> bool {
        let url = presigned(job.spec.as_ref());
        let kept = self.read(job.id).ok().flatten();
        url.zip(kept).is_some_and(|(url, secret)| is_over(&url.with_secret(&secret)))
    }

    /// Removes the job's secret unless it `is_needed`, asked while no change that needs the secret can begin.
    /// Where one is on its way, whoever makes it settles after it.
    pub(super) fn settle(&self, id: JobId, is_needed: impl FnOnce() -> bool) {
        let entering = self.lock();
        if !entering.contains(&id) && !is_needed() {
            self.forget(id);
        }
    }

    /// Removes the secret of a job that is over. What cannot be removed now is removed at a later
    /// start.
    fn forget(&self, id: JobId) {
        match fs::remove_file(self.path(id)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%id, %error, "the secret of a job that is over is left"),
        }
    }

    /// Removes every secret that is not `needed`.
    pub(super) fn sweep(&self, needed: impl Fn(JobId) -> bool) -> Result<(), Error> {
        let kept = list(&self.dir);
        let kept = kept.map_err(|source| Error::NotWritable { dir: self.dir.clone(), source })?;
        for id in kept {
            if !needed(id) {
                self.forget(id);
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, id: JobId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}

/// The jobs whose secrets are kept in `dir`.
pub(super) fn list(dir: &Path) -> io::Result<Vec<JobId>> {
    let mut ids = Vec::new();
    for found in fs::read_dir(dir)? {
        let name = found?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<JobId>().ok()));
    }
    Ok(ids)
}
