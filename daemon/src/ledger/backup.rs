//! Taking the ledger elsewhere and back, and proving that its log is whole.
//!
//! A backup is the audit log, the secrets kept apart, and a manifest with the BLAKE3 of each file: all
//! that a rebuild needs. The database is left out, since no second process can open it while the
//! daemon runs, and a copy of its files in mid-write proves nothing.
//!
//! A backup leaves nothing in the data directory, and may be anybody's who can read that. Whatever opens the
//! database, or makes it, is for the directory's owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::audit::{chain, segment};
use super::lock::Lock;
use super::outbox;
use super::private;
use super::rebuild::{self, AUDIT, LEDGER};
use super::secret::{self, Secrets};
use super::store::{self, Store, Table};
use super::{Error, clock, integrity};

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    daemon_version: String,
    made_at: String,
    /// The number of the last audit line.
    last_seq: u64,
    files: Vec<Held>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// Below the backup's directory.
    path: PathBuf,
    bytes: u64,
    /// Hexadecimal.
    blake3: String,
}

/// What was written, or put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    pub segments: u64,
    pub lines: u64,
    /// Secrets of presigned sources.
    pub secrets: u64,
    /// Jobs that were made again; `None` for a backup, which makes none.
    pub jobs: Option<u64>,
}

/// Whether the log may have been cut off at its end, which its chain cannot tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// The ledger knows of no later change.
    Whole,
    /// The daemon stopped in between: it writes so many lines more at its next start.
    Owed(u64),
    /// The ledger could not be asked.
    Unknown(String),
}

/// An audit log whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub segments: u64,
    pub lines: u64,
    /// After the last whole line: being written just now, or torn by a crash.
    pub torn_bytes: u64,
    pub tail: Tail,
}

