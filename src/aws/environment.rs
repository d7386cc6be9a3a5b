//! The variables of the process, as the AWS CLI reads them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_types::os_shim_internal::Env;

use crate::secret::Secret;

/// Variables without the prefix `AWS_` from which the SDK finds the home directory.
const HOME: [&str; 4] = ["HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH"];

/// The variables that hold the keys.
const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The variables for AWS. An empty one counts as unset, and white space around a value, such as the line end of a
/// Kubernetes secret, does not belong to it.
#[derive(Clone, Default)]
pub(in crate::aws) struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    /// The variables of this process as they are now.
    pub(in crate::aws) fn of_this_process() -> Self {
        Self::of(std::env::vars_os())
    }

    pub(in crate::aws) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let variables = variables.into_iter().filter_map(text);
        let is_ours = |name: &str| name.starts_with("AWS_") || HOME.contains(&name);
        let mut variables: BTreeMap<_, _> = variables
            .filter(|(name, _)| is_ours(name))
            .map(|(name, value)| (name, value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        // The older names, which the AWS CLI still reads.
        for (name, older) in [("AWS_PROFILE", "AWS_DEFAULT_PROFILE"), ("AWS_REGION", "AWS_DEFAULT_REGION")] {
            if let Some(value) = variables.get(older).cloned() {
                variables.entry(name.to_owned()).or_insert(value);
            }
        }
        Self(Arc::new(variables))
    }

    /// The same variables with this profile in use. A profile that somebody names comes before keys in the environment, as
    /// `--profile` of the AWS CLI does (botocore, `create_credential_resolver`).
    pub(in crate::aws) fn with_profile(self, profile: &str) -> Self {
        let mut variables = Arc::unwrap_or_clone(self.0);
        variables.retain(|name, _| !KEYS.contains(&name.as_str()));
        variables.insert("AWS_PROFILE".to_owned(), profile.to_owned());
        Self(Arc::new(variables))
    }

    /// The same variables with these keys, which come before every profile.
    pub(in crate::aws) fn with_keys(self, id: &str, secret: &Secret, session_token: Option<&Secret>) -> Self {
        let mut variables = Arc::unwrap_or_clone(self.0);
        variables.retain(|name, _| !KEYS.contains(&name.as_str()));
        let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
        let [id_name, secret_name, token_name] = KEYS.map(str::to_owned);
        variables.insert(id_name, id.to_owned());
        variables.insert(secret_name, text(secret));
        variables.extend(session_token.map(|token| (token_name, text(token))));
        Self(Arc::new(variables))
    }

    /// The same variables with this one.
    pub(in crate::aws) fn with(self, name: &str, value: &str) -> Self {
        let mut variables = Arc::unwrap_or_clone(self.0);
        variables.insert(name.to_owned(), value.to_owned());
        Self(Arc::new(variables))
    }

    /// The value of a variable that is set.
    pub(in crate::aws) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables for the SDK, with `profile` as the one in use.
    pub(in crate::aws) fn for_sdk(&self, profile: &str) -> Env {
        let mut variables: HashMap<_, _> =
            self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        variables.insert("AWS_PROFILE".to_owned(), profile.to_owned());
        Env::from(variables)
    }

    /// The home directory; empty if no variable names it.
    pub(in crate::aws) fn home(&self) -> PathBuf {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).unwrap_or_default().into()
    }

    /// A path with `~`, `$NAME` and `${NAME}` expanded, as botocore does for the files of the configuration.
    pub(in crate::aws) fn expand(&self, path: &str) -> PathBuf {
        let path = Self::with_variables(path);
        match Path::new(&path).strip_prefix("~") {
            Ok(rest) => self.home().join(rest),
            Err(_) => path.into(),
        }
    }

    /// The first variable with a key that no request can carry.
    pub(in crate::aws) fn unusable_key(&self) -> Option<&'static str> {
        KEYS.into_iter().find(|name| self.get(name).is_some_and(|value| !is_key(value)))
    }

    /// The variables that name an endpoint.
    pub(in crate::aws) fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_endpoint = |name: &str| name == "AWS_ENDPOINT_URL" || name.starts_with("AWS_ENDPOINT_URL_");
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(move |(name, _)| is_endpoint(name))
    }

    /// A name that is not set stays as it is (Python's `os.path.expandvars`).
    fn with_variables(path: &str) -> String {
        let mut expanded = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let length = after
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(after.len());
            let (name, behind) = braced.or_else(|| after.split_at_checked(length)).unwrap_or(("", after));
            let value = std::env::var(name).ok().filter(|_| !name.is_empty());
            rest = if value.is_some() { behind } else { after };
            expanded.push_str(value.as_deref().unwrap_or("$"));
        }
        expanded.push_str(rest);
        expanded
    }
}

/// Whether the text can be a part of a key: visible ASCII.
pub(in crate::aws) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl<N: AsRef<OsStr>, V: AsRef<OsStr>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self::of(
            variables.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned())),
        )
    }
}

/// Without the values, among which are keys.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_are_unset_and_older_names_are_fallbacks() {
        let variables: Environment = [
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "eu-west-1\n"),
            ("AWS_PROFILE", "new"),
            ("AWS_DEFAULT_PROFILE", "old"),
            ("AWS_ENDPOINT_URL", " \r\n"),
            ("AWS_ENDPOINT_URL_RDS", "http://a"),
            ("AWS_ACCESS_KEY_ID", "AKID\r\n"),
            ("AWS_SESSION_TOKEN", "a\nb"),
            ("OTHER", "x"),
        ]
        .into_iter()
        .collect();
        assert_eq!(variables.get("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(variables.get("AWS_PROFILE"), Some("new"));
        assert_eq!(variables.get("AWS_ACCESS_KEY_ID"), Some("AKID"));
        assert_eq!(variables.get("OTHER"), None);
        assert_eq!(variables.endpoints().collect::<Vec<_>>(), [("AWS_ENDPOINT_URL_RDS", "http://a")]);
        assert_eq!(variables.unusable_key(), Some("AWS_SESSION_TOKEN"));
        assert!(!format!("{variables:?}").contains("AKID"));
    }

    #[test]
    fn paths_are_expanded_as_python_expands_them() {
        let variables: Environment = [("HOME", "/home/a")].into_iter().collect();
        let path = std::env::var("PATH").unwrap();
        for (path, expected) in [
            ("~/x", "/home/a/x".to_owned()),
            ("~b/x", "~b/x".to_owned()),
            ("/a/$PATH/b", format!("/a/{path}/b")),
            ("/a/${PATH}b", format!("/a/{path}b")),
            ("/a/$NO_SUCH_NAME/$", "/a/$NO_SUCH_NAME/$".to_owned()),
        ] {
            assert_eq!(variables.expand(path), PathBuf::from(expected));
        }
    }
}
