//! Which log lines are written.

use std::env;
use std::ffi::{OsStr, OsString};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;

use crate::config::log_level;

/// The name of our own lines in directives.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// Dependencies that print secrets below these levels. No variable overrides this.
///
/// The AWS crates print signed requests with their `Authorization` and session token headers, the parameters of
/// `sts:AssumeRole…` and values from profiles. The HTTP and TLS crates print what they carry, Kubernetes tokens and
/// startup packets inside a port-forward included.
const CEILINGS: [(&str, LevelFilter); 12] = [
    ("aws_", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("kube", LevelFilter::INFO),
    ("postgres", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
    ("tokio_rustls", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("tokio_util", LevelFilter::INFO),
    ("tower", LevelFilter::INFO),
    ("tungstenite", LevelFilter::INFO),
];

/// The variables that select log lines. Empty ones count as not set.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// `RUST_LOG`: directives as of `EnvFilter`. Overrides the others.
    pub(super) rust_log: Option<String>,
    /// `LOG_LEVEL`: one of the five levels. Any other text counts as info, as in the Go program.
    pub(super) log_level: Option<String>,
    /// `DEBUG`: `true` or `1` is short for the level debug. Other values belong to other programs (`app:*`) and are
    /// ignored.
    pub(super) debug: bool,
}

/// A variable that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidVariable {
    /// It is not a list of directives.
    #[error(
        "RUST_LOG is \"{text}\", which cannot be read ({reason}); write it as in RUST_LOG=warn,{OURS}=debug, or use LOG_LEVEL"
    )]
    RustLog {
        /// Its value.
        text: String,
        /// The cause.
        reason: String,
    },
    /// It is not text.
    #[error("the environment variable {0} is not UTF-8")]
    NotText(&'static str),
}

impl Variables {
    /// Reads the environment.
    pub(super) fn of_process() -> Result<Self, InvalidVariable> {
        let level = env::var_os("LOG_LEVEL").filter(|value| !value.is_empty());
        let log_level = level.map(|value| value.to_string_lossy().into_owned());
        Ok(Self { rust_log: text("RUST_LOG", env::var_os("RUST_LOG"))?, log_level, debug: debug() })
    }

    /// The filter they describe; `configured` is the level where they name none.
    pub(super) fn filter(&self, configured: LevelFilter) -> Result<EnvFilter, InvalidVariable> {
        let directives = match &self.rust_log {
            Some(text) => text.clone(),
            None => directives(self.level().unwrap_or(configured)),
        };
        EnvFilter::builder()
            .parse(&directives)
            .map_err(|error| InvalidVariable::RustLog { text: directives, reason: error.to_string() })
    }

    /// `LOG_LEVEL`, if it counts and is no level.
    pub(super) fn unknown_level(&self) -> Option<&str> {
        let text = self.log_level.as_deref().filter(|_| self.rust_log.is_none())?;
        log_level(text.trim()).is_none().then_some(text)
    }

    fn level(&self) -> Option<LevelFilter> {
        match &self.log_level {
            Some(text) => Some(log_level(text.trim()).unwrap_or(LevelFilter::INFO)),
            None => self.debug.then_some(LevelFilter::DEBUG),
        }
    }
}

/// Whether `DEBUG` selects the level debug.
pub(super) fn debug() -> bool {
    env::var_os("DEBUG").is_some_and(|value| is_true(&value))
}

/// The limit that holds whatever the variables say.
pub(super) fn ceiling() -> Targets {
    Targets::new().with_default(LevelFilter::TRACE).with_targets(CEILINGS)
}

fn text(name: &'static str, value: Option<OsString>) -> Result<Option<String>, InvalidVariable> {
    let value = value.filter(|value| !value.is_empty());
    value.map(OsString::into_string).transpose().map_err(|_| InvalidVariable::NotText(name))
}

