//! The README's first commands.

use anyhow::{Result, ensure};
use e2e::binary;
use tokio::process::Command;

/// Small, and without building: `tests/run` has built everything.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_carries_proves_and_cleans_up() -> Result<()> {
    let output = Command::new(binary("sandbox"))
        .args(["demo", "--no-build", "--size", "64MiB"])
        .output()
        .await?;
    let stdout = String::from_utf8(output.stdout)?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{stdout}\n{stderr}");
    ensure!(stdout.contains("blake3"), "no receipt: {stdout}\n{stderr}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_migrates_proves_and_cleans_up() -> Result<()> {
    let output = Command::new(binary("sandbox"))
        .args(["demo", "--migrate", "--no-build", "--size", "64MiB"])
        .output()
        .await?;
    let stdout = String::from_utf8(output.stdout)?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{stdout}\n{stderr}");
    for word in ["new image  ami-", "alias      /golden/demo names it", "every byte", "are empty"] {
        ensure!(stdout.contains(word), "nothing of `{word}`: {stdout}\n{stderr}");
    }
    Ok(())
}
