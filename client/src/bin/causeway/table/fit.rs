//! Text in so many columns of a terminal.

use ratatui::text::Span;

/// Characters of an id that tell jobs apart: the first ones are the time, which many share.
const SHORT_ID: usize = 8;

/// What stands for what is left out, where the locale is UTF-8 and elsewhere.
pub fn ellipsis(is_utf8: bool) -> &'static str {
    if is_utf8 { "\u{2026}" } else { "..." }
}

/// Whether the environment says that the terminal takes UTF-8.
pub fn has_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    locale.is_some_and(|locale| is_utf8(&locale))
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

/// Columns that the text takes.
pub fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most so many columns, the mark in the place of its end.
pub fn without_end(text: String, width: usize, mark: &str) -> String {
    if columns(&text) <= width {
        return text;
    }
    match width.checked_sub(columns(mark)) {
        Some(room) => format!("{}{mark}", head(&text, room)),
        None => head(&text, width).to_owned(),
    }
}

/// The same without its middle: of a key, both ends tell.
pub fn without_middle(text: String, width: usize, mark: &str) -> String {
    if columns(&text) <= width {
        return text;
    }
    around(&text, width, mark, 2)
}

/// The same with a third of its beginning: remotes and buckets are few, and objects many.
pub fn with_more_of_end(text: String, width: usize, mark: &str) -> String {
    if columns(&text) <= width {
        return text;
    }
    around(&text, width, mark, 3)
}

/// Both ends of the text, the beginning in one of so many shares of the room.
fn around(text: &str, width: usize, mark: &str, shares: usize) -> String {
    match width.checked_sub(columns(mark)) {
        Some(room) => {
            let for_head = room / shares;
            format!("{}{mark}{}", head(text, for_head), tail(text, room - for_head))
        }
        None => head(text, width).to_owned(),
    }
}

/// The end of an id.
pub fn short(id: &str) -> &str {
    let from = id.char_indices().rev().nth(SHORT_ID - 1).map_or(0, |(at, _)| at);
    &id[from..]
}

/// The most of the text's beginning that takes at most so many columns.
fn head(text: &str, width: usize) -> &str {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    let fits = ends.take_while(|end| columns(&text[..*end]) <= width);
    &text[..fits.last().unwrap_or(0)]
}

/// The same of its end.
fn tail(text: &str, width: usize) -> &str {
    let begins = text.char_indices().rev().map(|(at, _)| at);
    let fits = begins.take_while(|begin| columns(&text[*begin..]) <= width);
    &text[fits.last().unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_the_mark() {
        assert!(is_utf8("C.UTF-8") && is_utf8("de_DE.utf8"));
        assert!(!is_utf8("C") && !is_utf8("en_US.ISO-8859-1"));
    }

    #[test]
    fn both_ends_of_a_long_key_stay() {
        let key = "com:images/ami-0abc.bin";
        let fitted = |width, is_utf8| without_middle(key.to_owned(), width, ellipsis(is_utf8));
        assert_eq!(fitted(13, true), "com:im\u{2026}bc.bin");
        assert_eq!(fitted(13, false), "com:i...c.bin");
        assert_eq!(fitted(23, false), key);
        assert_eq!(fitted(2, false), "co");
        let more = with_more_of_end(key.to_owned(), 13, ellipsis(true));
        assert_eq!(more, "com:\u{2026}0abc.bin");
    }
}
