//! Rust as text, as far as the rules need it: comments and literals blanked out, and where functions,
//! imports and test items stand. No parser: a rule that this cannot see is a rule for review.

/// The names that follow `crate::`, those of a group each.
pub fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            paths.push((at, identifier(rest).to_owned()));
            continue;
        };
        let mut depth = 1;
        let mut expects_name = true;
        for (offset, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expects_name = true,
                _ if expects_name && depth == 1 && !c.is_whitespace() => {
                    paths.push((at, identifier(&group[offset..]).to_owned()));
                    expects_name = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    paths
}

/// Where `library` begins a path or is imported.
pub fn mentions(code: &str, library: &str) -> Vec<usize> {
    let begins_path = |&(at, _): &(usize, &str)| {
        let before = code[..at].trim_end();
        let after = &code[at + library.len()..];
        // `use ::toml` is the library; `wire::toml` is somebody's module.
        let inside = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
        let path = after.starts_with("::") || before.ends_with("use");
        path && !inside && !code[..at].ends_with(is_word) && !after.starts_with(is_word)
    };
    code.match_indices(library).filter(begins_path).map(|(at, _)| at).collect()
}

/// Each function with a body: where it is, its name, its lines from `fn` to the closing brace.
pub fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let mut functions = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name = identifier(code[at + 3..].trim_start());
        if code[..at].ends_with(is_word) || name.is_empty() {
            continue;
        }
        if let Some((end, '}')) = item_end(code, at) {
            functions.push((at, name.to_owned(), code[at..end].lines().count()));
        }
    }
    functions
}

/// Items under `#[cfg(test)]`, as ranges of bytes.
pub fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let is_inside = items.last().is_some_and(|(_, end)| at < *end);
        if let Some((end, _)) = item_end(code, at + attribute.len()).filter(|_| !is_inside) {
            items.push((at, end));
        }
    }
    items
}

/// Where the item at `from` ends, and with which of `;` and `}`.
fn item_end(code: &str, from: usize) -> Option<(usize, char)> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (offset, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        let closes = c == '}' || (c == ';' && brackets == 0);
        if closes && braces == 0 {
            return Some((from + offset + 1, c));
        }
    }
    None
}

/// `mod x;` and `pub mod x;`, in order.
pub fn modules(code: &str) -> Vec<String> {
    let declared = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    code.lines().filter_map(declared).collect()
}

pub fn blank_comments_and_literals(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let (is_code, len) = token(text, at);
        if !is_code {
            blank(&mut code[at..at + len]);
        }
        at += len;
    }
    String::from_utf8(code).expect("only whole characters are blanked")
}

/// The length of the token at `at`, and whether it is code rather than a comment or a literal.
fn token(text: &str, at: usize) -> (bool, usize) {
    let rest = &text[at..];
    let first = rest.chars().next().map_or(1, char::len_utf8);
    let is_fresh = !text[..at].ends_with(is_word);
    if rest.starts_with("//") {
        return (false, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (false, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (false, string(rest));
    }
    if let Some(len) = raw_string(rest).filter(|_| is_fresh) {
        return (false, len);
    }
    if let Some(len) = character(rest) {
        return (false, len);
    }
    (true, first)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let step = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + len)
}

/// `'x'` or `'\n'`, and not the lifetime `'x`.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return body[2..].find('\'').map(|at| at + 4);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(first + 2)
}

pub fn blank(code: &mut [u8]) {
    code.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

pub fn identifier(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}
