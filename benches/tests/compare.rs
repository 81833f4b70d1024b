//! The comparison itself works: servers, floors, causeway, and what is told of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// As it is run for the README, but for its size, its peers and its rounds.
#[test]
fn causeway_and_both_floors_carry_every_object_right_and_are_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("compare.json");
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["run", "--work", "big,many,small,slow", "--tools", "causeway,hyper,unbuffered"])
        .args(["--rounds", "1", "--shrink", "256", "--scratch"])
        .arg(directory.path())
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the binary of this package");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");

    let all: Value = serde_json::from_slice(&read(&json)).expect("JSON");
    assert!(all["versions"]["causewayd"].is_string(), "{}", all["versions"]);
    let outcomes = all["outcomes"].as_array().expect("a list");
    let names: Vec<_> = outcomes.iter().map(|outcome| &outcome["work"]["name"]).collect();
    assert_eq!(names, ["big", "many", "small", "slow"]);
    for outcome in outcomes {
        for row in outcome["rows"].as_array().expect("a list") {
            let run = &row["runs"][0];
            assert_eq!(run["target"]["objects_right"], outcome["work"]["objects"], "{row}");
            assert_eq!(run["target"]["uploads_open"], 0, "{row}");
            assert!(run["wall_s"].as_f64().expect("a figure") > 0.0, "{row}");
            assert!(run["peak_mib"].as_f64().expect("a figure") > 1.0, "{row}");
        }
    }
    let slow = &outcomes[3]["rows"][0]["runs"][0];
    assert!(slow["wall_s"].as_f64().expect("a figure") > 0.12, "two answers take 60 ms: {slow}");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("written")
}
