//! Reads the profiles in the AWS files, for advice.
//!
//! The SDK gets the credentials from the same files.

use std::time::SystemTime;

use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};

use super::files::Files;
use super::shared_config::{Keys, SharedConfig};
use crate::aws::environment::Environment;

/// How many `source_profile` steps are followed. Profiles may form a circle.
pub(super) const MAX_PROFILES: usize = 8;

/// The names of the profiles that this process could use; none where the files cannot be read.
#[must_use]
pub fn profile_names() -> Vec<String> {
    let shared = SharedConfig::read(&Files::named_by(Environment::of_this_process())).unwrap_or_default();
    shared.names().into_iter().map(str::to_owned).collect()
}

/// All keys of a profile that have a value. None of a file with a syntax error: that error is reported elsewhere.
pub(super) fn profile(files: &Files, name: &str) -> Keys {
    SharedConfig::read(files).unwrap_or_default().profile(name)
}

/// The profile in use and those that it names as its source, at most [`MAX_PROFILES`].
pub(super) fn sources(shared: &SharedConfig, name: &str) -> Vec<(String, Keys)> {
    let mut sources = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next.filter(|_| sources.len() < MAX_PROFILES) {
        let keys = shared.profile(&name);
        next = keys.get("source_profile").filter(|source| **source != name).cloned();
        sources.push((name, keys));
    }
    sources
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
