//! What an operator does to the ledger beside the daemon: take it elsewhere, put it back, prove its log.

use std::path::Path;

use super::{Error, check};
use crate::ledger::{self, BackedUp, Tail, Verified};

/// Copies what the ledger can be made from to the new directory `to`; says what it copied.
///
/// # Errors
/// Where the configuration is faulty, or the copy is not whole.
pub fn backup(config: &Path, to: &Path) -> Result<String, Error> {
    let done = ledger::backup(&check(config)?.data_dir, to)?;
    Ok(format!("backed up {} to {}", counted(&done), to.display()))
}

/// Makes the ledger of an empty data directory from a backup; says what it made.
///
/// # Errors
/// Where the configuration is faulty, the backup is not what was written, or a ledger is there.
pub fn restore(config: &Path, from: &Path) -> Result<String, Error> {
    let data_dir = check(config)?.data_dir;
    let done = ledger::restore(&data_dir, from)?;
    let jobs = done.jobs.unwrap_or_default();
    Ok(format!("restored {jobs} jobs to {} from {}", data_dir.display(), counted(&done)))
}

/// Walks the chain of the audit log; says how long it is and what cannot be told of it.
///
/// # Errors
/// Where the configuration is faulty, or the log is not what was written.
pub fn verify_audit(config: &Path) -> Result<String, Error> {
    let found = ledger::verify(&check(config)?.data_dir)?;
    let Verified { segments, lines, torn_bytes, tail } = found;
    let mut text = format!("the audit log is whole: {lines} lines in {segments} segments");
    if torn_bytes > 0 {
        text.push_str(&format!(
            "\nafter the last line stand {torn_bytes} bytes of one that is being written, or that a \
             crash tore: then the next start cuts them off"
        ));
    }
    match tail {
        Tail::Whole => {}
        Tail::Owed(lines) => text.push_str(&format!(
            "\nthe ledger holds {lines} lines more, which the next start writes"
        )),
        Tail::Unknown(why) => text.push_str(&format!(
            "\nwhether lines were cut off at its end cannot be told without the ledger: {why}"
        )),
    }
    Ok(text)
}

fn counted(done: &BackedUp) -> String {
    let BackedUp { segments, lines, secrets, .. } = done;
    format!("{lines} audit lines in {segments} segments and {secrets} secrets of presigned sources")
}
