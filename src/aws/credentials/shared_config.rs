//! The profiles in the AWS files, as the AWS CLI reads them, and the same as the SDK's own parser has to see them.
//!
//! Source: botocore's `configloader.py` and `session.py` (`full_config`), and the AWS SDKs and Tools Reference Guide,
//! "Format of the shared config and credentials files".

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::ini::{self, Section, SyntaxError};
use crate::file_access;

/// Keys of a section by name.
pub(in crate::aws) type Keys = BTreeMap<String, String>;

/// The sections of both files.
#[derive(Clone, Default)]
pub(in crate::aws) struct SharedConfig {
    /// By name. A key of the credentials file overrides the one of the config file.
    profiles: BTreeMap<String, Keys>,
    /// `[sso-session NAME]` and `[services NAME]`, by kind and name.
    others: BTreeMap<(String, String), Keys>,
    /// Titles in the config file that are no profile for want of the word `profile`.
    without_prefix: Vec<String>,
}

/// A file with a syntax error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the AWS file {} cannot be read: {reason}", path.display())]
pub(in crate::aws) struct BrokenFile {
    path: PathBuf,
    reason: String,
}

impl SharedConfig {
    /// Reads the files as they are now. A file that does not exist is empty, and one that this process may not read is
    /// left out.
    pub(in crate::aws) fn read(files: &Files) -> Result<Self, BrokenFile> {
        let mut read = Self::default();
        for section in sections(&files.config)? {
            read.add_config(section);
        }
        for section in sections(&files.credentials)? {
            read.profiles.entry(section.title).or_default().extend(section.keys);
        }
        Ok(read)
    }

    /// The keys of a profile with a value; nested values begin with a line end.
    pub(in crate::aws) fn profile(&self, name: &str) -> Keys {
        let keys = self.profiles.get(name).into_iter().flatten();
        keys.filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A nested key of `[services NAME]`, `NAME` being the `services` of the profile.
    pub(super) fn service_endpoints(&self, profile: &str) -> Vec<String> {
        let name = self.profile(profile).remove("services").unwrap_or_default();
        let services = self.others.get(&("services".to_owned(), name)).into_iter().flatten();
        let lines = services.flat_map(|(_, value)| value.lines());
        let endpoint = |line: &str| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "endpoint_url").then(|| value.trim().to_owned())
        };
        lines.filter_map(endpoint).collect()
    }

    /// The files that profiles name for a web identity.
    pub(super) fn web_identity_tokens(&self) -> impl Iterator<Item = PathBuf> {
        self.profiles.values().filter_map(|keys| keys.get("web_identity_token_file")).map(PathBuf::from)
    }

    /// Whether a file has the profile.
    pub(super) fn has(&self, profile: &str) -> bool {
        self.profiles.contains_key(profile)
    }

    /// The names of the profiles, for an error.
    pub(super) fn names(&self) -> Vec<&str> {
        self.profiles.keys().map(String::as_str).collect()
    }

    /// Whether the config file has `[NAME]` in place of `[profile NAME]`.
    pub(super) fn lacks_prefix(&self, name: &str) -> bool {
        self.without_prefix.iter().any(|title| title == name)
    }

    /// The text of a config file in which the SDK's parser finds the same.
    pub(super) fn for_sdk(&self) -> String {
        let mut text = String::new();
        for (name, keys) in &self.profiles {
            section_for_sdk(&mut text, "profile", &name_for_sdk(name), keys);
        }
        for ((kind, name), keys) in &self.others {
            section_for_sdk(&mut text, kind, name, keys);
        }
        text
    }

    fn add_config(&mut self, Section { title, keys }: Section) {
        let Some(words) = ini::words(&title) else { return };
        match words.as_slice() {
            [only] if only == "default" => self.profiles.entry(title).or_default().extend(keys),
            [kind, name @ ..] if kind == "profile" && !name.is_empty() => {
                self.profiles.entry(name.join(" ")).or_default().extend(keys);
            }
            [kind, name] if ["sso-session", "services"].contains(&kind.as_str()) => {
                self.others.entry((kind.clone(), name.clone())).or_default().extend(keys);
            }
            _ => self.without_prefix.push(title),
        }
    }
}

fn sections(path: &Path) -> Result<Vec<Section>, BrokenFile> {
    let broken = |reason| BrokenFile { path: path.to_owned(), reason };
    let text = match file_access::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(broken(error.to_string())),
    };
    let text = String::from_utf8(text).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.split(|byte| *byte == b'\n').skip(1).count();
        broken(format!("line {line}: it is not UTF-8"))
    })?;
    ini::parse(&text).map_err(|error: SyntaxError| broken(error.to_string()))
}

