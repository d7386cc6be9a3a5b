//! The files and variables that AWS credentials come from.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Location of the shared config and credentials files" and "Supported
//! environment variables".

use std::io::ErrorKind;
#[cfg(any(test, fuzzing))]
use std::path::Path;
use std::path::PathBuf;

use crate::aws::environment::Environment;
use crate::file_access;
use crate::stamp::Stamp;

/// The files and variables of this process.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Files {
    /// `~/.aws/config`, or the path in `AWS_CONFIG_FILE`.
    pub(super) config: PathBuf,
    /// `~/.aws/credentials`, or the path in `AWS_SHARED_CREDENTIALS_FILE`.
    pub(super) credentials: PathBuf,
    /// Directories to which `aws sso login` and `aws login` write their sessions. Only the AWS command line, as a
    /// `credential_process`, reads those of `aws login`.
    pub(super) sessions: Vec<PathBuf>,
    /// The profile in use: `AWS_PROFILE`, else `AWS_DEFAULT_PROFILE`, else `default`.
    pub(in crate::aws) profile: String,
    /// Whether the environment has keys, which take precedence over every profile.
    pub(super) keys_in_environment: bool,
    /// The tokens of a service account (IRSA) and of a container (EKS Pod Identity).
    pub(super) tokens: Vec<PathBuf>,
    /// The variables.
    pub(in crate::aws) environment: Environment,
}

/// A file that this process may not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the AWS file {} cannot be read: {reason}", path.display())]
pub(in crate::aws) struct Denied {
    path: PathBuf,
    reason: String,
}

/// The state of the files at one moment. It differs after one of them was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::aws) struct Fingerprint {
    profiles: [Stamp; 2],
    sessions: Vec<(PathBuf, Stamp)>,
}

impl Files {
    /// The files that these variables name.
    pub(in crate::aws) fn named_by(environment: Environment) -> Self {
        let home = environment.home();
        let set = |name: &str| environment.get(name);
        let path = |name: &str, default: &str| {
            set(name).map_or_else(|| home.join(default), |path| environment.expand(path))
        };
        Self {
            config: path("AWS_CONFIG_FILE", ".aws/config"),
            credentials: path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            sessions: vec![
                home.join(".aws/sso/cache"),
                path("AWS_LOGIN_CACHE_DIRECTORY", ".aws/login/cache"),
            ],
            profile: set("AWS_PROFILE").unwrap_or("default").to_owned(),
            keys_in_environment: set("AWS_ACCESS_KEY_ID").is_some() && set("AWS_SECRET_ACCESS_KEY").is_some(),
            tokens: ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
                .into_iter()
                .filter_map(|name| set(name).map(PathBuf::from))
                .collect(),
            environment,
        }
    }

    /// The error of each file that exists and that this process may not read. The SDK skips such files and looks for
    /// credentials elsewhere. Reads the files.
    pub(in crate::aws) fn denied(&self) -> Vec<Denied> {
        let files = [&self.config, &self.credentials].into_iter().chain(&self.tokens);
        let denied = files.filter_map(|path| {
            let error = file_access::open(path).err()?;
            (error.kind() == ErrorKind::PermissionDenied)
                .then(|| Denied { path: path.clone(), reason: error.to_string() })
        });
        denied.collect()
    }

    /// Files that do not exist.
    #[cfg(any(test, fuzzing))]
    pub(in crate::aws) fn absent(profile: &str) -> Self {
        Self::in_directory(Path::new("/nonexistent"), profile)
    }

    /// Files in one directory, sessions included.
    #[cfg(any(test, fuzzing))]
    pub(super) fn in_directory(directory: &Path, profile: &str) -> Self {
        Self {
            config: directory.join("config"),
            credentials: directory.join("credentials"),
            sessions: vec![directory.to_path_buf()],
            profile: profile.into(),
            keys_in_environment: false,
            tokens: Vec::new(),
            environment: Environment::default(),
        }
    }

    /// The state of the files now. Directories that do not exist or cannot be read are left out.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let profiles = [Stamp::of(&self.config), Stamp::of(&self.credentials)];
        // The AWS command line writes sessions in place, which does not change the directory's modification time.
        let entries =
            self.sessions.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut sessions: Vec<_> = paths.map(|path| (path.clone(), Stamp::of(&path))).collect();
        sessions.sort();
        Fingerprint { profiles, sessions }
    }
}

impl Fingerprint {
    /// Whether the profiles are the same in both, sessions aside.
    pub(super) fn has_same_profiles(&self, other: &Self) -> bool {
        self.profiles == other.profiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(variables: &[(&str, &str)]) -> Files {
        Files::named_by(variables.iter().copied().collect())
    }

    #[test]
    fn variables_override_the_default_paths() {
        let default = files(&[("HOME", "/home/a"), ("AWS_PROFILE", "")]);
        assert_eq!(default.config, Path::new("/home/a/.aws/config"));
        assert_eq!(default.credentials, Path::new("/home/a/.aws/credentials"));
        assert_eq!((default.profile.as_str(), default.keys_in_environment), ("default", false));
        let moved = files(&[
            ("HOME", "/home/a"),
            ("AWS_CONFIG_FILE", "/etc/aws.ini"),
            ("AWS_SHARED_CREDENTIALS_FILE", "~/keys"),
            ("AWS_PROFILE", "dev"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "y"),
        ]);
        assert_eq!(moved.config, Path::new("/etc/aws.ini"));
        assert_eq!(moved.credentials, Path::new("/home/a/keys"));
        assert_eq!((moved.profile.as_str(), moved.keys_in_environment), ("dev", true));
    }

    #[test]
    fn every_kind_of_login_changes_the_fingerprint() {
        let home = tempfile::tempdir().unwrap();
        let files = files(&[("HOME", home.path().to_str().unwrap())]);
        let mut before = files.fingerprint();
        std::fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
        std::fs::create_dir_all(home.path().join(".aws/login/cache")).unwrap();
        for path in ["config", "credentials", "sso/cache/a.json", "sso/cache/b.json", "login/cache/c.json"] {
            std::fs::write(home.path().join(".aws").join(path), "x").unwrap();
            let after = files.fingerprint();
            assert_ne!(before, after, "{path}");
            assert_eq!(after, files.fingerprint());
            before = after;
        }
        std::fs::write(home.path().join(".aws/sso/cache/a.json"), "longer").unwrap();
        assert_ne!(before, files.fingerprint());
    }
}
