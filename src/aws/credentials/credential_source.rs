//! Which login or file the AWS credentials come from, read from the profile files for the sake of good advice.
//!
//! The SDK reads the same files on its own to get the credentials; nothing here takes part in that. Source: AWS SDKs
//! and Tools Reference Guide, "Format of the shared config and credentials files".

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};

use super::files::Files;

/// How many `source_profile` steps are followed, so that a circle ends.
const LONGEST_CHAIN: usize = 8;

/// Where credentials come from. The text is the profile's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment,
    /// A profile of IAM Identity Center.
    Sso(String),
    /// A profile made by `aws login`.
    Login(String),
    /// A profile with a `credential_process`.
    Process(String),
    /// A profile whose keys saml2aws wrote.
    Saml2aws(String),
    /// A profile with keys of another source.
    Keys(String),
    /// No usable profile: a service account, a container or an instance role, or nothing at all. The text is the
    /// profile that was looked for.
    Machine(String),
}

impl Origin {
    /// What the files say now.
    pub(super) fn read(files: &Files) -> Self {
        if files.keys_in_environment {
            return Self::Environment;
        }
        let mut name = files.profile.clone();
        for _ in 0..LONGEST_CHAIN {
            let keys = profile(files, &name);
            let has = |key: &str| keys.contains_key(key);
            match keys.get("source_profile") {
                Some(source) if *source != name && has("role_arn") => name.clone_from(source),
                _ if has("sso_session") || has("sso_start_url") => return Self::Sso(name),
                _ if has("login_session") => return Self::Login(name),
                _ if has("credential_process") => return Self::Process(name),
                _ if has("x_security_token_expires") || has("x_principal_arn") => {
                    return Self::Saml2aws(name);
                }
                _ if has("aws_access_key_id") => return Self::Keys(name),
                _ => break,
            }
        }
        Self::Machine(name)
    }

    /// The command or setting that brings new credentials.
    pub(in crate::aws) fn remedy(&self) -> String {
        match self {
            Self::Environment => "set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment and \
                start the proxy again, or unset them to use a profile"
                .into(),
            Self::Sso(profile) => format!("run `aws sso login --profile {profile}`"),
            Self::Login(profile) => by_command_line(profile),
            Self::Process(profile) => format!(
                "run the credential_process of the profile \"{profile}\" by hand and mend what it complains of"
            ),
            Self::Saml2aws(profile) => format!("run `saml2aws login --profile {profile}`"),
            Self::Keys(profile) => format!(
                "put new keys into the profile \"{profile}\" with the command that wrote them, such as \
                 `saml2aws login --profile {profile}` or `aws configure --profile {profile}`"
            ),
            Self::Machine(profile) => format!(
                "on a laptop, log in (`aws configure sso --profile {profile}` once, then `aws sso login --profile {profile}`) and set \
                 AWS_PROFILE; in a pod, give its service account an IAM role; on EC2, attach an instance profile"
            ),
        }
    }
}

/// The way to credentials that the AWS command line gets and this program cannot.
pub(super) fn by_command_line(profile: &str) -> String {
    format!(
        "use a profile of IAM Identity Center (`aws sso login`), or set AWS_PROFILE to another profile, with \
         `credential_process = aws configure export-credentials --profile {profile} --format process`"
    )
}

/// A role that the profile in use assumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// The profile that names it.
    pub(super) profile: String,
    /// Its ARN.
    pub(super) arn: String,
    /// Whose credentials assume it, for people to read.
    pub(super) source: String,
    /// Whether the profile names a device for codes.
    pub(super) has_second_factor: bool,
}

impl Role {
    /// The role of the profile in use, as the files say now.
    pub(super) fn read(files: &Files) -> Option<Self> {
        if files.keys_in_environment {
            return None;
        }
        let mut keys = profile(files, &files.profile);
        let arn = keys.remove("role_arn")?;
        let source = match keys.remove("source_profile") {
            Some(source) => format!("the profile \"{source}\""),
            None => "its credential_source".into(),
        };
        let has_second_factor = keys.contains_key("mfa_serial");
        Some(Self { profile: files.profile.clone(), arn, source, has_second_factor })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => formatter.write_str("the environment"),
            Self::Machine(_) => formatter.write_str("this machine"),
            Self::Sso(name)
            | Self::Login(name)
            | Self::Process(name)
            | Self::Saml2aws(name)
            | Self::Keys(name) => write!(formatter, "the profile \"{name}\""),
        }
    }
}

