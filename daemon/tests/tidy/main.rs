//! House rules, held by a test: who may import whom, who alone knows a library, and how long a file
//! and a function may get.
//!
//! It reads the sources as text, with comments and literals blanked out, which is exact enough: a rule
//! that it cannot see is a rule for review. Code that only tests see is held to the file's head alone.

mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use source::*;

const FILE_LINES_MAX: usize = 399;
const FUNCTION_LINES_MAX: usize = 69;

/// The packages, seen from the workspace, and whether all of one is test code.
const PACKAGES: [(&str, bool); 7] = [
    ("daemon", false),
    ("client", false),
    ("proto", false),
    ("tests/sandbox", false),
    ("tests/e2e", true),
    ("tests/fuzz", true),
    ("benches", false),
];

/// The modules of the daemon that may know a library. A new line, or a new name in one, is a design
/// decision: say why in the commit.
const ONLY_KNOWN_TO: [(&str, &[&str]); 14] = [
    ("governor", &["base"]),
    ("blake3", &["integrity"]),
    ("crc_fast", &["integrity"]),
    ("sled", &["ledger"]),
    ("aws_config", &["remote"]),
    ("aws_sdk_s3", &["blob"]),
    ("reqwest", &["egress", "blob", "notify"]),
    ("hmac", &["notify"]),
    ("aws_sdk_ec2", &["image"]),
    ("aws_sdk_ssm", &["image"]),
    ("tonic", &["control", "app"]),
    ("prometheus", &["telemetry"]),
    ("x509_cert", &["control"]),
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