/// The SDK ignores a profile whose name has other characters (`validate_identifier` in aws-runtime), so they are
/// written as `%XX`, here and in every reference to the profile.
pub(super) fn name_for_sdk(name: &str) -> String {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&byte);
    let mut written = String::new();
    for byte in name.bytes() {
        if is_allowed(byte) {
            written.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// Leaves out keys without a value: the SDK would use the empty text.
fn section_for_sdk(text: &mut String, kind: &str, name: &str, keys: &Keys) {
    let _ = writeln!(text, "[{kind} {name}]");
    for (key, value) in keys {
        if let Some(nested) = value.strip_prefix('\n') {
            let _ = writeln!(text, "{key} =");
            // The SDK refuses the file over a nested line without a value.
            for line in nested.lines().filter(|line| line.contains('=')) {
                let _ = writeln!(text, "  {line}");
            }
            continue;
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value = match key.as_str() {
            "source_profile" => name_for_sdk(&value),
            "credential_process" => without_comments(&value),
            _ => value,
        };
        if !value.is_empty() {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

/// The command, in which the SDK would take a `#` or `;` behind white space for the start of a comment. Between quotation
/// marks, which the command keeps, an empty quotation stands before it; elsewhere the white space goes.
fn without_comments(command: &str) -> String {
    let mut written = String::new();
    let mut quote = None;
    for character in command.chars() {
        if matches!(character, '#' | ';') && written.ends_with(' ') {
            match quote {
                Some(open) => written.extend([open, open]),
                None if character == ';' => written.truncate(written.trim_end().len()),
                None => break,
            }
        }
        quote = match (quote, character) {
            (Some(open), _) if open == character => None,
            (None, '\'' | '"') => Some(character),
            (quote, _) => quote,
        };
        written.push(character);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str, credentials: &str) -> SharedConfig {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), config).unwrap();
        std::fs::write(home.path().join("credentials"), credentials).unwrap();
        SharedConfig::read(&Files::in_directory(home.path(), "default")).unwrap()
    }

    fn value(read: &SharedConfig, profile: &str, key: &str) -> Option<String> {
        read.profile(profile).remove(key)
    }

    /// botocore 1.44: `session.full_config["profiles"]`.
    #[test]
    fn profiles_are_those_of_the_aws_cli() {
        let read = read(
            "[default]\nregion = a\n[profile dev]\nregion = b\naws_access_key_id = CONFIG\n[profile \"my dev\"]\nregion = c\n\
             [profile 'quoted']\nregion = d\n[bare]\nregion = e\n[preview]\n[profile \"open]\nregion = f\n[profiles x]\nregion = g\n",
            "[dev]\naws_access_key_id = CREDENTIALS\n[my dev]\naws_secret_access_key = s\n[only here]\naws_session_token =\n",
        );
        assert_eq!(read.names(), ["default", "dev", "my dev", "only here", "quoted"]);
        assert_eq!(value(&read, "dev", "aws_access_key_id").as_deref(), Some("CREDENTIALS"));
        assert_eq!(value(&read, "my dev", "region").as_deref(), Some("c"));
        assert_eq!(value(&read, "my dev", "aws_secret_access_key").as_deref(), Some("s"));
        assert_eq!(value(&read, "only here", "aws_session_token"), None);
        assert!(read.lacks_prefix("bare") && !read.lacks_prefix("dev"));
    }

    #[test]
    fn the_sdk_sees_the_same_profiles() {
        let text = read(
            "[profile my role]\nrole_arn = r\nsource_profile = my base\nregion =\ns3 =\n  a = b\n  broken\n\
             [sso-session corp]\nsso_region = us-east-1\n[services local]\nrds =\n  endpoint_url = http://h:1\n",
            "[my base]\naws_access_key_id = AKID\naws_session_token =\n",
        )
        .for_sdk();
        assert_eq!(
            text,
            "[profile my%20base]\naws_access_key_id = AKID\n[profile my%20role]\nrole_arn = r\ns3 =\n  a = b\n\
             source_profile = my%20base\n[services local]\nrds =\n  endpoint_url = http://h:1\n\
             [sso-session corp]\nsso_region = us-east-1\n"
        );
    }

    #[test]
    fn no_part_of_a_command_is_a_comment() {
        for (command, expected) in [
            ("sh -c 'a ; b'", "sh -c 'a ''; b'"),
            ("sh -c \"a #b\"", "sh -c \"a \"\"#b\""),
            ("a ; b", "a; b"),
            ("a # b", "a "),
            ("a;b 'c'#d", "a;b 'c'#d"),
        ] {
            assert_eq!(without_comments(command), expected);
        }
    }

    #[test]
    fn an_error_names_file_and_line() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), "[default]\nregion us-east-1\n").unwrap();
        let files = Files::in_directory(home.path(), "default");
        let error = SharedConfig::read(&files).err().unwrap().to_string();
        let path = home.path().join("config");
        assert_eq!(
            error,
            format!("the AWS file {} cannot be read: line 2: no = behind a key", path.display())
        );
        std::fs::write(&path, b"[default]\nregion = \xff\n").unwrap();
        let error = SharedConfig::read(&files).err().unwrap().to_string();
        assert!(error.ends_with("line 2: it is not UTF-8"), "{error}");
    }
}
