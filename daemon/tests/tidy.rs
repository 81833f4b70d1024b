//! House rules, held by a test: who may import whom, who alone knows a library, and how long a file
//! and a function may get.
//!
//! It reads the sources as text, with comments and literals blanked out, which is exact enough: a rule
//! that it cannot see is a rule for review. Code that only tests see is held to the file's head alone.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 399;
const FUNCTION_LINES_MAX: usize = 69;

/// The packages, seen from the workspace, and whether all of one is test code.
const PACKAGES: [(&str, bool); 6] = [
    ("daemon", false),
    ("client", false),
    ("proto", false),
    ("tests/sandbox", false),
    ("tests/e2e", true),
    ("benches", false),
];

/// The modules of the daemon that may know a library. A new line, or a new name in one, is a design
/// decision: say why in the commit.
const ONLY_KNOWN_TO: [(&str, &[&str]); 10] = [
    ("governor", &["base"]),
    ("blake3", &["integrity"]),
    ("crc_fast", &["integrity"]),
    ("sled", &["ledger"]),
    ("aws_config", &["remote"]),
    ("aws_sdk_s3", &["blob"]),
    ("reqwest", &["blob"]),
    ("tonic", &["control", "app"]),
    ("prometheus", &["telemetry"]),
    ("toml", &["config"]),
];

#[test]
fn the_house_is_tidy() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut files = Vec::new();
    for (package, tests) in PACKAGES {
        let root = workspace.join(package);
        let mut paths = Vec::new();
        rust_files(&root, &mut paths);
        for path in paths {
            let text = fs::read_to_string(&path).expect("readable");
            let in_package = path.strip_prefix(&root).expect("below its root").to_owned();
            let name = path.strip_prefix(workspace).expect("below the workspace").to_owned();
            let tests = tests || is_test_path(&in_package);
            files.push(File::new(name, &text, tests));
        }
    }
    let lib = files.iter().find(|file| file.name == Path::new("daemon/src/lib.rs"));
    let order = modules(&lib.expect("the daemon is a library").code);
    assert!(order.len() > 5, "lib.rs names the modules: {order:?}");
    mark_test_modules(&mut files);
    let violations: Vec<_> = files.iter().flat_map(|file| check(file, &order)).collect();
    for violation in &violations {
        eprintln!("{violation}");
    }
    assert!(violations.is_empty(), "{} violations, listed above", violations.len());
}

/// One breach of a rule and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: PathBuf,
    line: usize,
    advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.advice)
    }
}

/// A source file.
struct File {
    name: PathBuf,
    first_line: String,
    /// Comments, literals and test items are blank; lines are where they were.
    code: String,
    /// Lines outside of test items.
    lines: usize,
    /// The modules that this file declares for tests alone.
    test_modules: Vec<String>,
    is_test: bool,
}

impl File {
    fn new(name: impl Into<PathBuf>, text: &str, is_test: bool) -> Self {
        let whole = blank_comments_and_literals(text);
        let items = test_items(&whole);
        let mut code = whole.clone().into_bytes();
        let mut test_lines = 0;
        for &(start, end) in &items {
            test_lines += whole[start..end].lines().count();
            blank(&mut code[start..end]);
        }
        let declared = |&(start, end): &(usize, usize)| {
            let item = whole[start..end].trim_end().strip_suffix(';')?;
            let (before, name) = item.rsplit_once(char::is_whitespace)?;
            before.trim_end().ends_with("mod").then(|| name.to_owned())
        };
        Self {
            name: name.into(),
            first_line: text.lines().next().unwrap_or_default().to_owned(),
            code: String::from_utf8(code).expect("only whole characters are blanked"),
            lines: text.lines().count() - test_lines,
            test_modules: items.iter().filter_map(declared).collect(),
            is_test,
        }
    }

    /// The module of the daemon that this is a part of.
    fn module(&self) -> Option<String> {
        let inside = self.name.strip_prefix("daemon/src").ok()?;
        let first = inside.components().next()?.as_os_str().to_str()?;
        let module = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(module, "lib" | "main")).then(|| module.to_owned())
    }

    fn violation(&self, at: usize, advice: String) -> Violation {
        Violation { file: self.name.clone(), line: line_of(&self.code, at), advice }
    }
}

