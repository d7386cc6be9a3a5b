//! What the process was started in.

use std::env;
use std::path::PathBuf;

/// Environment variables, and what is derived from them. Tests bring their own.
pub(super) struct Environment {
    variable: Box<Lookup>,
}

/// The value of a variable.
type Lookup = dyn Fn(&str) -> Option<String>;

/// A path cannot be expanded: what is missing.
pub(super) struct Unset(String);

impl Environment {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        Self { variable: Box::new(|name| env::var(name).ok()) }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn of(variables: &'static [(&'static str, &'static str)]) -> Self {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Self { variable: Box::new(move |name| find(name).map(|(_, value)| (*value).to_owned())) }
    }

    /// The value of an environment variable, where it is set and is text.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// The home directory: `HOME`, or `USERPROFILE`, which Windows sets in its place.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.home_named().map(PathBuf::from)
    }

    fn home_named(&self) -> Option<String> {
        let set = |name: &str| self.variable(name).filter(|home| !home.is_empty());
        set("HOME").or_else(|| set("USERPROFILE"))
    }

    /// `~` at the beginning, `$NAME` and `${NAME}` anywhere become what they stand for.
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
                expanded.push_str(&self.meant(name).ok_or_else(|| Unset(name.into()))?);
            }
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// A file with `$HOME` in it, of a colleague's for example, works on Windows too.
    fn meant(&self, name: &str) -> Option<String> {
        if name == "HOME" { self.home_named() } else { self.variable(name) }
    }
}

impl Unset {
    /// The sentence for it.
    pub(super) fn reason(&self) -> String {
        format!("the environment variable {} is not set", self.0)
    }
}

/// `NAME…` or `{NAME}…`, and what comes behind it.
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
    fn windows_calls_the_home_by_another_name() {
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
