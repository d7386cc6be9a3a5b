//! What a tool needs to reach a target through a client.

use aws_lc_rs::digest::{SHA256, digest};

use crate::app::Reachable;
use crate::config::Config;
use crate::net::Address;
use crate::process::CommandError;

/// The settings for one target. There is no password: the client has it.
pub(super) struct Settings {
    /// The name of the target.
    pub(super) name: String,
    /// The host at which this machine reaches the client, or the directory of its Unix sockets.
    pub(super) host: String,
    /// The port of the client for this target.
    pub(super) port: u16,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    /// `sslmode` as libpq and the JDBC driver have it.
    pub(super) ssl_mode: &'static str,
}

/// The settings of these targets, which have a port. A name with a control character fails: no format can hold it.
pub(super) fn of(
    config: &Config,
    targets: Vec<Reachable>,
    user: Option<&str>,
) -> Result<Vec<Settings>, CommandError> {
    let host = match &config.listen {
        Address::Tcp(address) => address.reachable_host().to_owned(),
        Address::Unix(path) => path.parent().unwrap_or(path).to_string_lossy().into_owned(),
    };
    let ssl_mode = if config.acceptor.is_some() { "require" } else { "disable" };
    let mut all = Vec::new();
    for Reachable { target, local_port, .. } in targets {
        let Some(port) = local_port else { continue };
        let settings = Settings {
            name: target.name,
            host: host.clone(),
            port,
            database: target.database,
            user: user.map(str::to_owned),
            ssl_mode,
        };
        settings.check()?;
        all.push(settings);
    }
    Ok(all)
}

impl Settings {
    fn check(&self) -> Result<(), CommandError> {
        let texts = [Some(&self.name), self.database.as_ref(), self.user.as_ref()];
        match texts.into_iter().flatten().find(|text| text.chars().any(char::is_control)) {
            Some(text) => Err(CommandError::usage(format_args!(
                "\"{}\" of the target \"{}\" has a control character, which no format can hold",
                text.escape_debug(),
                self.name.escape_debug()
            ))),
            None => Ok(()),
        }
    }

    /// A UUID that follows from the name, so that a tool replaces the settings that it read before (RFC 9562, section 5.8:
    /// version 8, variant 0b10).
    pub(super) fn uuid(&self) -> String {
        let hash = digest(&SHA256, format!("rds-auth-proxy target {}", self.name).as_bytes());
        let bits = hash.as_ref().iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        let bits = bits & !(0xf << 76) & !(0b11 << 62) | (8 << 76) | (0b10 << 62);
        let hex = format!("{bits:032x}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Settings with every character that a format has to escape.
    pub(in crate::cli::export) fn odd() -> Settings {
        Settings {
            name: "a:<b>&\"c'".into(),
            host: "::1".into(),
            port: 20_001,
            database: Some("d b/%'".into()),
            user: Some("u+v@w&x=y".into()),
            ssl_mode: "require",
        }
    }

    pub(in crate::cli::export) fn plain(name: &str) -> Settings {
        Settings {
            name: name.into(),
            host: "127.0.0.1".into(),
            port: 29_820,
            database: None,
            user: None,
            ssl_mode: "disable",
        }
    }

    #[test]
    fn a_uuid_is_that_of_the_name() {
        let uuid = plain("orders").uuid();
        assert_eq!(uuid, plain("orders").uuid());
        assert_ne!(uuid, plain("orders2").uuid());
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "8");
        assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]), "{uuid}");
    }

    #[test]
    fn control_characters_are_refused() {
        let settings = Settings { database: Some("a\nb".into()), ..plain("orders") };
        let Err(CommandError::Usage(text)) = settings.check() else { panic!("must be refused") };
        assert!(text.contains("\"a\\nb\" of the target \"orders\""), "{text}");
        assert!(odd().check().is_ok());
    }
}
