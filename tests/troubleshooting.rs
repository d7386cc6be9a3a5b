//! docs/troubleshooting.md quotes existing texts of the program, and has a row for every error of a connection.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the source ends with a panic")]

use std::fs;
use std::path::Path;

const PAGE: &str = "docs/troubleshooting.md";

/// Titles of a first column that quotes errors.
const QUOTING: [&str; 3] = ["text", "reason", "line"];

/// Words of the page that stand for variable parts of a text.
const PLACEHOLDERS: &str = "ARN ACTION ADDRESS ALERT COLUMN COMMAND DATE FILE HOP HOST KEY LABELS LINE MODE N NAME NAMES NAMESPACE ORIGIN \
                            PORT REGION RESOURCE SOURCE TIME URL VALUE VERB";

/// Quoted texts of other programs: PostgreSQL, RDS, psql, the operating system, the certificate parser.
const OF_OTHERS: [&str; 17] = [
    "PAM authentication failed for user",
    "password authentication failed for user",
    "no pg_hba.conf entry for host",
    "no encryption",
    "SSL encryption",
    "database \"NAME\" does not exist",
    "server does not support SSL, but SSL was required",
    "The server does not support SSL",
    "channel binding required, but SSL not in use",
    "channel binding required, but server authenticated client without channel binding",
    "channel binding required but not supported by server's authentication request",
    "channel binding is required, but server did not offer an authentication method that supports channel binding",
    "Connection refused",
    "Permission denied (os error",
    "Address already in use",
    "failed to lookup address",
    "GRANT rds_iam",
];

/// Separators at which the program joins texts, and words around inserted values.
const SEAMS: [&str; 13] = [
    ": ",
    "; ",
    " which ",
    "\"",
    " while ",
    " among ",
    " the startup packet ",
    " certificate ",
    " unencrypted private key ",
    "the application ",
    " SSLRequest ",
    " upstream proxy ",
    " target ",
];

/// Files with errors that applications or operators can receive.
const EXPLAINED: [&str; 15] = [
    "src/app/run.rs",
    "src/app/start.rs",
    "src/app/supervise.rs",
    "src/aws/credentials/no_credentials.rs",
    "src/aws/credentials/refused_role.rs",
    "src/process/logging/mod.rs",
    "src/process/runtime.rs",
    "src/kubernetes/error.rs",
    "src/session/failure.rs",
    "src/session/limits.rs",
    "src/catalog/lookup.rs",
    "src/catalog/token_error.rs",
    "src/catalog/ports.rs",
    "src/tls/error.rs",
    "src/kubernetes/channel/errors.rs",
];

#[test]
fn every_quoted_text_exists() {
    let page = fs::read_to_string(PAGE).unwrap();
    let source = source(Path::new("src"));
    let quoted = quoted(&page);
    assert!(quoted.len() > 100, "only {} texts were found", quoted.len());
    let exists = |part: &str| source.contains(part) || OF_OTHERS.iter().any(|text| text.contains(part));
    let known = |fragment: &String| exists(fragment) || parts(fragment).iter().all(|part| exists(part));
    let unknown: Vec<_> = quoted
        .iter()
        .flat_map(|(line, text)| fragments(text).into_iter().map(move |fragment| (line, fragment)))
        .filter(|(_, fragment)| !known(fragment))
        .collect();
    assert!(unknown.is_empty(), "{PAGE} quotes texts that are not in the source: {unknown:#?}");
}

