//! The syntax of the AWS files, as the AWS CLI reads it: that of Python's `configparser.RawConfigParser`, with its
//! defaults.
//!
//! Source: <https://docs.python.org/3/library/configparser.html#supported-ini-file-structure>, and botocore's
//! `configloader.py`. What only other SDKs accept is accepted too: a section twice, a key twice, a byte order mark, and a
//! comment behind a value.

/// A section with its keys in lower case, in the order of the file. A nested value begins with a line end.
#[derive(PartialEq, Eq)]
pub(super) struct Section {
    /// The text between the brackets, without white space around it.
    pub(super) title: String,
    pub(super) keys: Vec<(String, String)>,
}

/// Why the text cannot be read. It does not quote the line, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct SyntaxError {
    /// Counted from 1.
    line: usize,
    reason: &'static str,
}

/// The only key whose value is a command, in which `#` and `;` have a meaning.
const COMMAND: &str = "credential_process";

/// Python's name for the section whose keys count in every section.
const DEFAULTS: &str = "DEFAULT";

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Section>, SyntaxError> {
    let mut parser = Parser::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.split('\n').enumerate() {
        parser.read(line).map_err(|reason| SyntaxError { line: index + 1, reason })?;
    }
    Ok(parser.finish())
}

#[derive(Default)]
struct Parser {
    sections: Vec<Section>,
    /// The columns before the last key or title. A line that begins further right continues the value.
    indent: usize,
    /// Whether a value can go on.
    in_value: bool,
}

impl Parser {
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let content = line.trim();
        if content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.chars().count() - line.trim_start().chars().count();
        if content.is_empty() {
            self.continue_value("");
            return Ok(());
        }
        if self.in_value && indent > self.indent {
            self.continue_value(content);
            return Ok(());
        }
        self.indent = indent;
        if let Some(title) = content.strip_prefix('[') {
            return self.begin_section(title);
        }
        let Some(section) = self.sections.last_mut() else {
            return Err("a key before the first [SECTION]");
        };
        let (key, value) = content.split_once(['=', ':']).ok_or("no = behind a key")?;
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return Err("no key before the =");
        }
        let value = if key == COMMAND { value.trim() } else { without_comment(value) };
        section.keys.push((key, value.to_owned()));
        self.in_value = true;
        Ok(())
    }

    fn begin_section(&mut self, title: &str) -> Result<(), &'static str> {
        let (title, _) = title.rsplit_once(']').ok_or("no ] behind the title of a section")?;
        self.sections.push(Section { title: title.trim().to_owned(), keys: Vec::new() });
        self.in_value = false;
        Ok(())
    }

    fn continue_value(&mut self, content: &str) {
        if let Some((key, value)) = self.sections.last_mut().and_then(|section| section.keys.last_mut())
            && self.in_value
        {
            value.push('\n');
            value.push_str(if key == COMMAND { content } else { without_comment(content) });
        }
    }

    /// The keys of `[DEFAULT]` come first in every other section, where they can be overridden.
    fn finish(self) -> Vec<Section> {
        let (defaults, mut sections): (Vec<_>, Vec<_>) =
            self.sections.into_iter().partition(|section| section.title == DEFAULTS);
        let defaults: Vec<_> = defaults.into_iter().flat_map(|section| section.keys).collect();
        for section in &mut sections {
            let own = std::mem::take(&mut section.keys);
            section.keys = defaults.iter().cloned().chain(own).collect();
            for (_, value) in &mut section.keys {
                value.truncate(value.trim_end().len());
            }
        }
        sections
    }
}

/// Python keeps a comment behind a value; the SDKs do not. No key but the command has a value with white space before a
/// `#` or `;`.
fn without_comment(value: &str) -> &str {
    let marks = value.match_indices(['#', ';']).map(|(index, _)| index);
    let comment = marks
        .into_iter()
        .find(|index| value.get(..*index).is_some_and(|before| before.ends_with([' ', '\t'])));
    comment.and_then(|index| value.get(..index)).unwrap_or(value).trim()
}

