//! Holds what is said of the contract: the reference is made from it, and no version takes back what one
//! before it gave.
//!
//! `CAUSEWAY_WRITE=1 cargo test -p causeway-proto` writes `proto/API.md` and the surface of the version that
//! is being made; without it they are compared. What an earlier version released is never written again.

mod comments;
mod reference;
mod surface;

use std::path::{Path, PathBuf};
use std::{env, fs};

use causeway_proto::v1;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

const WRITE: &str = "CAUSEWAY_WRITE";

/// The contract's own file, without those that it imports.
fn contract() -> FileDescriptorProto {
    let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).expect("made by the build");
    let own = set.file.into_iter().find(|file| file.package() == "causeway.v1");
    own.expect("the package is in it")
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a file with what it should be, or writes it where a person asks for that.
fn compare(path: &Path, made: &str) {
    if env::var_os(WRITE).is_some() {
        fs::write(path, made).expect("a file of the tree can be written");
        return;
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    let line = differs.map_or("its end".to_owned(), |line| format!("line {}", line + 1));
    assert!(
        kept == made,
        "{} is not what the contract makes, from {line}: run {WRITE}=1 cargo test -p causeway-proto",
        path.display()
    );
}

#[test]
fn the_reference_is_what_the_contract_says() {
    compare(&here("API.md"), &reference::render(&contract()));
}

/// An additive change is a line more in a review, too.
#[test]
fn the_version_that_is_being_made_keeps_its_surface() {
    let present = surface::lines(&contract());
    let path = here("released").join(concat!(env!("CARGO_PKG_VERSION"), ".txt"));
    let kept = fs::read_to_string(&path).unwrap_or_default();
    // Once it is released, writing must not hide a breach.
    let breaches = surface::breaches(&kept, &present);
    assert!(breaches.is_empty(), "{}:\n{}", path.display(), breaches.join("\n"));
    compare(&path, &(present.join("\n") + "\n"));
}

#[test]
fn no_released_version_is_broken() {
    let present = surface::lines(&contract());
    let released = fs::read_dir(here("released")).expect("it is kept in the tree");
    let mut seen = 0;
    for version in released {
        let path = version.expect("a file").path();
        let breaches = surface::breaches(&fs::read_to_string(&path).expect("text"), &present);
        assert!(breaches.is_empty(), "{}:\n{}", path.display(), breaches.join("\n"));
        seen += 1;
    }
    assert!(seen > 0, "nothing was compared");
}

/// A number that was used once and is free again would be taken for what it was by an older peer.
#[test]
fn numbers_that_are_not_used_are_reserved() {
    assert_eq!(surface::gaps(&contract()), Vec::<String>::new());
}