fn check(file: &File, order: &[String]) -> Vec<Violation> {
    let mut found = Vec::new();
    if !file.first_line.starts_with("//!") {
        let advice = "begin the file with `//!`: what this is, why this way, what always holds";
        found.push(file.violation(0, advice.to_owned()));
    }
    if file.is_test {
        return found;
    }
    if file.lines > FILE_LINES_MAX {
        let advice = format!("{} lines: split the file, below 400", file.lines);
        found.push(file.violation(0, advice));
    }
    for (at, name, lines) in functions(&file.code) {
        if lines > FUNCTION_LINES_MAX {
            let advice = format!("`{name}` has {lines} lines: split it, below 70");
            found.push(file.violation(at, advice));
        }
    }
    for (pattern, advice) in [
        ("todo!", "finish it, or leave it out"),
        (".unwrap()", "return an error, or show with the types that there is none"),
    ] {
        for (at, _) in file.code.match_indices(pattern) {
            found.push(file.violation(at, format!("`{pattern}`: {advice}")));
        }
    }
    if let Some(module) = file.module() {
        found.extend(check_imports(file, &module, order));
    }
    found
}

fn check_imports(file: &File, module: &str, order: &[String]) -> Vec<Violation> {
    let mut found = Vec::new();
    let place = |name: &str| order.iter().position(|known| known == name);
    let Some(own) = place(module) else {
        let advice = format!("`{module}` is not in lib.rs, which gives each module its place");
        return vec![file.violation(0, advice)];
    };
    for (at, name) in crate_paths(&file.code) {
        if place(&name).is_some_and(|other| other > own) {
            let advice = format!(
                "`{module}` stands above `{name}` in lib.rs and may not import it: \
                 hand it in, or move what both need up"
            );
            found.push(file.violation(at, advice));
        }
    }
    for (library, knowers) in ONLY_KNOWN_TO {
        if knowers.contains(&module) {
            continue;
        }
        for at in mentions(&file.code, library) {
            let advice = format!("only `{}` knows `{library}`: ask it", knowers.join("`, `"));
            found.push(file.violation(at, advice));
        }
    }
    found
}