#[test]
fn every_error_has_a_row() {
    let page = fs::read_to_string(PAGE).unwrap();
    let quoted: Vec<_> = quoted(&page).into_iter().flat_map(|(_, text)| fragments(&text)).collect();
    let mut missing = Vec::new();
    for file in EXPLAINED {
        let texts = errors(&fs::read_to_string(file).unwrap());
        assert!(!texts.is_empty(), "{file} has no errors");
        for text in texts {
            let parts = pieces(&text);
            let documented =
                |part: &String| page.contains(part.as_str()) || quoted.iter().any(|row| part.contains(row));
            if !parts.is_empty() && !parts.iter().any(documented) {
                missing.push((file, text));
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE} has no row for {missing:#?}");
}

#[test]
fn every_timeout_has_a_row() {
    let page = fs::read_to_string(PAGE).unwrap();
    let doings: Vec<_> = files(Path::new("src/session")).iter().flat_map(|text| doings(text)).collect();
    assert!(doings.len() >= 9, "only {doings:#?} were found");
    // The name of the hop may follow.
    let has_row = |doing: &str| ["`", " …`"].iter().any(|end| page.contains(&format!(" while {doing}{end}")));
    let missing: Vec<_> = doings.iter().filter(|doing| !has_row(doing)).collect();
    assert!(missing.is_empty(), "{PAGE} has no row for {missing:#?}");
}

/// The code spans in the first cell of every row that quotes an error, with line numbers.
fn quoted(page: &str) -> Vec<(usize, String)> {
    let mut quoting = false;
    let mut found = Vec::new();
    let mut before = "";
    for (number, line) in page.lines().enumerate() {
        let Some(row) = line.strip_prefix("| ") else {
            quoting = quoting && line.starts_with('|');
            before = line;
            continue;
        };
        let first = row.split(" | ").next().unwrap_or_default();
        if before.is_empty() {
            quoting = QUOTING.contains(&first);
        } else if quoting {
            found.extend(spans(first).into_iter().map(|span| (number + 1, span)));
        }
        before = line;
    }
    found
}

/// Texts between backticks, or double backticks around a text with backticks.
fn spans(cell: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = cell;
    while let Some(start) = rest.find('`') {
        let fence = if rest[start..].starts_with("``") { "``" } else { "`" };
        let text = &rest[start + fence.len()..];
        let Some(end) = text.find(fence) else { break };
        found.push(text[..end].to_owned());
        rest = &text[end + fence.len()..];
    }
    found
}

/// The parts of a quoted text between its placeholders.
fn fragments(text: &str) -> Vec<String> {
    let words = text.replace("0x..", "…");
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let mut marked = String::new();
    let mut word = String::new();
    for letter in words.chars().chain([' ']) {
        if is_letter(letter) {
            word.push(letter);
            continue;
        }
        marked.push_str(if PLACEHOLDERS.split(' ').any(|placeholder| placeholder == word) {
            "…"
        } else {
            &word
        });
        word.clear();
        marked.push(letter);
    }
    split(&marked)
}

/// Splits a fragment at the separators.
fn parts(fragment: &str) -> Vec<String> {
    let cut = SEAMS.iter().fold(format!(" {fragment} "), |text, seam| text.replace(seam, " \n "));
    cut.lines().map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The parts of a format string between its arguments.
fn pieces(text: &str) -> Vec<String> {
    let mut marked = String::new();
    let mut depth = 0;
    for letter in text.replace("{{", "\u{1}").replace("}}", "\u{2}").chars() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                marked.push('…');
            }
            _ if depth == 0 => marked.push(letter),
            _ => {}
        }
    }
    split(&marked)
}

/// The parts between ellipses and numbers that are long enough to be unique: at least two words.
fn split(marked: &str) -> Vec<String> {
    let ends =
        |letter: char| letter == '…' || letter == '\u{1}' || letter == '\u{2}' || letter.is_ascii_digit();
    let trimmed = marked
        .split(ends)
        .map(|part| part.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != ')'));
    trimmed.filter(|part| part.contains(' ') || part.len() > 12).map(str::to_owned).collect()
}

/// The texts of all `#[error("…")]` and `format!` outside of tests.
fn errors(source: &str) -> Vec<String> {
    let joined = joined(source.split("#[cfg(test)]").next().unwrap_or_default());
    let made = ["#[error(", "format!("].into_iter().flat_map(|start| joined.split(start).skip(1));
    let texts = made.filter_map(|rest| rest.trim_start().strip_prefix(QUOTE)?.split_once(QUOTE));
    texts.map(|(text, _)| text.to_owned()).collect()
}

/// The activities that timeout errors name: at the call, or in a variable that is passed to it.
fn doings(source: &str) -> Vec<String> {
    const FAULTS: [&str; 4] = ["Application", "Proxy", "Hop", "Database"];
    let source = joined(source.split("#[cfg(test)]").next().unwrap_or_default());
    let blaming = FAULTS.map(|fault| format!(".blaming(Fault::{fault},"));
    let calls: Vec<_> = blaming.iter().map(String::as_str).chain([".within("]).collect();
    let names = ["let doing =", "let (doing, allowed) = ("];
    let after = |start: &&str| source.split(start).skip(1).map(str::trim_start).collect::<Vec<_>>();
    let called: Vec<_> = calls.iter().flat_map(after).collect();
    for rest in &called {
        assert!(
            rest.starts_with(QUOTE) || rest.starts_with("doing,"),
            "the test cannot parse this call: {rest:.40}"
        );
    }
    let texts = called.into_iter().chain(names.iter().flat_map(after));
    texts.filter_map(|rest| Some(rest.strip_prefix(QUOTE)?.split_once(QUOTE)?.0.to_owned())).collect()
}

/// The whole source, see [`joined`].
fn source(directory: &Path) -> String {
    files(directory).iter().map(|text| joined(text)).collect()
}

/// The texts of all source files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// The mark of a string's beginning and end in the result of [`joined`].
const QUOTE: char = '\u{3}';

/// The source with string continuations joined and escapes removed.
fn joined(source: &str) -> String {
    let mut text = String::new();
    let mut letters = source.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => text.push(QUOTE),
            '\\' => match letters.next() {
                Some('\n') => letters = letters.as_str().trim_start().chars(),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            _ => text.push(letter),
        }
    }
    text
}
