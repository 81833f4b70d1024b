//! Whether the data directory can take another write: asked before work is accepted, because a
//! database on a full disk is one that may not open again.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::Error;
use crate::model::ByteCount;

/// Below this nothing new is accepted: what runs still has to write its parts and its end.
pub(super) const FREE_BYTES_MIN: u64 = 64 << 20;
/// Below this nothing at all is written. A database that meets the end of its disk has to be opened
/// anew; one that stops before it goes on once there is room.
pub(super) const RESERVE_BYTES: u64 = 16 << 20;

/// The room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What we may still write.
    pub free: u64,
    pub size: u64,
}

/// Fails where less than `floor` bytes are free in `dir`, or where a small write does not get to
/// the disk. Blocks.
pub(super) fn check(dir: &Path, floor: u64) -> Result<(), Error> {
    check_free(dir, floor)?;
    probe(dir).map_err(|source| Error::NotWritable { dir: dir.to_owned(), source })
}

/// Fails where less than `floor` bytes are free in `dir`. Takes about a microsecond.
pub(super) fn check_free(dir: &Path, floor: u64) -> Result<(), Error> {
    let Space { free, .. } = of(dir)?;
    if free < floor {
        let (free, floor) = (ByteCount(free), ByteCount(floor));
        return Err(Error::NoSpace { dir: dir.to_owned(), free, floor });
    }
    Ok(())
}

/// The room on the file system of `dir`. Takes about a microsecond.
pub(super) fn of(dir: &Path) -> Result<Space, Error> {
    let found = statvfs(dir).map_err(|errno| Error::NotWritable {
        dir: dir.to_owned(),
        source: io::Error::from(errno),
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    Ok(Space { free: bytes(found.blocks_available()), size: bytes(found.blocks()) })
}

/// One file that stays, so that checking again and again leaves nothing behind.
fn probe(dir: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(dir.join(".writable"))?;
    file.write_all(b"causeway\n")?;
    file.sync_all()
}
