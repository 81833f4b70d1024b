//! Whose the data directory is: its files hold keys of presigned URLs and what everybody carried.
//!
//! The daemon makes them for its user alone. Where they have become looser since, by a copy or a `chmod`
//! that meant well, somebody may have read or changed them: that is a person's to judge, so that it is
//! refused and not mended.
//!
//! What is run by hand, beside the daemon or in its place, is mostly run by root, who may do everything: a lock or
//! a file of the database that root leaves there would keep the daemon from its own ledger. So it is refused before
//! it begins.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd;

use super::{Error, rebuild, secret};

/// Of a file, and of a directory that holds files: nothing for the group and for others.
const LOOSE: u32 = 0o077;
/// Of the data directory itself, which may be looked at: nobody else may exchange what is in it.
const WRITABLE: u32 = 0o022;
/// Files of one directory that are looked at. The database has a few; large values have one each.
const FILES_MAX: usize = 100_000;

/// Refuses a data directory that others can read or write, or whose files are another user's. One that is not
/// there yet is private. Blocks.
///
/// # Errors
/// [`Error::NotPrivate`] with the first path, [`Error::NotOwner`], or what cannot be read.
pub fn check_private(data_dir: &Path) -> Result<(), Error> {
    let unreadable = |source| Error::NotWritable { dir: data_dir.to_owned(), source };
    check(data_dir, WRITABLE).map_err(unreadable)?.map_or(Ok(()), Err)?;
    for dir in [rebuild::LEDGER, rebuild::AUDIT, secret::DIR] {
        let dir = data_dir.join(dir);
        check_owner(&dir)?;
        check_below(&dir).map_err(unreadable)?.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Refuses whoever is not the directory's owner, root too. One that is not there yet is anybody's. Blocks.
///
/// # Errors
/// [`Error::NotOwner`], or what cannot be read.
pub(super) fn check_owner(dir: &Path) -> Result<(), Error> {
    let found = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::NotWritable { dir: dir.to_owned(), source }),
        Ok(found) => found,
    };
    let owner = User::known(found.uid(), found.gid());
    let runs = User::known(unistd::geteuid().as_raw(), unistd::getegid().as_raw());
    not_owner(dir, &owner, &runs).map_or(Ok(()), Err)
}

fn not_owner(dir: &Path, owner: &User, runs: &User) -> Option<Error> {
    if owner.uid == runs.uid {
        return None;
    }
    let before = match (&owner.name, runs.uid) {
        (Some(name), 0) => format!("runuser -u {name} --"),
        (Some(name), _) => format!("sudo -u {name} --"),
        // A container's user may be a number alone, which neither of the two takes.
        (None, uid) => {
            let sudo = if uid == 0 { "" } else { "sudo " };
            let User { uid, gid, .. } = owner;
            format!("{sudo}setpriv --reuid {uid} --regid {gid} --clear-groups --")
        }
    };
    let (owner, runs) = (owner.to_string(), runs.to_string());
    Some(Error::NotOwner { dir: dir.to_owned(), owner, runs, before })
}

/// `causeway (uid 998)`, or `uid 998` where the host has no name for it.
struct User {
    uid: u32,
    gid: u32,
    name: Option<String>,
}

impl User {
    fn known(uid: u32, gid: u32) -> Self {
        let found = unistd::User::from_uid(unistd::Uid::from_raw(uid)).ok().flatten();
        Self { uid, gid, name: found.map(|user| user.name) }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
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
    fn whoever_is_not_the_owner_is_told_whose_it_is_and_how_to_become_that_user() {
        let user = |uid, name: &str| {
            let name = (!name.is_empty()).then(|| name.to_owned());
            User { uid, gid: 7, name }
        };
        let (root, alice) = (user(0, "root"), user(1000, "alice"));
        let (named, numbered) = (user(998, "causeway"), user(10001, ""));
        let told = |owner, runs| {
            let error = not_owner(Path::new("/data"), owner, runs).map(|error| error.to_string());
            error.unwrap_or_default()
        };
        for same in [&root, &alice, &named, &numbered] {
            assert_eq!(told(same, same), "");
        }
        assert_eq!(
            told(&named, &root),
            "/data belongs to causeway (uid 998), and root (uid 0) runs this: the daemon could not \
             open what that leaves there; run it as causeway (uid 998): put 'runuser -u causeway --' \
             before it"
        );
        for (owner, runs, before) in [
            (&named, &alice, "put 'sudo -u causeway --' before it"),
            (&root, &alice, "put 'sudo -u root --' before it"),
            (&numbered, &root, "'setpriv --reuid 10001 --regid 7 --clear-groups --'"),
            (&numbered, &alice, "'sudo setpriv --reuid 10001 --regid 7 --clear-groups --'"),
        ] {
            let told = told(owner, runs);
            assert!(told.contains(before), "{told}");
        }
    }

    #[test]
    fn what_is_ours_or_not_there_yet_may_be_written() {
        let data = tempfile::tempdir().expect("a directory");
        check_owner(data.path()).expect("ours");
        check_owner(&data.path().join("new")).expect("nobody's");
        let root = Path::new("/");
        let theirs = fs::metadata(root).expect("there").uid() != unistd::geteuid().as_raw();
        assert_eq!(check_owner(root).is_err(), theirs);
    }

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

    /// A container is given a directory of anybody's: whose the files are that it would open decides.
    #[test]
    fn what_another_user_wrote_is_refused_by_its_directory() {
        let data = tempfile::tempdir().expect("a directory");
        let dir = data.path().join(rebuild::LEDGER);
        fs::create_dir(&dir).expect("made");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("its owner");
        let nobody = Some(65_534);
        let give = |dir: &Path| std::os::unix::fs::chown(dir, nobody, nobody);
        if let Err(error) = give(data.path()) {
            eprintln!("not tried: to give a directory to another user takes root: {error}");
            return;
        }
        check_private(data.path()).expect("the files are ours");
        give(&dir).expect("as root");
        let error = check_private(data.path()).expect_err("another user's files");
        assert!(matches!(error, Error::NotOwner { dir: told, .. } if told == dir));
    }
}
