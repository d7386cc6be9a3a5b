//! The structure of the source: a module imports only from floors below its own (see `src/lib.rs`), files do not import
//! each other in circles, and no file is too long.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot read the source ends with a panic"
)]

#[path = "circles.rs"]
mod circles;
#[path = "secrecy.rs"]
mod secrecy;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest floor first. Modules on one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["wire", "error_chain", "file_access", "secret", "shutdown", "single_flight", "stamp"],
    &["net", "tls"],
    &["catalog", "services"],
    &["session"],
    &["client", "server"],
    &["aws", "kubernetes", "config", "admin", "credentials"],
    &["cli", "app", "process"],
];

/// Exceptions on one floor: the left module may import the right one.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("tls", "net"),
    ("wire", "secret"),
    ("services", "catalog"),
    ("cli", "app"),
    ("cli", "process"),
    ("app", "process"),
];

/// The files in `src/session` that one connection passes, in their order: `connection.rs` walks the steps.
const PATH_OF_A_CONNECTION: &[&str] = &[
    "accept.rs",
    "connection.rs",
    "negotiate.rs",
    "authorize.rs",
    "connect.rs",
    "authenticate.rs",
    "splice.rs",
    "splice/direction.rs",
];

/// The limit for a production file, without the tests at its end.
const MAX_LINES: usize = 250;

#[test]
fn modules_import_only_downwards() {
    let mut violations = Vec::new();
    for file in rust_files(Path::new("src")) {
        let Some(module) = module_of(&file) else { continue };
        let Some(floor) = floor_of(&module) else {
            violations.push(format!("{}: module `{module}` stands on no floor", file.display()));
            continue;
        };
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            let allowed = imported == module
                || floor_of(&imported).is_some_and(|below| below < floor)
                || NEIGHBOURS.contains(&(module.as_str(), imported.as_str()));
            if !allowed {
                violations.push(format!("{}: `{module}` must not import `{imported}`", file.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let found = circles::imports_in_circles(Path::new("src"));
    let lines: Vec<_> = found.iter().map(|(from, to)| format!("{from} imports {to}")).collect();
    assert!(lines.is_empty(), "these imports form circles:\n{}", lines.join("\n"));
}

#[test]
fn production_files_have_at_most_250_lines() {
    let long: Vec<_> = rust_files(Path::new("src"))
        .into_iter()
        .filter(|file| !is_test_file(file))
        .map(|file| (production_lines(&fs::read_to_string(&file).unwrap()), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "split these files: {long:#?}");
}

/// The module doc of each step begins with its number.
#[test]
fn a_connection_passes_at_most_8_files_of_the_engine() {
    assert!(PATH_OF_A_CONNECTION.len() <= 8);
    let mut steps = Vec::new();
    for file in rust_files(Path::new("src/session")) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix("src/session").unwrap().to_str().unwrap().to_owned();
        if let Some(step) = text.strip_prefix("//! Step ") {
            assert!(PATH_OF_A_CONNECTION.contains(&name.as_str()), "{name} is a step and not in the list");
            steps.push(leading_name(step));
        }
    }
    steps.sort();
    assert_eq!(steps, ["1", "2", "3", "4", "5", "6"]);
    for name in PATH_OF_A_CONNECTION {
        assert!(Path::new("src/session").join(name).exists(), "there is no {name}");
    }
}

#[test]
fn wire_is_pure() {
    for file in rust_files(Path::new("src/wire")) {
        let text = fs::read_to_string(&file).unwrap();
        for banned in ["tokio", "tracing", "std::net", "std::fs"] {
            assert!(!text.contains(&format!("{banned}::")), "{} uses {banned}", file.display());
        }
    }
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Whether a file has tests only: `tests.rs`, and files below a directory `tests`.
fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The lines of a file before its unit tests.
fn production_lines(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let is_start = |pair: &[&str]| {
        pair[0].starts_with("#[cfg(") && pair[0].contains("test") && pair[1].contains("mod tests")
    };
    lines.windows(2).position(is_start).unwrap_or(lines.len())
}

/// `src/session/splice.rs` belongs to `session`, `src/secret.rs` to `secret`; the crate's own roots to none.
fn module_of(file: &Path) -> Option<String> {
    let first = file.strip_prefix("src").unwrap().components().next()?;
    let name = first.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    (name != "lib" && name != "main").then_some(name)
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Every `crate::NAME` in the text, and every NAME in `crate::{NAME, NAME::…}`.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut at_name = true;
            for (index, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_name = true,
                    _ if at_name && !character.is_whitespace() => {
                        found.insert(leading_name(&group[index..]));
                        at_name = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.insert(leading_name(rest));
        }
    }
    found
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::wire::{A, B};\nuse crate::{net::dial, tls::{Mode, Roots}, catalog};\n crate::session::x()";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["catalog", "net", "session", "tls", "wire"]);
}
