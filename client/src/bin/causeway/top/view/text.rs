//! Words that fit: elided, compact, and harmless.

use causeway::units::format_size;

use super::super::theme::Theme;
use crate::print::plain;
pub use crate::table::fit::{columns, short};
use crate::table::fit::{without_end, without_middle};

/// The text in at most so many columns, without its end.
pub fn elide(text: &str, width: usize, theme: Theme) -> String {
    without_end(plain(text), width, theme.ellipsis())
}

/// The same without its middle: of a key, both ends tell.
pub fn elide_middle(text: &str, width: usize, theme: Theme) -> String {
    without_middle(plain(text), width, theme.ellipsis())
}

/// Exactly so many columns, elided or filled up with blanks.
pub fn pad(text: &str, width: usize, theme: Theme) -> String {
    let mut text = elide(text, width, theme);
    text.push_str(&" ".repeat(width.saturating_sub(columns(&text))));
    text
}

/// The same, at the right.
pub fn pad_left(text: &str, width: usize, theme: Theme) -> String {
    let text = elide(text, width, theme);
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(&text))))
}

/// `1.20 GiB` as `1.20G`, for columns that are narrow: binary units.
pub fn compact_size(bytes: u64) -> String {
    format_size(bytes).replace("iB", "").replace(' ', "")
}

/// The same for what passes in a second; nothing is a dash.
pub fn compact_rate(bytes_per_second: u64) -> String {
    match bytes_per_second {
        0 => "-".to_owned(),
        rate => compact_size(rate),
    }
}

/// `12k` of 12,345: four columns at most. What is short as it is, is exact.
pub fn compact_count(count: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    match UNITS.iter().find(|(scale, _)| count >= *scale) {
        Some((scale, unit)) if count >= 10_000 => match count / scale {
            whole @ 0..10 => format!("{whole}.{}{unit}", count % scale / (scale / 10)),
            whole => format!("{whole}{unit}"),
        },
        _ => count.to_string(),
    }
}

/// `52m` of `52m 10s`: what matters first.
pub fn compact_time(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..360_000 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Theme = Theme { colour: false, unicode: false };
    const UTF8: Theme = Theme { colour: false, unicode: true };

    #[test]
    fn both_ends_of_a_long_key_stay() {
        assert_eq!(elide_middle("com:images/ami-0abc.bin", 13, UTF8), "com:im\u{2026}bc.bin");
        assert_eq!(elide_middle("com:images/ami-0abc.bin", 13, PLAIN), "com:i...c.bin");
        assert_eq!(elide("transferring", 8, UTF8), "transfe\u{2026}");
        assert_eq!(elide("transferring", 2, PLAIN), "tr");
        assert_eq!(pad("ab", 4, UTF8), "ab  ");
        assert_eq!(pad_left("ab", 4, UTF8), "  ab");
    }

    #[test]
    fn figures_fit_narrow_columns() {
        assert_eq!(compact_rate(612 << 20), "612M");
        assert_eq!(compact_rate(0), "-");
        assert_eq!(compact_size(5_000_000_000_000), "4.54T");
        let counts = [9_999, 10_000, 999_999, 1_000_000, 9_990_000, 10_000_000, u64::MAX];
        let compact = ["9999", "10k", "999k", "1.0M", "9.9M", "10M", "18E"];
        assert_eq!(counts.map(compact_count), compact);
        assert_eq!(compact_time(187), "3m");
        assert_eq!(compact_time(7_500), "2h05");
        assert_eq!(short("01K7Z3M8Q4T5V6W7X8Y9Z0A1B2"), "Y9Z0A1B2");
        assert_eq!(short("J1"), "J1");
    }

    proptest! {
        /// Wide, combining and zero-width characters included.
        #[test]
        fn no_text_is_wider_than_its_place(text in "\\PC{0,40}", width in 0_usize..40) {
            for theme in [PLAIN, UTF8] {
                prop_assert!(columns(&elide(&text, width, theme)) <= width);
                prop_assert!(columns(&pad(&text, width, theme)) <= width.max(1));
                prop_assert!(columns(&elide_middle(&text, width, theme)) <= width + 2);
            }
            let _ = short(&text);
        }

        #[test]
        fn every_figure_is_compact(number: u64) {
            prop_assert!(compact_size(number).len() <= 6, "{}", compact_size(number));
            prop_assert!(compact_count(number).len() <= 4, "{}", compact_count(number));
            prop_assert!(compact_time(number % 10_000_000_000).len() <= 7);
        }
    }
}
