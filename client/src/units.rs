//! Sizes, rates and lengths of time as people write them, and as they like to read them.
//!
//! Units are exact and case counts: `Mb` could be read as bits or bytes, so it is neither. A number with
//! a fraction is rounded down to whole bytes. All arithmetic is on integers: a limit of `0.3GiB` must
//! not depend on binary fractions.

use std::time::Duration;

/// A text that is not a size, a rate or a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "`{text}` is not a size: write bytes, or a number with B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"
    )]
    Size { text: String },
    #[error(
        "`{text}` is not a rate: write e.g. `600MiB/s`, `5Gbit/s`, or `unlimited`; to stop a job, pause it"
    )]
    Rate { text: String },
    #[error("`{text}` is not a length of time: write e.g. `90d`, `12h`; units are s, m, h, d, w")]
    Duration { text: String },
}

const SIZE_UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    // `5G` is what many tools take for GiB and others for GB: left out on purpose.
    ("bytes", 1),
];

const BIT_UNITS: [(&str, u64); 5] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("Mbit", 1_000_000),
    ("Gbit", 1_000_000_000),
    ("Tbit", 1_000_000_000_000),
];

/// No months and no years: they have no fixed length.
const TIME_UNITS: [(&str, u64); 5] =
    [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 7 * 86_400)];

/// Bytes from `256MiB`, `1.5GB`, `1048576`.
pub fn parse_size(text: &str) -> Result<u64, Error> {
    let error = || Error::Size { text: text.to_owned() };
    let (number, unit) = split(text).ok_or_else(error)?;
    let scale = lookup(&SIZE_UNITS, unit).ok_or_else(error)?;
    number.times(scale).ok_or_else(error)
}

/// Bytes a second from `600MiB/s` or `5Gbit/s`; 0 from `unlimited`, as the API writes it. A rate of
/// zero is an error, because it would read as its opposite.
pub fn parse_rate(text: &str) -> Result<u64, Error> {
    if text == "unlimited" {
        return Ok(0);
    }
    let error = || Error::Rate { text: text.to_owned() };
    let (number, unit) = text.strip_suffix("/s").and_then(split).ok_or_else(error)?;
    let bytes = match lookup(&BIT_UNITS, unit) {
        Some(scale) => number.times(scale).map(|bits| bits / 8),
        None => lookup(&SIZE_UNITS, unit).and_then(|scale| number.times(scale)),
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(error)
}

/// A length of time from `90d`, `12h` or `1.5h`, in whole seconds. Zero is an error: 'at once' has to be
/// said in other words, and a forgotten digit must not mean it.
pub fn parse_duration(text: &str) -> Result<Duration, Error> {
    let error = || Error::Duration { text: text.to_owned() };
    let (number, unit) = split(text).ok_or_else(error)?;
    let seconds = lookup(&TIME_UNITS, unit).and_then(|scale| number.times(scale));
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(error)
}

/// A decimal number: `digits / 10^decimals`.
struct Number {
    digits: u128,
    decimals: u32,
}

impl Number {
    fn times(&self, scale: u64) -> Option<u64> {
        let scaled = self.digits.checked_mul(u128::from(scale))?;
        u64::try_from(scaled / 10_u128.pow(self.decimals)).ok()
    }
}

/// The number and its unit; at most 20 digits before and 9 after the point.
fn split(text: &str) -> Option<(Number, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || whole.len() > 20 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let decimals = u32::try_from(fraction.len()).ok()?;
    Some((Number { digits, decimals }, unit.trim_start_matches(' ')))
}

fn lookup(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

/// `1.2 GiB`: binary units, three digits.
pub fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Hundredths of the unit, in integers: an f64 cannot hold every u64.
    let mut hundredths = u128::from(bytes) * 100;
    let mut unit = 0;
    hundredths /= 1024;
    while hundredths >= 1024 * 100 && unit + 1 < UNITS.len() {
        hundredths /= 1024;
        unit += 1;
    }
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{part:02} {}", UNITS[unit]),
        10..100 => format!("{whole}.{} {}", part / 10, UNITS[unit]),
        _ => format!("{whole} {}", UNITS[unit]),
    }
}

/// `612 MiB/s`.
pub fn format_rate(bytes_per_second: u64) -> String {
    format!("{}/s", format_size(bytes_per_second))
}

/// `42s`, `3m 07s`, `2h 05m`, `4d 03h`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `just now`, `42s ago`, `3m ago`, `2h ago`, `4d ago`.
pub fn format_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..2 => "just now".to_owned(),
        2..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_read_as_written() {
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        assert_eq!(parse_size("256MiB"), Ok(256 << 20));
        assert_eq!(parse_size("256 MiB"), Ok(256 << 20));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("0.3GiB"), Ok(322_122_547));
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in
            ["", "MiB", "5G", "5 gib", "-1", "1.", ".5MiB", "1.2.3", "1e3", "18446744073709551616"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("16384PiB").is_err(), "too large for 64 bits");
    }

    #[test]
    fn rates_read_as_written() {
        assert_eq!(parse_rate("600MiB/s"), Ok(600 << 20));
        assert_eq!(parse_rate("5Gbit/s"), Ok(625_000_000));
        assert_eq!(parse_rate("unlimited"), Ok(0));
    }

    /// `0` means unlimited in the API; somebody who types `0MiB/s` wants the opposite.
    #[test]
    fn a_rate_of_zero_is_refused() {
        assert!(parse_rate("0MiB/s").is_err());
        assert!(parse_rate("0").is_err());
        assert!(parse_rate("1bit/s").is_err());
        assert!(parse_rate("600MiB").is_err());
    }

    #[test]
    fn lengths_of_time_read_as_written() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        assert_eq!(seconds("1.5h"), Ok(5_400));
        assert_eq!(seconds("2w"), Ok(14 * 86_400));
        for text in ["", "90", "d", "0d", "0.1s", "3mo", "1y", "-1d", "1d12h"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_read_three_digits() {
        assert_eq!(format_size(0), "0 B");
        assert_eq!(format_size(1023), "1023 B");
        assert_eq!(format_size(1024), "1.00 KiB");
        assert_eq!(format_size(1 << 30), "1.00 GiB");
        assert_eq!(format_size(12_345_678), "11.7 MiB");
        assert_eq!(format_size(u64::MAX), "15.9 EiB");
        assert_eq!(format_rate(612 << 20), "612 MiB/s");
    }

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!(format_duration(Duration::from_secs(187)), "3m 07s");
        assert_eq!(format_duration(Duration::from_secs(7_500)), "2h 05m");
        assert_eq!(format_age(Duration::from_secs(200)), "3m ago");
        assert_eq!(format_age(Duration::ZERO), "just now");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse_size(&text);
            let _ = parse_rate(&text);
            let _ = parse_duration(&text);
        }

        #[test]
        fn whole_bytes_are_exact(bytes: u64) {
            prop_assert_eq!(parse_size(&bytes.to_string()), Ok(bytes));
            let _ = format_size(bytes);
        }
    }
}
