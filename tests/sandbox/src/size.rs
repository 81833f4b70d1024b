//! Sizes as people write them.

/// Reads `1GiB`, `500MB`, `64k` or a plain number of bytes.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} does not start with a number"))?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        other => return Err(format!("{other:?} is no unit: try MiB, GiB, MB or GB")),
    };
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

/// Writes a size with the largest unit that leaves a number people can read.
pub(crate) fn show(bytes: u64) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        // A hundredth is enough for people.
        Some((name, unit)) => {
            let hundredths = u128::from(bytes) * 100 / u128::from(unit);
            format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("1GiB"), Ok(1 << 30));
        assert_eq!(parse("500MB"), Ok(500_000_000));
        assert_eq!(parse("64k"), Ok(65536));
        assert_eq!(parse("12"), Ok(12));
        assert!(parse("GiB").is_err());
        assert!(parse("1parsec").is_err());
        assert!(parse("99999999TiB").is_err());
    }

    #[test]
    fn sizes_are_shown_with_two_decimals() {
        assert_eq!(show(1 << 30), "1.00 GiB");
        assert_eq!(show(1_610_612_736), "1.50 GiB");
        assert_eq!(show(7), "7 bytes");
    }
}