/// When the keys of the profile in use end, where saml2aws noted it: the SDK does not know that key, and would sign
/// with dead keys.
pub(super) fn noted_expiry(files: &Files, access_key_id: &str) -> Option<SystemTime> {
    let keys = profile(files, &files.profile);
    let noted = keys.get("x_security_token_expires")?;
    if keys.get("aws_access_key_id")? != access_key_id {
        return None;
    }
    DateTime::from_str(noted, DateTimeFormat::DateTimeWithOffset).ok()?.try_into().ok()
}

/// All keys of a profile, those of the credentials file over those of the config file.
fn profile(files: &Files, name: &str) -> BTreeMap<String, String> {
    let mut keys = section(&files.config, |title| {
        title.strip_prefix("profile ").is_some_and(|rest| rest.trim() == name)
            || (title == "default" && name == "default")
    });
    keys.extend(section(&files.credentials, |title| title == name));
    keys
}

fn section(path: &Path, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut keys = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = is_wanted(title.trim());
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !line.starts_with(['#', ';', ' ', '\t'])
        {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn files(directory: &Path, profile: &str) -> Files {
        Files {
            config: directory.join("config"),
            credentials: directory.join("credentials"),
            sessions: vec![],
            profile: profile.into(),
            keys_in_environment: false,
        }
    }

    #[test]
    fn each_kind_of_profile_has_its_command() {
        let home = tempfile::tempdir().unwrap();
        let config = "\
[default]\nregion = eu-west-1\n# sso_session = no\n
[profile sso]\nsso_session = corp\nsso_role_name = r\n
[profile  old-sso ]\nsso_start_url = https://example.com\n
[profile role]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = sso\n
[profile circle]\nrole_arn = a\nsource_profile = circle2\n[profile circle2]\nrole_arn = a\nsource_profile = circle\n
[profile login]\nlogin_session = arn:aws:iam::111122223333:user/a\n
[profile process]\ncredential_process = /bin/keys\n
[sso-session corp]\nsso_start_url = https://example.com\n";
        let credentials =
            "[saml]\naws_access_key_id = A\nx_principal_arn = arn\n[plain]\naws_access_key_id=A\n";
        std::fs::write(home.path().join("config"), config).unwrap();
        std::fs::write(home.path().join("credentials"), credentials).unwrap();
        let remedy = |profile: &str| Origin::read(&files(home.path(), profile)).remedy();
        assert_eq!(remedy("sso"), "run `aws sso login --profile sso`");
        assert_eq!(remedy("old-sso"), "run `aws sso login --profile old-sso`");
        assert_eq!(remedy("role"), "run `aws sso login --profile sso`");
        assert!(remedy("login").contains("export-credentials --profile login --format process`"));
        assert_eq!(remedy("saml"), "run `saml2aws login --profile saml`");
        assert!(remedy("plain").contains("`aws configure --profile plain`"));
        assert!(remedy("process").contains("credential_process of the profile \"process\""));
        for absent in ["default", "circle", "no-such", "corp"] {
            assert!(matches!(Origin::read(&files(home.path(), absent)), Origin::Machine(_)), "{absent}");
        }
        let environment = Files { keys_in_environment: true, ..files(home.path(), "sso") };
        assert_eq!(Origin::read(&environment), Origin::Environment);
    }

    #[test]
    fn the_end_that_saml2aws_noted_counts_for_its_own_keys_only() {
        let home = tempfile::tempdir().unwrap();
        let text =
            "[default]\naws_access_key_id = AKIDA\nx_security_token_expires = 1970-01-01T02:00:09+02:00\n";
        std::fs::write(home.path().join("credentials"), text).unwrap();
        let files = files(home.path(), "default");
        assert_eq!(noted_expiry(&files, "AKIDA"), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9)));
        assert_eq!(noted_expiry(&files, "AKIDB"), None);
    }
}
