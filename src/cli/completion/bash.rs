//! Completion in bash, which takes a colon and an equals sign for the end of a word: `orders:writer` arrives as three words
//! (Bash Reference Manual, `COMP_WORDBREAKS`).

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine;
use clap_complete::env::{self as shells, EnvCompleter};

/// Variables of the script of `clap_complete`.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
const SEPARATOR: &str = "_CLAP_IFS";

/// As [`shells::Bash`], for whole words.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        shells::Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        shells::Bash.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        shells::Bash.write_registration(variable, name, program, completer, &mut text)?;
        let text = String::from_utf8_lossy(&text);
        // Behind a colon, bash calls the word that is completed empty, and the colon would be lost.
        let text = text.replace(
            "words[COMP_CWORD]=\"$2\"",
            "[[ ${words[COMP_CWORD]} == [:=]* ]] || words[COMP_CWORD]=\"$2\"",
        );
        // The terminal is in use.
        let text = text.replace("-- \"${words[@]}\"", "-- \"${words[@]}\" 2>/dev/null");
        script.write_all(text.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        let index = env::var(INDEX).ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        let Whole { words, index, before } = whole(words, index);
        let separator = env::var(SEPARATOR).unwrap_or_else(|_| "\n".into());
        let found = engine::complete(command, words, index, directory)?;
        let found = found.iter().map(|candidate| candidate.get_value().to_string_lossy());
        let found = found.map(|word| word.strip_prefix(&*before).unwrap_or(&word).to_owned());
        answer.write_all(found.collect::<Vec<_>>().join(&separator).as_bytes())
    }
}

/// The words of a command line that bash has not split.
struct Whole {
    words: Vec<OsString>,
    /// The word that is completed.
    index: usize,
    /// Its part that bash does not replace.
    before: String,
}

/// Joins the parts of words. `index` is the part that is completed; parts behind it are left out.
fn whole(parts: Vec<OsString>, index: usize) -> Whole {
    let breaks = |part: &OsString| part == ":" || part == "=" || part == "::";
    let (mut words, mut before) = (Vec::<OsString>::new(), String::new());
    let mut joins = false;
    for part in parts.into_iter().take(index + 1) {
        let is_break = breaks(&part);
        match words.last_mut() {
            // The program's own name begins the first word.
            Some(word) if is_break || joins => {
                before = word.to_string_lossy().into_owned();
                word.push(&part);
            }
            _ => {
                before.clear();
                words.push(part.clone());
            }
        }
        if is_break {
            before.push_str(&part.to_string_lossy());
        }
        joins = is_break;
    }
    let index = words.len().saturating_sub(1);
    Whole { words, index, before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_bash_has_split_are_joined_up_to_the_one_that_is_completed() {
        for (parts, index, words, before) in [
            (&["p", "client", "--target", "or"][..], 3, &["p", "client", "--target", "or"][..], ""),
            (&["p", "--target", "orders", ":", "wr"], 4, &["p", "--target", "orders:wr"], "orders:"),
            (&["p", "--target", "orders", ":"], 3, &["p", "--target", "orders:"], "orders:"),
            (&["p", "--target", "=", "or"], 3, &["p", "--target=or"], "--target="),
            (&["p", "a", ":", "custom", ":", "b"], 5, &["p", "a:custom:b"], "a:custom:"),
            (&["p", "a", ":", "b", "--output", ""], 5, &["p", "a:b", "--output", ""], ""),
            (&["p", "cl", "--target"], 1, &["p", "cl"], ""),
        ] {
            let own = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
            let found = whole(own(parts), index);
            assert_eq!((found.words, found.index), (own(words), words.len() - 1), "{parts:?}");
            assert_eq!(found.before, before, "{parts:?}");
        }
    }
}
