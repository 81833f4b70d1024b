//! Values that need more than `FromStr`.

use std::collections::HashMap;
use std::str::FromStr;

use causeway::words::Word;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// `KEY=VALUE`; the value may be empty or hold `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub key: String,
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("write KEY=VALUE".to_owned()),
        }
    }
}

impl Pair {
    /// A key has one value here: see `repeats`.
    pub fn map(pairs: &[Self]) -> HashMap<String, String> {
        pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
    }
}

/// What an image has to be to be chosen: `name=GLOB` or `tag:KEY=GLOB`, as EC2 writes its filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    Name(String),
    Tag(Pair),
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "write name=GLOB or tag:KEY=GLOB".to_owned();
        let Pair { key, value } = text.parse().map_err(|_| refused())?;
        match key.strip_prefix("tag:") {
            Some(key) if !key.is_empty() => Ok(Self::Tag(Pair { key: key.to_owned(), value })),
            None if key == "name" && !value.is_empty() => Ok(Self::Name(value)),
            Some(_) | None => Err(refused()),
        }
    }
}

/// One of the contract's words, with completion.
pub fn word<T: Word + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::words())
        .try_map(|text| T::from_word(&text).ok_or("not one of the words"))
}

/// Requests a second; 0 from `unlimited`, as the API writes it.
pub fn requests(text: &str) -> Result<u32, String> {
    match (text, text.parse::<u32>()) {
        ("unlimited", _) => Ok(0),
        (_, Ok(number)) if number > 0 => Ok(number),
        _ => Err("write a whole number from 1, or `unlimited`".to_owned()),
    }
}
