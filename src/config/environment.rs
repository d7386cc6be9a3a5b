//! The environment of the process.

use std::env;
use std::path::PathBuf;

/// The directory of this program for data that can be made again: `$XDG_CACHE_HOME/rds-auth-proxy`, else
/// `~/.cache/rds-auth-proxy`. Absent where neither is an absolute path.
#[must_use]
pub fn cache_directory() -> Option<PathBuf> {
    Some(Environment::of_process().cache()?.join("rds-auth-proxy"))
}

/// Environment variables, and paths made with them. Tests have their own variables.
pub(super) struct Environment {
    variable: Box<Lookup>,
}

/// The value of a variable.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The name of a variable that is not set, so that a path cannot be expanded.
pub(super) struct Unset(String);

impl Environment {
    /// The environment of this process.
    pub(super) fn of_process() -> Self {
        Self { variable: Box::new(|name| env::var(name).ok()) }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn of(variables: &'static [(&'static str, &'static str)]) -> Self {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Self { variable: Box::new(move |name| find(name).map(|(_, value)| (*value).to_owned())) }
    }

    /// The value of an environment variable; absent if it is not set or not UTF-8.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// The home directory: `HOME`, or `USERPROFILE`, which Windows sets instead.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.home_text().map(PathBuf::from)
    }

    /// `$XDG_CACHE_HOME`, else `~/.cache` (XDG Base Directory Specification); absent without an absolute path.
    fn cache(&self) -> Option<PathBuf> {
        let xdg = self.variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        xdg.or_else(|| Some(self.home()?.join(".cache"))).filter(|path| path.is_absolute())
    }

    fn home_text(&self) -> Option<String> {
        let set = |name: &str| self.variable(name).filter(|home| !home.is_empty());
        set("HOME").or_else(|| set("USERPROFILE"))
    }

    /// The path with `~` at its beginning and `$NAME` and `${NAME}` anywhere replaced.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, Unset> {
        let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']));
        let Some(rest) = rest else { return self.variables_in(text).map(PathBuf::from) };
        let home = self.home().ok_or_else(|| Unset("HOME".into()))?;
        Ok(format!("{}{}", home.display(), self.variables_in(rest)?).into())
    }

    fn variables_in(&self, text: &str) -> Result<String, Unset> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (name, behind) = leading_name(after);
            if name.is_empty() {
                expanded.push('$');
            } else {
                expanded.push_str(&self.value_of(name).ok_or_else(|| Unset(name.into()))?);
            }
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// A file from Linux or macOS with `$HOME` in it works on Windows too.
    fn value_of(&self, name: &str) -> Option<String> {
        if name == "HOME" { self.home_text() } else { self.variable(name) }
    }
}

impl Unset {
    /// The reason for an error.
    pub(super) fn reason(&self) -> String {
        format!("the environment variable {} is not set", self.0)
    }
}

/// Splits `NAME…` or `{NAME}…` into the name and the rest.
fn leading_name(text: &str) -> (&str, &str) {
    if let Some((name, behind)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, behind);
    }
    let end = text.find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_directory_comes_from_userprofile_on_windows() {
        let environment = Environment::of(&[("HOME", ""), ("USERPROFILE", r"C:\Users\someone")]);
        assert_eq!(environment.home(), Some(r"C:\Users\someone".into()));
        for text in [r"~\ca.pem", r"$HOME\ca.pem", r"${HOME}\ca.pem", r"$USERPROFILE\ca.pem"] {
            let path = environment.path(text).ok().unwrap();
            assert_eq!(path.to_str(), Some(r"C:\Users\someone\ca.pem"), "{text}");
        }
        let unix = Environment::of(&[("HOME", "/home/someone"), ("USERPROFILE", r"C:\Users\someone")]);
        assert_eq!(unix.home(), Some("/home/someone".into()));
    }
}
