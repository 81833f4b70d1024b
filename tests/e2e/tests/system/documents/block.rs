//! What a document shows: its fenced blocks, the code between its lines, and the commands in both.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::words::is_open;

/// Where the documents are.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every document of the repository, by its path in it.
pub fn documents() -> Result<Vec<String>> {
    let root = root().canonicalize()?;
    let (mut dirs, mut found) = (vec![root.clone()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().context("it has a name")?.to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                dirs.push(path);
            } else if name.ends_with(".md") {
                found.push(path.strip_prefix(&root)?.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// How a block is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Commands, a line each.
    Sh,
    /// Commands behind a prompt: `# ` for root's, `$ ` for anybody's.
    Console,
    /// One command in the middle of a sentence.
    Inline,
    Toml,
    Json,
    /// A picture.
    Text,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Block {
    /// Of its first line, in the document.
    pub line: usize,
    pub kind: Kind,
    pub text: String,
}

/// One command, without its prompt, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub line: usize,
    pub text: String,
}

/// All of a document, in its order.
pub fn blocks(document: &str) -> Result<Vec<Block>> {
    let text = std::fs::read_to_string(root().join(document))?;
    let mut blocks = Vec::new();
    let mut prose = (1, String::new());
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(word) = line.trim_start().strip_prefix("```") else {
            // A paragraph, a row or an item at a time: an odd backtick spoils no more than that.
            if line.trim().is_empty() || ["|", "- ", "#"].iter().any(|it| line.starts_with(it)) {
                blocks.extend(inline(&prose));
                prose = (number, String::new());
            }
            prose.1.push_str(line);
            prose.1.push(' ');
            continue;
        };
        blocks.extend(inline(&prose));
        prose.1.clear();
        let kind = match word {
            "sh" => Kind::Sh,
            "console" => Kind::Console,
            "toml" => Kind::Toml,
            "json" => Kind::Json,
            "text" => Kind::Text,
            _ => anyhow::bail!("{document}:{number}: how is a block of `{word}` to be tested?"),
        };
        let body: Vec<_> = lines.by_ref().map(|it| it.0).take_while(|it| *it != "```").collect();
        blocks.push(Block { line: number + 1, kind, text: body.join("\n") + "\n" });
        prose.0 = number + body.len() + 2;
    }
    blocks.extend(inline(&prose));
    Ok(blocks)
}

/// Of code in a sentence only what is a whole command is of interest: a program of ours, or one that asks it, and
/// more than the name of a subcommand.
fn inline((line, prose): &(usize, String)) -> Vec<Block> {
    let whole = |code: &&str| {
        let mut words = code.split_whitespace();
        let ours = ["causeway", "causewayd"].contains(&words.next().unwrap_or_default());
        let ours =
            ours || ["curl ", "df ", "du ", "sudo causeway"].iter().any(|it| code.starts_with(it));
        ours && code.split_whitespace().nth(1).is_some() && !code.contains('…')
    };
    let code = prose.split('`').skip(1).step_by(2).filter(whole);
    let text = |code: &str| code.split_whitespace().collect::<Vec<_>>().join(" ");
    code.map(|code| Block { line: *line, kind: Kind::Inline, text: text(code) }).collect()
}

impl Block {
    /// What is to be typed. A line that ends in a backslash, or within quotes, goes on in the next.
    pub fn commands(&self) -> Result<Vec<Command>> {
        if ![Kind::Sh, Kind::Console, Kind::Inline].contains(&self.kind) {
            return Ok(Vec::new());
        }
        let mut commands = Vec::new();
        let mut lines = self.text.lines().zip(self.line..);
        while let Some((first, line)) = lines.next() {
            let mut text = first.to_owned();
            while text.ends_with('\\') || is_open(&text) {
                let (next, _) = lines.next().with_context(|| format!("it goes on: {text}"))?;
                match text.strip_suffix('\\') {
                    Some(begun) => text = format!("{begun}{}", next.trim_start()),
                    None => text = format!("{text}\n{next}"),
                }
            }
            if self.kind == Kind::Console {
                let typed = text.strip_prefix("# ").or_else(|| text.strip_prefix("$ "));
                // None shows any yet. One that does has to say how it is to be compared.
                ensure!(
                    typed.is_some(),
                    "line {line}: output is shown, or a prompt is missing: {text}"
                );
                text = typed.unwrap_or_default().to_owned();
            }
            if !text.trim().is_empty() {
                commands.push(Command { line, text });
            }
        }
        Ok(commands)
    }
}