/// The words of a text as a POSIX shell splits them (Python's `shlex.split`, with which botocore reads titles). `None`
/// where a quotation is not closed.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<(String, String)> {
        let mut sections = parse(text).unwrap();
        assert_eq!(sections.len(), 1);
        sections.remove(0).keys
    }

    fn value(text: &str) -> String {
        let keys = keys(text);
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0].1.clone()
    }

    /// Each expected value is what `botocore.configloader.raw_config_parse(path, False)` of 1.44 returns.
    #[test]
    fn values_are_those_of_the_aws_cli() {
        for (text, expected) in [
            ("[a]\nk=v", "v"),
            ("[a]\nk : v", "v"),
            ("[a]\nk = v = w:x", "v = w:x"),
            ("[a]\r\nk = v\r\n", "v"),
            ("[a]\rk = v\r", "v"),
            ("[a]\n  k = v\n", "v"),
            ("  [a]\n  k = v\n", "v"),
            ("[a] # comment\nk = v", "v"),
            ("[a]\n# k = w\n; k = w\n  # indented\nk = v", "v"),
            ("[a]\nk =\n  n = 1\n  m = 2\n", "\nn = 1\nm = 2"),
            ("[a]\nk =\n\n  n = 1\n  # comment\n  m = 2\n\n", "\n\nn = 1\nm = 2"),
            ("[a]\nk = v\n  w\n", "v\nw"),
            ("[a]\nk =", ""),
            ("[a]\nK = V", "V"),
            ("[a]\nk = http://x/#/start", "http://x/#/start"),
            ("[a]\ncredential_process = sh -c 'a ; b # c'", "sh -c 'a ; b # c'"),
            ("[DEFAULT]\nk = v\n[a]\n", "v"),
            ("[a]\nk = \u{e9}\u{1f600}", "\u{e9}\u{1f600}"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn keys_below_an_indented_key_are_keys() {
        let keys = keys("[a]\n  one = 1\n  two = 2\nthree = 3\n");
        let names: Vec<_> = keys.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three"]);
    }

    /// The AWS CLI refuses these, or takes the comment for a part of the value.
    #[test]
    fn what_other_sdks_accept_is_accepted() {
        for (text, expected) in
            [("\u{feff}[a]\nk = v", "v"), ("[ a ]\nk = v # comment", "v"), ("[a]\nk = v\t; comment", "v")]
        {
            assert_eq!(value(text), expected, "{text:?}");
        }
        assert_eq!(keys("[a]\nk = 1\nk = 2").len(), 2);
    }

    /// botocore: `ConfigParseError` for all of them.
    #[test]
    fn an_error_names_the_line() {
        for (text, line) in
            [("k = v\n", 1), ("[a]\n\nhunter2\n", 3), ("[a\nk = v", 1), ("[a]\r\nk = v\r\n= hunter2", 3)]
        {
            let error = parse(text).err().unwrap().to_string();
            assert!(error.starts_with(&format!("line {line}: ")) && !error.contains("hunter2"), "{error}");
        }
    }

    /// Each expected value is what `shlex.split` of Python 3.11 returns.
    #[test]
    fn words_are_those_of_python() {
        for (text, expected) in [
            ("profile dev", Some(&["profile", "dev"][..])),
            ("profile \"my dev\"", Some(&["profile", "my dev"])),
            ("profile 'my dev'", Some(&["profile", "my dev"])),
            ("profile my\\ dev", Some(&["profile", "my dev"])),
            ("profile \"a\\\"b\"", Some(&["profile", "a\"b"])),
            ("profile ''", Some(&["profile", ""])),
            ("profile\tdev ", Some(&["profile", "dev"])),
            ("profile a'b c'd", Some(&["profile", "ab cd"])),
            ("profile \"dev", None),
            ("profile \\", None),
        ] {
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