fn is_true(value: &OsStr) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// Our own lines at this level, those of dependencies at warn: few of the others mean anything to an operator.
fn directives(ours: LevelFilter) -> String {
    let theirs = match ours {
        LevelFilter::TRACE => LevelFilter::DEBUG,
        LevelFilter::ERROR => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    // The Kubernetes client warns of each connection that breaks, as that of an idle watch does; the tunnel continues.
    let kubernetes = if theirs == LevelFilter::WARN { LevelFilter::ERROR } else { theirs };
    format!("{theirs},kube_client={kubernetes},{OURS}={ours}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives_of(rust_log: &str, log_level: &str, debug: &str) -> Result<String, InvalidVariable> {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let debug = is_true(OsStr::new(debug));
        let variables = Variables { rust_log: set(rust_log), log_level: set(log_level), debug };
        variables.filter(LevelFilter::INFO).map(|filter| filter.to_string())
    }

    #[test]
    fn our_lines_have_the_level_and_those_of_dependencies_warn() {
        for (log_level, debug, expected) in [
            ("", "", "rds_auth_proxy=info,kube_client=error,warn"),
            ("", "true", "rds_auth_proxy=debug,kube_client=error,warn"),
            ("", "1", "rds_auth_proxy=debug,kube_client=error,warn"),
            ("", "false", "rds_auth_proxy=info,kube_client=error,warn"),
            ("", "app:*", "rds_auth_proxy=info,kube_client=error,warn"),
            ("debug", "", "rds_auth_proxy=debug,kube_client=error,warn"),
            ("WARN", "true", "rds_auth_proxy=warn,kube_client=error,warn"),
            ("error", "", "rds_auth_proxy=error,kube_client=error,error"),
            ("trace", "", "rds_auth_proxy=trace,kube_client=debug,debug"),
        ] {
            assert_eq!(directives_of("", log_level, debug).unwrap(), expected);
        }
    }

    #[test]
    fn the_configured_level_counts_where_no_variable_is_set() {
        let filter = |variables: Variables| variables.filter(LevelFilter::DEBUG).unwrap().to_string();
        assert_eq!(filter(Variables::default()), "rds_auth_proxy=debug,kube_client=error,warn");
        let quiet = Variables { log_level: Some("warn".into()), ..Variables::default() };
        assert_eq!(filter(quiet), "rds_auth_proxy=warn,kube_client=error,warn");
    }

    #[test]
    fn rust_log_overrides_the_other_variables() {
        assert_eq!(directives_of("hyper=info", "trace", "true").unwrap(), "hyper=info");
    }

    #[test]
    fn an_error_names_the_invalid_variable() {
        assert!(directives_of("a=b=c", "", "").unwrap_err().to_string().starts_with("RUST_LOG is \"a=b=c\""));
    }

    /// Go program: `unmarshalLevel` in pkg/log/log.go.
    #[test]
    fn an_unknown_level_counts_as_info_and_is_reported_where_it_counts() {
        for (text, unknown) in [("loud", true), ("warning", true), ("off", true), (" debug ", false)] {
            let variables = Variables { log_level: Some(text.into()), debug: true, ..Variables::default() };
            assert_eq!(variables.unknown_level(), unknown.then_some(text));
            let level = variables.filter(LevelFilter::ERROR).unwrap().to_string();
            assert_eq!(
                level,
                if unknown {
                    "rds_auth_proxy=info,kube_client=error,warn"
                } else {
                    "rds_auth_proxy=debug,kube_client=error,warn"
                }
            );
            let overridden = Variables { rust_log: Some("warn".into()), ..variables };
            assert_eq!(overridden.unknown_level(), None);
        }
    }

    #[test]
    fn empty_variables_are_not_set() {
        assert_eq!(text("RUST_LOG", Some("".into())).unwrap(), None);
        assert_eq!(text("RUST_LOG", Some("warn".into())).unwrap(), Some("warn".to_owned()));
    }
}
