//! Whose the data directory is: its files hold keys of presigned URLs and what everybody carried.
//!
//! The daemon makes them for its user alone. Where they have become looser since, by a copy or a `chmod`
//! that meant well, somebody may have read or changed them: that is a person's to judge, so that it is
//! refused and not mended.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Error, rebuild, secret};

/// Of a file, and of a directory that holds files: nothing for the group and for others.
const LOOSE: u32 = 0o077;
/// Of the data directory itself, which may be looked at: nobody else may exchange what is in it.
const WRITABLE: u32 = 0o022;
/// Files of one directory that are looked at. The database has a few; large values have one each.
const FILES_MAX: usize = 100_000;

/// Refuses a data directory that others can read or write. One that is not there yet is private. Blocks.
///
/// # Errors
/// [`Error::NotPrivate`] with the first path, or what cannot be read.
pub fn check_private(data_dir: &Path) -> Result<(), Error> {
    let unreadable = |source| Error::NotWritable { dir: data_dir.to_owned(), source };
    check(data_dir, WRITABLE).map_err(unreadable)?.map_or(Ok(()), Err)?;
    for dir in [rebuild::LEDGER, rebuild::AUDIT, secret::DIR] {
        let dir = data_dir.join(dir);
        check_below(&dir).map_err(unreadable)?.map_or(Ok(()), Err)?;
    }
    Ok(())
}

fn check_below(dir: &Path) -> io::Result<Option<Error>> {
    if let Some(found) = check(dir, LOOSE)? {
        return Ok(Some(found));
    }
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries.take(FILES_MAX) {
        if let Some(found) = check(&entry?.path(), LOOSE)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn check(path: &Path, refused: u32) -> io::Result<Option<Error>> {
    let found = match fs::metadata(path) {
        // A file of the database may go while it is looked at, and a new directory has none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    // Neither a device nor a pipe keeps what is written to it.
    let keeps = found.is_file() || found.is_dir();
    let mode = found.mode();
    let loose = keeps && mode & refused != 0;
    Ok(loose.then(|| Error::NotPrivate { path: path.to_owned(), mode: mode & 0o7777 }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_others_can_read_or_write_is_refused_by_its_path() {
        let data = tempfile::tempdir().expect("a directory");
        check_private(&data.path().join("new")).expect("not there yet");
        let dir = data.path().join(rebuild::AUDIT);
        let file = dir.join("audit-1.jsonl");
        fs::create_dir(&dir).expect("made");
        fs::write(&file, "{}").expect("made");
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its owner");
        };
        for (data_mode, dir_mode, file_mode, culprit) in [
            (0o755, 0o700, 0o600, None),
            (0o700, 0o700, 0o400, None),
            (0o777, 0o700, 0o600, Some(data.path())),
            (0o700, 0o750, 0o600, Some(&*dir)),
            (0o700, 0o700, 0o644, Some(&*file)),
            (0o700, 0o700, 0o620, Some(&*file)),
        ] {
            set(data.path(), data_mode);
            set(&dir, dir_mode);
            set(&file, file_mode);
            let refused = match check_private(data.path()) {
                Ok(()) => None,
                Err(Error::NotPrivate { path, .. }) => Some(path),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(refused.as_deref(), culprit, "{data_mode:o} {dir_mode:o} {file_mode:o}");
        }
    }
}
