//! Where the AWS credentials come from, as the profile files say, for advice.

use std::fmt;

use super::files::Files;
use super::profiles::{MAX_PROFILES, profile};

/// Where credentials come from. The text is the profile's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) enum CredentialSource {
    /// `AWS_ACCESS_KEY_ID` and the variables that belong to it.
    Environment,
    /// A profile of IAM Identity Center.
    Sso(String),
    /// A profile made by `aws login`.
    AwsLogin(String),
    /// A profile with a `credential_process`.
    Process(String),
    /// A profile whose keys saml2aws wrote.
    Saml2aws(String),
    /// A profile with other keys.
    Keys(String),
    /// No usable profile: a service account, a container or an instance role, or nothing. The text is the profile in
    /// use.
    Machine(String),
}

impl CredentialSource {
    /// Reads the files as they are now.
    pub(super) fn read(files: &Files) -> Self {
        if files.keys_in_environment {
            return Self::Environment;
        }
        let mut name = files.profile.clone();
        for _ in 0..MAX_PROFILES {
            let keys = profile(files, &name);
            let has = |key: &str| keys.contains_key(key);
            match keys.get("source_profile") {
                Some(source) if *source != name && has("role_arn") => name.clone_from(source),
                _ if has("sso_session") || has("sso_start_url") => return Self::Sso(name),
                _ if has("login_session") => return Self::AwsLogin(name),
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
            Self::AwsLogin(profile) => through_command_line(profile),
            Self::Process(profile) => format!(
                "run the credential_process of the profile \"{profile}\" by hand and fix what it reports"
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

/// The remedy for credentials that only the AWS command line can get.
pub(super) fn through_command_line(profile: &str) -> String {
    format!(
        "use a profile of IAM Identity Center (`aws sso login`), or set AWS_PROFILE to another profile, with \
         `credential_process = aws configure export-credentials --profile {profile} --format process`"
    )
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => formatter.write_str("the environment"),
            Self::Machine(_) => formatter.write_str("this machine"),
            Self::Sso(name)
            | Self::AwsLogin(name)
            | Self::Process(name)
            | Self::Saml2aws(name)
            | Self::Keys(name) => write!(formatter, "the profile \"{name}\""),
        }
    }
}

/// The role that the profile in use assumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AssumedRole {
    /// The profile that names it.
    pub(super) profile: String,
    /// Its ARN.
    pub(super) arn: String,
    /// The credentials that assume it, as text for an error.
    pub(super) assumed_by: String,
    /// The MFA device that the profile names.
    pub(super) mfa_serial: Option<String>,
}

impl AssumedRole {
    /// Reads the files as they are now.
    pub(super) fn read(files: &Files) -> Option<Self> {
        if files.keys_in_environment {
            return None;
        }
        let mut keys = profile(files, &files.profile);
        let arn = keys.remove("role_arn")?;
        let assumed_by = match keys.remove("source_profile") {
            Some(source) => format!("the profile \"{source}\""),
            None => "its credential_source".into(),
        };
        let mfa_serial = keys.remove("mfa_serial");
        Some(Self { profile: files.profile.clone(), arn, assumed_by, mfa_serial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_profile_has_its_remedy() {
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
        let source = |profile: &str| CredentialSource::read(&Files::in_directory(home.path(), profile));
        let remedy = |profile: &str| source(profile).remedy();
        assert_eq!(remedy("sso"), "run `aws sso login --profile sso`");
        assert_eq!(remedy("old-sso"), "run `aws sso login --profile old-sso`");
        assert_eq!(remedy("role"), "run `aws sso login --profile sso`");
        assert!(remedy("login").contains("export-credentials --profile login --format process`"));
        assert_eq!(remedy("saml"), "run `saml2aws login --profile saml`");
        assert!(remedy("plain").contains("`aws configure --profile plain`"));
        assert!(remedy("process").contains("credential_process of the profile \"process\""));
        for absent in ["default", "circle", "no-such", "corp"] {
            assert!(matches!(source(absent), CredentialSource::Machine(_)), "{absent}");
        }
        let environment = Files { keys_in_environment: true, ..Files::in_directory(home.path(), "sso") };
        assert_eq!(CredentialSource::read(&environment), CredentialSource::Environment);
    }
}
