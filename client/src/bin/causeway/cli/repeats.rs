//! A key that is there twice. Of two values the last would win without a word: `cancel --label env=dev
//! --label env=prod` would end all of prod, where its help says that all labels must match.

use std::collections::HashMap;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Error};

use super::values::Pair;

/// The arguments that take pairs, by clap's id: their flag, and why there is one value a key.
const PAIRED: [(&str, &str, &str); 2] = [
    ("labels", "--label", "a job has one value of a label"),
    ("tags", "--tag", "a tag has one value"),
];

/// Refuses a key with two values, below whatever command. The same pair twice does no harm.
pub fn check(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    for (id, flag, reason) in PAIRED {
        // An error is a command that has no such argument.
        let pairs = matches.try_get_many::<Pair>(id).ok().flatten();
        if let Some(key) = repeated(pairs.into_iter().flatten()) {
            let text = format!("{flag} {key}= is there twice with different values: {reason}");
            return Err(command.error(ErrorKind::ValueValidation, text));
        }
    }
    match matches.subcommand() {
        Some((name, below)) => match command.find_subcommand_mut(name) {
            Some(command) => check(command, below),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The first key with a second value.
fn repeated<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Option<&'a str> {
    let mut values: HashMap<&str, &str> = HashMap::new();
    for Pair { key, value } in pairs {
        if values.insert(key, value).is_some_and(|before| before != value) {
            return Some(key);
        }
    }
    None
}