/// The names that follow `crate::`, those of a group each.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
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
fn mentions(code: &str, library: &str) -> Vec<usize> {
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
fn functions(code: &str) -> Vec<(usize, String, usize)> {
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
fn test_items(code: &str) -> Vec<(usize, usize)> {
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
fn modules(code: &str) -> Vec<String> {
    let declared = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    code.lines().filter_map(declared).collect()
}

/// A module declared under `#[cfg(test)]` is test code in all its files, whatever their names.
fn mark_test_modules(files: &mut [File]) {
    let mut roots = BTreeSet::new();
    for file in files.iter() {
        let stem = file.name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_root = matches!(stem, "lib" | "main");
        let folder =
            if is_root { file.name.with_file_name("") } else { file.name.with_extension("") };
        roots.extend(file.test_modules.iter().map(|module| folder.join(module)));
    }
    for file in files {
        let module = file.name.with_extension("");
        file.is_test |= module.ancestors().any(|path| roots.contains(path));
    }
}

/// `tests.rs`, or below a folder `tests`, within the package.
fn is_test_path(in_package: &Path) -> bool {
    in_package.iter().any(|part| part == "tests" || part == "tests.rs")
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn blank_comments_and_literals(text: &str) -> String {
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

fn blank(code: &mut [u8]) {
    code.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// What `check` says of `text` as the daemon's file `name`, a line each.
#[cfg(test)]
fn advice(name: &str, text: &str) -> Vec<String> {
    let order = ["model", "base", "integrity", "config"].map(str::to_owned);
    let file = File::new(format!("daemon/src/{name}"), text, is_test_path(Path::new(name)));
    check(&file, &order).iter().map(ToString::to_string).collect()
}

#[test]
fn tidy_code_is_left_alone() {
    for (name, text) in [
        ("base/pace.rs", "//! Head.\nuse crate::model::X;\nuse governor::Quota;\nuse super::Y;\n"),
        (
            "config.rs",
            "//! Head.\nuse crate::{base::Z, model::{A, config_of}};\nuse toml::Table;\n",
        ),
        (
            "base.rs",
            "//! Head.\n// crate::config, todo!, toml::Table\nconst A: &str = \"crate::config todo!\";\n",
        ),
        ("base.rs", "//! Head.\n/* a /* nested */ todo!() */\nconst A: char = '\"'; /* todo! */\n"),
        (
            "base.rs",
            "//! Head.\nfn f<'a>(x: &'a str) -> &'a str { x.unwrap_or(r#\"\" .unwrap() \"#) }\n",
        ),
        ("base.rs", "//! Head.\nuse wire::toml::X;\nuse my_toml::X;\nlet toml = toml.x;\n"),
        (
            "base.rs",
            "//! Head.\n#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); todo!(); crate::config::X }\n}\n",
        ),
        ("base/tests.rs", "//! Head.\nfn f() { x.unwrap(); }\n"),
    ] {
        assert_eq!(advice(name, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn each_breach_is_told_with_its_line_and_what_to_do() {
    for (name, text, told) in [
        ("base.rs", "use x;\n", "base.rs:1: begin the file with `//!`"),
        (
            "base.rs",
            "//! Head.\n\nuse crate::config::X;\n",
            "base.rs:3: `base` stands above `config` in lib.rs",
        ),
        (
            "base/a/b.rs",
            "//! Head.\nuse crate::{\n    model::A,\n    integrity::{B, C},\n};\n",
            "base/a/b.rs:2: `base` stands above `integrity`",
        ),
        (
            "base.rs",
            "//! Head.\nfn f() { crate::config::go() }\n",
            "base.rs:2: `base` stands above `config`",
        ),
        ("base.rs", "//! Head.\nuse toml;\n", "base.rs:2: only `config` knows `toml`: ask it"),
        (
            "base.rs",
            "//! Head.\nlet x = ::blake3::hash(b\"\");\n",
            "base.rs:2: only `integrity` knows `blake3`",
        ),
        (
            "model/x.rs",
            "//! Head.\nfn f(e: tonic::Status) {}\n",
            "model/x.rs:2: only `control`, `app` knows `tonic`",
        ),
        ("base.rs", "//! Head.\nfn f() { todo!() }\n", "base.rs:2: `todo!`: finish it"),
        (
            "base.rs",
            "//! Head.\nlet c = '\\'';\nlet x = y\n    .unwrap();\n",
            "base.rs:4: `.unwrap()`: return an error",
        ),
        ("other.rs", "//! Head.\n", "other.rs:1: `other` is not in lib.rs"),
    ] {
        let found = advice(name, text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(&format!("daemon/src/{told}")), "{}", found[0]);
    }
}

#[test]
fn files_and_functions_have_a_length() {
    let body = |lines: usize| "    step();\n".repeat(lines);
    let function = |lines| format!("//! Head.\n\nfn long(x: [u8; 3]) {{\n{}}}\n", body(lines));
    assert!(advice("base.rs", &function(67)).is_empty());
    let told = advice("base.rs", &function(68));
    assert_eq!(told, ["daemon/src/base.rs:3: `long` has 70 lines: split it, below 70"]);

    let file = |lines: usize| format!("//! Head.\n{}", "const A: u8 = 1;\n".repeat(lines - 1));
    assert!(advice("base.rs", &file(399)).is_empty());
    let told = advice("base.rs", &file(400));
    assert_eq!(told, ["daemon/src/base.rs:1: 400 lines: split the file, below 400"]);
    let tests = format!("\n#[cfg(test)]\nmod tests {{\n{}}}\n", body(300));
    assert!(advice("base.rs", &(file(390) + &tests)).is_empty());
}

#[test]
fn a_module_that_only_tests_declare_is_test_code() {
    let mut files = [
        File::new("daemon/src/base.rs", "//! H.\n#[cfg(test)]\nmod fake;\nmod real;\n", false),
        File::new("daemon/src/base/fake.rs", "//! H.\n", false),
        File::new("daemon/src/base/fake/deep.rs", "//! H.\n", false),
        File::new("daemon/src/base/real.rs", "//! H.\n", false),
    ];
    mark_test_modules(&mut files);
    assert_eq!(files.map(|file| file.is_test), [false, true, true, false]);
}
