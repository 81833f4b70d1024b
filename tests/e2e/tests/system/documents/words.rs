//! As much of the shell's grammar as tells which programs a line calls.

use anyhow::{Result, ensure};

/// The programs of a line, in their order, with those that others call: of `runuser -u causeway -- causewayd check`
/// both. A line that only sets variables calls none.
pub fn programs(line: &str) -> Result<Vec<String>> {
    let mut programs = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for token in tokens(line)? {
        match token {
            Token::Word(word) => words.push(word),
            Token::End => called(&std::mem::take(&mut words), &mut programs),
            Token::Inner(inner) => programs.extend(self::programs(&inner)?),
        }
    }
    called(&words, &mut programs);
    Ok(programs)
}

/// The programs of one simple command.
fn called(words: &[String], programs: &mut Vec<String>) {
    let is_set = |word: &String| {
        let name = word.split_once('=').map(|(name, _)| name).unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut words = words.iter().skip_while(|word| is_set(word));
    let Some(program) = words.next() else { return };
    programs.push(program.clone());
    match program.as_str() {
        "sudo" => programs.extend(words.next().cloned()),
        "runuser" => programs.extend(words.skip_while(|word| *word != "--").nth(1).cloned()),
        _ => {}
    }
}

enum Token {
    Word(String),
    /// A command ends here.
    End,
    /// What stands in `$( … )`.
    Inner(String),
}

fn tokens(line: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' if quote.is_none_or(|it| it == c) => {
                quote = if quote.is_some() { None } else { Some(c) };
                word.get_or_insert_default();
            }
            '$' if quote != Some('\'') && chars.peek() == Some(&'(') => {
                chars.next();
                // Within it stands no other one, and no bracket.
                let inner: String = chars.by_ref().take_while(|c| *c != ')').collect();
                tokens.push(Token::Inner(inner));
                word.get_or_insert_default();
            }
            c if quote.is_some() => word.get_or_insert_default().push(c),
            '#' if word.is_none() => break,
            ' ' => tokens.extend(word.take().map(Token::Word)),
            '|' | '&' | ';' | '(' | ')' => {
                tokens.extend(word.take().map(Token::Word));
                tokens.push(Token::End);
            }
            '>' | '<' => {
                // Where it goes to is no program's argument: `2>`, `>> FILE`.
                word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
                tokens.extend(word.take().map(Token::Word));
                while chars.next_if(|c| [' ', '>', '&'].contains(c)).is_some() {}
                while chars.next_if(|c| *c != ' ').is_some() {}
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    ensure!(quote.is_none(), "a quotation does not end: {line}");
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

/// Whether a quotation begins and does not end.
pub fn is_open(text: &str) -> bool {
    tokens(text).is_err()
}

/// Its options, without their values.
pub fn options(line: &str) -> Result<Vec<String>> {
    let words = tokens(line)?.into_iter().filter_map(|token| match token {
        // `-1h` is a value, and `-` and `--` are no options either.
        Token::Word(word) => {
            let name = word.strip_prefix('-')?.trim_start_matches('-');
            name.starts_with(char::is_alphabetic).then_some(word)
        }
        _ => None,
    });
    Ok(words.map(|word| word.split('=').next().unwrap_or_default().to_owned()).collect())
}

#[test]
fn programs_are_found_behind_pipes_variables_and_other_users() -> Result<()> {
    for (line, found) in [
        ("causeway --output json jobs | jq 'select(.a | .b)' > x.json", &["causeway", "jq"][..]),
        ("causewayd check && systemctl enable --now causewayd", &["causewayd", "systemctl"]),
        ("runuser -u causeway -- causewayd backup --to /x  # daily", &["runuser", "causewayd"]),
        ("new=\"openssl req -x509\"", &[]),
        ("A=1 $new -days 3", &["$new"]),
        ("echo \"whsec_$(openssl rand -base64 32)\" >/x 2>&1", &["openssl", "echo"]),
        ("(umask 077; echo x)", &["umask", "echo"]),
    ] {
        ensure!(programs(line)? == found, "{line}: {:?}", programs(line)?);
    }
    ensure!(is_open("jq 'a") && !is_open("jq 'a' # it's"));
    ensure!(options("a -x --b=c -1h -- --d 'e -f'")? == ["-x", "--b", "--d"]);
    Ok(())
}
