//! The import order of the house: a module names only modules on floors below its own (see `src/lib.rs`).
#![expect(clippy::unwrap_used, reason = "a test that cannot read the source ends with a panic")]

#[path = "secrecy.rs"]
mod secrecy;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest floor first. Modules on one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["wire", "error_chain", "secret", "shutdown", "single_flight", "stamp"],
    &["net", "tls"],
    &["catalog"],
    &["session"],
    &["client", "server"],
    &["aws", "kubernetes", "config", "admin"],
    &["cli", "app", "process"],
];

/// Pairs on one floor that may know each other, the left one the right one.
const NEIGHBOURS: &[(&str, &str)] =
    &[("tls", "net"), ("wire", "secret"), ("cli", "app"), ("cli", "process"), ("app", "process")];

#[test]
fn modules_import_only_downwards() {
    let mut faults = Vec::new();
    for file in rust_files(Path::new("src")) {
        let Some(module) = module_of(&file) else { continue };
        let Some(floor) = floor_of(&module) else {
            faults.push(format!("{}: module `{module}` stands on no floor", file.display()));
            continue;
        };
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            let allowed = imported == module
                || floor_of(&imported).is_some_and(|below| below < floor)
                || NEIGHBOURS.contains(&(module.as_str(), imported.as_str()));
            if !allowed {
                faults.push(format!("{}: `{module}` must not import `{imported}`", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
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