/// Copies what a rebuild needs from the data directory to the new directory `to`. The daemon may run
/// meanwhile. Blocks.
///
/// # Errors
/// Where `to` holds anything, the log's chain does not hold, or a file cannot be copied; or where `to` is
/// in the data directory, and that is another user's.
pub fn backup(data_dir: &Path, to: &Path) -> Result<BackedUp, Error> {
    let at = failing;
    if std::path::absolute(to).is_ok_and(|to| to.starts_with(data_dir)) {
        private::check_owner(data_dir)?;
    }
    store::make_dir(to).map_err(at(to))?;
    if fs::read_dir(to).map_err(at(to))?.next().is_some() {
        return Err(refused(to, "it is not empty: name a new directory for each backup"));
    }
    for dir in [AUDIT, secret::DIR] {
        store::make_dir(&to.join(dir)).map_err(at(to))?;
    }
    // A secret is written before its line and removed after its job's last: copied before and after the
    // log, none is missing for a job that was not over when its lines were read.
    copy_secrets(data_dir, to)?;
    copy_log(data_dir, to)?;
    copy_secrets(data_dir, to)?;
    let walked = chain::walk(&to.join(AUDIT), |_| Ok(()))?;
    let secrets = secret::list(&to.join(secret::DIR)).map_err(at(to))?.len();
    let mut files = Vec::new();
    for dir in [AUDIT, secret::DIR] {
        for found in fs::read_dir(to.join(dir)).map_err(at(to))? {
            let path = Path::new(dir).join(found.map_err(at(to))?.file_name());
            files.push(hold(to, path)?);
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest {
        format: FORMAT,
        daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: clock::rfc3339(clock::now()),
        last_seq: walked.last_seq(),
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| at(to)(error.into()))?;
    write_new(&to.join(MANIFEST), &mut text.as_slice()).map_err(at(to))?;
    for dir in [to.join(AUDIT), to.join(secret::DIR), to.to_owned()] {
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(at(&dir))?;
    }
    let (segments, lines) = (walked.segments, walked.lines);
    Ok(BackedUp { segments, lines, secrets: secrets as u64, jobs: None })
}

/// Makes the ledger of an empty data directory from the backup in `from`. Blocks.
///
/// # Errors
/// Where a file or the chain is not as the manifest has it, a daemon runs there, or there is a ledger
/// already; [`Error::NotOwner`] where the data directory is another user's.
pub fn restore(data_dir: &Path, from: &Path) -> Result<BackedUp, Error> {
    let at = failing;
    private::check_owner(data_dir)?;
    let manifest = read_manifest(from)?;
    let walked = chain::walk(&from.join(AUDIT), |_| Ok(()))?;
    if walked.last_seq() != manifest.last_seq {
        return Err(refused(from, "its log does not end where its manifest says"));
    }
    store::make_dir(data_dir).map_err(at(data_dir))?;
    let _lock = Lock::take_at_once(data_dir)?;
    refuse_to_overwrite(data_dir)?;
    // A crash before the log is in its place leaves nothing that a daemon would start from, one after
    // it a log that the daemon makes its ledger from by itself.
    let log = data_dir.join("audit.new");
    rebuild::remove_unfinished(&log).map_err(at(&log))?;
    for dir in [&log, &data_dir.join(secret::DIR)] {
        store::make_dir(dir).map_err(at(dir))?;
    }
    for held in &manifest.files {
        let to = match held.path.strip_prefix(AUDIT) {
            Ok(name) => log.join(name),
            Err(_) => data_dir.join(&held.path),
        };
        let mut file = File::open(from.join(&held.path)).map_err(at(from))?;
        write_new(&to, &mut file).map_err(at(&to))?;
    }
    let secrets = secret::list(&data_dir.join(secret::DIR)).map_err(at(data_dir))?.len();
    let jobs = rebuild::build(data_dir, &log, &Secrets::at(data_dir.join(secret::DIR)))?;
    let place = data_dir.join(AUDIT);
    for old in segments_in(&place)? {
        fs::remove_file(&old.path).map_err(at(&old.path))?;
    }
    fs::rename(&log, &place).map_err(at(&place))?;
    rebuild::replace(data_dir, "empty").map_err(at(data_dir))?;
    for dir in [&place, &data_dir.join(secret::DIR), &data_dir.to_owned()] {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
    }
    let (segments, lines) = (walked.segments, walked.lines);
    Ok(BackedUp { segments, lines, secrets: secrets as u64, jobs: Some(jobs) })
}

/// Walks the chain of the audit log and, where no daemon holds the ledger, compares its end with it.
/// Blocks.
///
/// # Errors
/// [`Error::Chain`], which names the segment and the line; [`Error::NotOwner`] where the data directory is
/// another user's, since to open the ledger is to write to it.
pub fn verify(data_dir: &Path) -> Result<Verified, Error> {
    private::check_owner(data_dir)?;
    let dir = data_dir.join(AUDIT);
    let walked = chain::walk(&dir, |_| Ok(()))?;
    let last = walked.last_seq();
    let tail = match known(data_dir) {
        Err(error) => Tail::Unknown(error.to_string()),
        Ok(None) if last == 0 => Tail::Whole,
        Ok(None) => Tail::Unknown("there is no ledger to compare it with".into()),
        Ok(Some((_, newest))) if newest <= last => Tail::Whole,
        Ok(Some((oldest, newest))) if oldest <= last + 1 => Tail::Owed(newest - last),
        Ok(Some((_, newest))) => {
            let segments = segments_in(&dir)?;
            let segment = segments.last().map(segment::Segment::name).unwrap_or_default();
            let what = format!(
                "the log ends with number {last}, and the ledger knows {newest}: its end was cut off"
            );
            let first = segments.last().map_or(1, |segment| segment.first);
            return Err(Error::Chain { segment, line: last + 2 - first.min(last + 1), what });
        }
    };
    let (segments, lines, torn_bytes) = (walked.segments, walked.lines, walked.torn_bytes);
    Ok(Verified { segments, lines, torn_bytes, tail })
}

/// The lowest and the highest audit number that the database has, where it can be asked.
fn known(data_dir: &Path) -> Result<Option<(u64, u64)>, Error> {
    let path = data_dir.join(LEDGER);
    if !path.join("db").exists() {
        return Ok(None);
    }
    let _lock = Lock::take_at_once(data_dir)?;
    let store = Store::open(&path)?;
    match store::caught(|| outbox::numbers(&store)) {
        Ok(numbers) => Ok(numbers),
        Err(error) => Err(store.abandon(error)),
    }
}

/// A ledger that never took a job, as a daemon's first start leaves it, may go.
fn refuse_to_overwrite(data_dir: &Path) -> Result<(), Error> {
    let remedy = "it holds a ledger already: restore into an empty data_dir, or move this one away";
    let log = data_dir.join(AUDIT);
    if log.exists() && chain::walk(&log, |_| Ok(()))?.lines > 0 {
        return Err(refused(data_dir, remedy));
    }
    let path = data_dir.join(LEDGER);
    if path.exists() {
        let store = Store::open(&path)?;
        if !store.tree(Table::Jobs).is_empty() {
            return Err(refused(data_dir, remedy));
        }
    }
    Ok(())
}

fn read_manifest(from: &Path) -> Result<Manifest, Error> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).map_err(failing(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| refused(&path, &format!("it is not a manifest of a backup: {error}")))?;
    if manifest.format != FORMAT {
        return Err(refused(&path, "another version of the daemon made this backup: use that one"));
    }
    for held in &manifest.files {
        let plain =
            |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        if !held.path.components().all(plain) {
            return Err(refused(&path, "it names a file outside of the backup"));
        }
        if hold(from, held.path.clone())? != *held {
            return Err(refused(&from.join(&held.path), "it is not what the manifest says"));
        }
    }
    Ok(manifest)
}

fn copy_secrets(data_dir: &Path, to: &Path) -> Result<(), Error> {
    let dir = data_dir.join(secret::DIR);
    if !dir.exists() {
        return Ok(());
    }
    let (from, to) = (Secrets::at(dir.clone()), Secrets::at(to.join(secret::DIR)));
    for id in secret::list(&dir).map_err(failing(&dir))? {
        // Its job may have ended since.
        if let Some(secret) = from.read(id)? {
            to.keep(id, &secret)?;
        }
    }
    Ok(())
}

/// Copies every segment up to its last whole line: the last one may grow meanwhile.
fn copy_log(data_dir: &Path, to: &Path) -> Result<(), Error> {
    for segment in segments_in(&data_dir.join(AUDIT))? {
        let at = failing(&segment.path);
        let copy = || {
            let file = File::open(&segment.path)?;
            let len = segment::whole_len(&file)?;
            write_new(&to.join(AUDIT).join(segment.name()), &mut file.take(len))
        };
        copy().map_err(at)?;
    }
    Ok(())
}

fn segments_in(dir: &Path) -> Result<Vec<segment::Segment>, Error> {
    match segment::list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(failing(dir)),
    }
}

/// Writes a file that only its owner can read, whole and on disk. What a restore that was broken off
/// left there is replaced.
fn write_new(path: &Path, from: &mut impl io::Read) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    io::copy(from, &mut file)?;
    file.flush()?;
    file.sync_all()
}

fn hold(dir: &Path, path: PathBuf) -> Result<Held, Error> {
    let whole = dir.join(&path);
    let hash = || {
        let mut file = File::open(&whole)?;
        let mut hasher = integrity::ObjectHasher::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((hasher.position(), hasher.finish().blake3_hex()));
            }
            hasher.update(&buffer[..read]);
        }
    };
    let (bytes, blake3) = hash().map_err(failing(&whole))?;
    Ok(Held { path, bytes, blake3 })
}

fn failing(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Backup { path: path.clone(), why: error.to_string() }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Backup { path: path.to_owned(), why: why.to_owned() }
}
