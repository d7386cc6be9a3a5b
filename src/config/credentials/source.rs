//! Source credentials: those of a service, with the gaps filled from `aws_defaults`.

use super::raw::{Keys, Profile, Source};
use crate::config::Remark;
use crate::config::environment::Environment;
use crate::config::key_error::KeyError;
use crate::config::key_path::KeyPath;
use crate::services::{Base, SourceCredentials};

/// The credentials and region of `raw`, absent where it names none. Of a profile and keys in one section the profile counts,
/// as in CredProxy.
pub(super) struct Named {
    region: Option<String>,
    base: Option<Base>,
}

impl Named {
    pub(super) fn read(
        raw: Source,
        path: &KeyPath,
        environment: &Environment,
        remarks: &mut Vec<Remark>,
    ) -> Result<Self, KeyError> {
        let base = match (raw.iam_profile, raw.iam_keys) {
            (Some(named), keys) => {
                if keys.is_some() {
                    let text =
                        "the profile counts, and not the keys of iam_keys beside it; remove one of the two";
                    remarks.push(Remark { key: path.key("iam_profile").to_string(), text });
                }
                Some(profile(named, path, environment)?)
            }
            (None, Some(named)) => Some(keys(named)),
            (None, None) => None,
        };
        Ok(Self { region: raw.region.map(|region| region.0.0), base })
    }

    /// These, and in place of what they lack that of `defaults`. A service that names keys uses them, whatever `defaults` name.
    pub(super) fn or(self, defaults: &SourceCredentials) -> SourceCredentials {
        SourceCredentials {
            region: self.region.or_else(|| defaults.region.clone()),
            base: self.base.unwrap_or_else(|| defaults.base.clone()),
        }
    }
}

/// Those of `aws_defaults` where that has none.
pub(super) const CHAIN: SourceCredentials = SourceCredentials { region: None, base: Base::Chain };

fn profile(raw: Profile, path: &KeyPath, environment: &Environment) -> Result<Base, KeyError> {
    let expand = |file: String| {
        let key = path.key("iam_profile").key("config_file");
        environment.path(&file).map_err(|unset| KeyError::of_value(key, unset.reason()))
    };
    let config_file = raw.config_file.map(|file| expand(file.0.0)).transpose()?;
    Ok(Base::Profile { name: raw.profile_name.0.0, config_file })
}

fn keys(raw: Keys) -> Base {
    Base::Keys {
        access_key_id: String::from_utf8_lossy(raw.aws_access_key_id.0.0.expose()).into_owned(),
        secret_access_key: raw.aws_secret_access_key.0.0,
        session_token: raw.session_token.map(|token| token.0.0),
    }
}
