//! The rules held against examples: what is tidy is left alone, and each breach is told.
//!
//! The examples are texts that the rules read, never code that runs. One rule forbids `todo!`, so some hold it.

use std::path::Path;

use super::*;

/// What `check` says of `text` as the daemon's file `name`, a line each.
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
        (
            "base.rs", // Nothing to finish: text for the rule, to which a comment is no breach.
            "//! Head.\n/* a /* nested */ todo!() */\nconst A: char = '\"'; /* todo! */\n",
        ),
        (
            "base.rs",
            "//! Head.\nfn f<'a>(x: &'a str) -> &'a str { x.unwrap_or(r#\"\" .unwrap() \"#) }\n",
        ),
        ("base.rs", "//! Head.\nuse wire::toml::X;\nuse my_toml::X;\nlet toml = toml.x;\n"),
        (
            "base.rs", // Nothing to finish: text for the rule, to which code that only tests see is no breach.
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
        (
            "base.rs", // Nothing to finish: text for the rule, the breach that it has to find.
            "//! Head.\nfn f() { todo!() }\n",
            "base.rs:2: `todo!`: finish it",
        ),
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
