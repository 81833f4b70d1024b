//! Sizes and rates with their units, as people write them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A text that is not a quantity of this unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what}: expected {expected}")]
pub struct NotAQuantity {
    text: String,
    what: &'static str,
    expected: &'static str,
}

/// Splits `"1.5GiB"` into its number and its unit.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

/// The most that is taken, and a whole number of each unit: what is below it is also so when it is printed
/// with three digits, and can be read again.
const MOST: u64 = 1 << 62;

/// `number * factor`, where it is a whole and sane count.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product is checked to lie between 0 and 2^62"
)]
fn scaled(number: f64, factor: f64) -> Option<u64> {
    let product = (number * factor).round();
    (0.0..=MOST as f64).contains(&product).then_some(product as u64)
}

#[allow(clippy::cast_precision_loss, reason = "for people, three digits")]
fn human(f: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    let (unit, name) = match bytes {
        0..KIB => return write!(f, "{bytes} B"),
        KIB..MIB => (KIB, "KiB"),
        MIB..GIB => (MIB, "MiB"),
        GIB..TIB => (GIB, "GiB"),
        _ => (TIB, "TiB"),
    };
    if bytes.is_multiple_of(unit) {
        write!(f, "{} {name}", bytes / unit)
    } else {
        write!(f, "{:.2} {name}", bytes as f64 / unit as f64)
    }
}

/// A number of bytes. Written `256MiB`, `8 GB` or `1048576`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

impl ByteCount {
    /// `n` mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n * MIB)
    }

    /// `n` gibibytes.
    pub const fn gib(n: u64) -> Self {
        Self(n * GIB)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        human(f, self.0)
    }
}

impl FromStr for ByteCount {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (number, unit) = number_and_unit(text)?;
            scaled(number, byte_unit(unit)?).map(Self)
        };
        parse().ok_or_else(|| NotAQuantity {
            text: text.chars().take(64).collect(),
            what: "size",
            expected: "a number and a unit, such as 256MiB or 8GB",
        })
    }
}

fn byte_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    })
}

/// Bytes a second. Written `600MiB/s` or, in bits, `5Gbit/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bandwidth(pub u64);

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        human(f, self.0)?;
        f.write_str("/s")
    }
}

impl FromStr for Bandwidth {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (number, unit) = number_and_unit(text)?;
            let unit = unit.strip_suffix("/s")?;
            let factor = match unit {
                "bit" => 0.125,
                "kbit" | "Kbit" => 125.0,
                "Mbit" => 125e3,
                "Gbit" => 125e6,
                "Tbit" => 125e9,
                bytes if !bytes.is_empty() => byte_unit(bytes)?,
                _ => return None,
            };
            scaled(number, factor).filter(|rate| *rate > 0).map(Self)
        };
        parse().ok_or_else(|| NotAQuantity {
            text: text.chars().take(64).collect(),
            what: "bandwidth",
            expected: "a number above 0 and a unit, such as 600MiB/s or 5Gbit/s",
        })
    }
}

/// Reads a quantity from a number (the ledger) or from text (the configuration).
struct Quantity<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = NotAQuantity> + From<u64>> Visitor<'_> for Quantity<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or a text with a unit")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        Ok(T::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        u64::try_from(value)
            .map(T::from)
            .map_err(|_| E::custom(format_args!("{value} is negative")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl From<u64> for ByteCount {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<u64> for Bandwidth {
    fn from(bytes_per_second: u64) -> Self {
        Self(bytes_per_second)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Quantity(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Quantity(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1_048_576),
            ("256MiB", 256 << 20),
            ("8 GB", 8_000_000_000),
            ("1.5GiB", 1_610_612_736),
        ] {
            assert_eq!(text.parse(), Ok(ByteCount(bytes)), "{text}");
        }
        for text in ["", "MiB", "12 parsecs", "-1", "1e9", "99999999999999TiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn bandwidths_tell_bits_from_bytes() {
        assert_eq!("5Gbit/s".parse(), Ok(Bandwidth(625_000_000)));
        assert_eq!("600MiB/s".parse(), Ok(Bandwidth(600 << 20)));
        for text in ["5Gbit", "600", "0MiB/s", "/s", "5 Gb/s"] {
            assert!(text.parse::<Bandwidth>().is_err(), "{text}");
        }
    }

    /// 2^63 - 1 was taken, printed as `8388608.00 TiB`, and that was refused.
    #[test]
    fn the_largest_that_is_taken_is_read_again_as_it_is_printed() {
        for text in ["4194304 TiB", "4611686018427387390", "4503599627370495.9KiB"] {
            let read: ByteCount = text.parse().expect(text);
            let printed = read.to_string();
            assert!(printed.parse::<ByteCount>().is_ok(), "{text}: {printed}");
        }
        for text in ["9223372036852387903", "4194305 TiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_printed_for_people() {
        assert_eq!(ByteCount(512).to_string(), "512 B");
        assert_eq!(ByteCount::gib(1).to_string(), "1 GiB");
        assert_eq!(ByteCount(1_610_612_736).to_string(), "1.50 GiB");
        assert_eq!(Bandwidth(600 << 20).to_string(), "600 MiB/s");
    }
}
