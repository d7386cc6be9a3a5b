//! The login methods that a hop may use, as in libpq's `require_auth`.

use std::fmt;
use std::str::FromStr;

/// One login method of PostgreSQL, with its name in `require_auth` (PostgreSQL manual, "Parameter Key Words").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// The password in clear text, which an IAM login uses.
    Password,
    /// A hash of the password that can be used like it.
    Md5,
    /// A proof that gives the password to no side.
    ScramSha256,
    /// No authentication at all.
    None,
}

/// A set of login methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthMethods([bool; 4]);

/// The text is no `require_auth`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthMethods {
    /// A name that is none of the methods.
    #[error("`{0}` is not a login method; the methods are {methods}, and `!` before one excludes it", methods = NAMES.join(", "))]
    Unknown(String),
    /// Methods with and without `!` in one list.
    #[error("`{0}` cannot be combined with the methods before it: either all of them have a `!`, or none")]
    Mixed(String),
    /// A method that the list has already.
    #[error("`{0}` is in the list twice")]
    Repeated(String),
}

const METHODS: [AuthMethod; 4] =
    [AuthMethod::Password, AuthMethod::Md5, AuthMethod::ScramSha256, AuthMethod::None];
const NAMES: [&str; 4] = ["password", "md5", "scram-sha-256", "none"];

impl AuthMethod {
    /// Its name in `require_auth`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::ScramSha256 => "scram-sha-256",
            Self::None => "none",
        }
    }
}

impl AuthMethods {
    /// Every method.
    pub const ALL: Self = Self([true; 4]);

    /// The methods that give nothing to an impostor: all but clear text and MD5.
    pub const SAFE: Self = Self([false, false, true, true]);

    /// Whether a hop may use this method.
    #[must_use]
    pub fn allows(self, method: AuthMethod) -> bool {
        METHODS.into_iter().zip(self.0).any(|(known, allowed)| known == method && allowed)
    }
}

impl FromStr for AuthMethods {
    type Err = InvalidAuthMethods;

    /// A list such as `password,scram-sha-256` or `!md5,!none`.
    fn from_str(text: &str) -> Result<Self, InvalidAuthMethods> {
        let all_excluded = text.trim_start().starts_with('!');
        let mut named = [false; 4];
        for item in text.split(',').map(str::trim) {
            let (excluded, name) = item.strip_prefix('!').map_or((false, item), |name| (true, name));
            let position = NAMES.iter().position(|known| *known == name);
            let slot = position.and_then(|position| named.get_mut(position));
            let slot = slot.ok_or_else(|| InvalidAuthMethods::Unknown(name.to_owned()))?;
            if excluded != all_excluded {
                return Err(InvalidAuthMethods::Mixed(item.to_owned()));
            }
            if std::mem::replace(slot, true) {
                return Err(InvalidAuthMethods::Repeated(item.to_owned()));
            }
        }
        Ok(Self(named.map(|named| named != all_excluded)))
    }
}

impl fmt::Display for AuthMethods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = METHODS.into_iter().filter(|method| self.allows(*method));
        let names: Vec<_> = allowed.map(AuthMethod::name).collect();
        formatter.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_libpq_reads_them() {
        for (text, allowed) in [
            ("password", "password"),
            ("scram-sha-256, none", "scram-sha-256,none"),
            ("!md5", "password,scram-sha-256,none"),
            ("!password,!md5", "scram-sha-256,none"),
        ] {
            assert_eq!(text.parse::<AuthMethods>().unwrap().to_string(), allowed, "{text}");
        }
        assert_eq!(AuthMethods::SAFE.to_string(), "scram-sha-256,none");
    }

    #[test]
    fn other_lists_are_refused() {
        let refused = |text: &str| text.parse::<AuthMethods>().unwrap_err();
        assert_eq!(refused(""), InvalidAuthMethods::Unknown(String::new()));
        assert_eq!(refused("scram"), InvalidAuthMethods::Unknown("scram".into()));
        assert_eq!(refused("md5,!none"), InvalidAuthMethods::Mixed("!none".into()));
        assert_eq!(refused("!none,md5"), InvalidAuthMethods::Mixed("md5".into()));
        assert_eq!(refused("md5,md5"), InvalidAuthMethods::Repeated("md5".into()));
    }
}
