//! Reads the profiles in the AWS files, for advice.
//!
//! The SDK reads the same files by itself to get credentials. Source: AWS SDKs and Tools Reference Guide, "Format of
//! the shared config and credentials files".

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};

use super::files::Files;

/// All keys of a profile; a key of the credentials file overrides the one of the config file.
pub(super) fn profile(files: &Files, name: &str) -> BTreeMap<String, String> {
    let mut keys = section(&files.config, |title| {
        title.strip_prefix("profile ").is_some_and(|rest| rest.trim() == name)
            || (title == "default" && name == "default")
    });
    keys.extend(section(&files.credentials, |title| title == name));
    keys
}

/// The names of all profiles, in order.
pub(super) fn names(files: &Files) -> BTreeSet<String> {
    let mut names = titles(&files.credentials);
    // A section of another kind, such as `sso-session`, has two words.
    names.retain(|title| !title.contains(char::is_whitespace));
    for title in titles(&files.config) {
        match title.strip_prefix("profile ") {
            Some(name) => drop(names.insert(name.trim().to_owned())),
            None if title == "default" => drop(names.insert(title)),
            None => {}
        }
    }
    names
}

/// The expiry that saml2aws wrote beside the keys of the profile in use. The SDK does not know that key and would sign
/// with expired keys.
pub(super) fn saml2aws_expiry(files: &Files, access_key_id: &str) -> Option<SystemTime> {
    let keys = profile(files, &files.profile);
    let expiry = keys.get("x_security_token_expires")?;
    if keys.get("aws_access_key_id")? != access_key_id {
        return None;
    }
    DateTime::from_str(expiry, DateTimeFormat::DateTimeWithOffset).ok()?.try_into().ok()
}

fn section(path: &Path, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut keys = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(title) = title(line) {
            inside = is_wanted(title);
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !line.starts_with(['#', ';', ' ', '\t'])
        {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    keys
}

fn titles(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(title).map(str::to_owned).collect()
}

/// The title of a section, if the line has one.
fn title(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix('[')?.split(']').next()?.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_expiry_that_saml2aws_wrote_applies_to_its_own_keys_only() {
        let home = tempfile::tempdir().unwrap();
        let text =
            "[default]\naws_access_key_id = AKIDA\nx_security_token_expires = 1970-01-01T02:00:09+02:00\n";
        std::fs::write(home.path().join("credentials"), text).unwrap();
        let files = Files::in_directory(home.path(), "default");
        assert_eq!(saml2aws_expiry(&files, "AKIDA"), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9)));
        assert_eq!(saml2aws_expiry(&files, "AKIDB"), None);
    }
}
