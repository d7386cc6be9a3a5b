//! The startup parameters that a client adds: those of the guard rails, and a name for the session.

use crate::catalog::{GuardRails, Signer};
use crate::session::Failure;
use crate::wire::{ErrorResponse, Severity, SqlState, StartupMessage};

const READ_ONLY: &str = "default_transaction_read_only";

const STATEMENT_TIMEOUT: &str = "statement_timeout";

const APPLICATION_NAME: &str = "application_name";

/// PostgreSQL cuts `application_name` to this many bytes (`NAMEDATALEN - 1`; manual, "Error Reporting and Logging").
const MAX_APPLICATION_NAME: usize = 63;

/// Adds the parameters of the guard rails. One that the application sets stays.
pub(super) fn set_parameters(rails: &GuardRails, startup: &mut StartupMessage) -> Result<(), Failure> {
    let timeout = rails.statement_timeout.map(|timeout| timeout.as_millis().to_string());
    let values = [(READ_ONLY, rails.read_only.then(|| "on".to_owned())), (STATEMENT_TIMEOUT, timeout)];
    for (name, value) in values {
        match value {
            Some(value) if !is_set(name, startup) => {
                startup.set(name, value.as_bytes()).map_err(Failure::Startup)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names a session whose application does not, after the AWS session that signed its token.
pub(super) fn name_session(signer: &Signer, startup: &mut StartupMessage) -> Result<(), Failure> {
    let Some(name) = signer.session_name().filter(|_| !is_named(startup)) else { return Ok(()) };
    let name = name.get(..name.floor_char_boundary(MAX_APPLICATION_NAME)).unwrap_or_default();
    startup.set(APPLICATION_NAME, name.as_bytes()).map_err(Failure::Startup)
}

/// The notice for the application.
pub(super) fn notice(rails: &GuardRails) -> Option<ErrorResponse> {
    let text = rails.notice.as_ref()?;
    let text = format!("rds-auth-proxy: {text}");
    Some(ErrorResponse::new(Severity::Notice, SqlState::SuccessfulCompletion, text))
}

fn is_named(startup: &StartupMessage) -> bool {
    let name = startup.iter().filter(|(name, _)| is_name(APPLICATION_NAME, name)).last();
    name.is_some_and(|(_, value)| !value.is_empty()) || is_in_options(APPLICATION_NAME, startup)
}

fn is_set(parameter: &str, startup: &StartupMessage) -> bool {
    startup.iter().any(|(name, _)| is_name(parameter, name)) || is_in_options(parameter, startup)
}

/// PostgreSQL compares names of parameters without regard to case (`guc_name_compare` in `guc.c`).
fn is_name(parameter: &str, name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(parameter.as_bytes())
}

/// Whether `options` sets the parameter, as `-c NAME=VALUE`, `-cNAME=VALUE` or `--NAME=VALUE` (manual, "postgres").
fn is_in_options(parameter: &str, startup: &StartupMessage) -> bool {
    let sets = |argument: &Vec<u8>| {
        let name = argument.split(|byte| *byte == b'=').next().unwrap_or_default();
        let name = name.strip_prefix(b"--").or_else(|| name.strip_prefix(b"-c")).unwrap_or(name);
        // A `-` stands for a `_` here (`ParseLongOption` in `guc.c`).
        let name: Vec<_> = name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
        is_name(parameter, &name)
    };
    startup.get("options").is_some_and(|options| arguments(options).iter().any(sets))
}

/// The arguments in `options`: blanks separate them, and a backslash makes the next character part of one (`pg_split_opts` in
/// `postinit.c`).
fn arguments(options: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut current) = (Vec::new(), Vec::new());
    let mut bytes = options.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => current.extend(bytes.next()),
            // The blanks of `isspace`.
            b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => all.push(std::mem::take(&mut current)),
            byte => current.push(byte),
        }
    }
    all.push(current);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::ProtocolVersion;

    fn startup(pairs: &[(&str, &str)]) -> StartupMessage {
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        for (name, value) in pairs {
            startup.set(name, value.as_bytes()).unwrap();
        }
        startup
    }

    /// What is added to a startup packet with these parameters.
    fn added(rails: &GuardRails, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut startup = startup(pairs);
        set_parameters(rails, &mut startup).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all: Vec<_> = startup.iter().map(|(name, value)| (text(name), text(value))).collect();
        let before: Vec<_> =
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(all[..before.len()], before);
        all[before.len()..].to_vec()
    }

    fn named(arn: Option<&str>, pairs: &[(&str, &str)]) -> Option<String> {
        let mut startup = startup(pairs);
        let signer = Signer { access_key_id: "AKID".into(), arn: arn.map(Into::into) };
        name_session(&signer, &mut startup).unwrap();
        startup.text(APPLICATION_NAME)
    }

    #[test]
    fn what_the_application_sets_stays() {
        let rails = GuardRails {
            read_only: true,
            statement_timeout: Some(Duration::from_millis(30_500)),
            notice: None,
        };
        let read_only = [(READ_ONLY.to_owned(), "on".to_owned())];
        let timeout = (STATEMENT_TIMEOUT.to_owned(), "30500".to_owned());
        assert_eq!(added(&GuardRails::default(), &[("user", "u")]), []);
        assert_eq!(added(&rails, &[("user", "u")]), [read_only[0].clone(), timeout.clone()]);
        assert_eq!(added(&rails, &[("Statement_Timeout", "0")]), read_only);
        assert_eq!(added(&rails, &[(READ_ONLY, "off")]), [timeout]);
        for options in [
            "-c statement_timeout=0",
            "-cstatement_timeout=0",
            "-c\tSTATEMENT-timeout=0",
            "-c work_mem=1MB\n--statement-timeout=5s",
            "--statement_timeout=5s -c work_mem=1MB",
            r"-c search_path=a\ b -c stat\ement_timeout=1",
        ] {
            assert_eq!(added(&rails, &[("options", options)]), read_only, "{options}");
        }
        for options in
            ["", "-c work_mem=1MB", "-c idle_statement_timeout=1", r"-c work_mem=1\ statement_timeout=1"]
        {
            assert_eq!(added(&rails, &[("options", options)]).len(), 2, "{options}");
        }
    }

    #[test]
    fn a_session_without_a_name_gets_that_of_the_aws_session() {
        let arn = Some("arn:aws:sts::123456789012:assumed-role/dba/alice@example.com");
        let name = Some("alice@example.com");
        assert_eq!(named(arn, &[]).as_deref(), name);
        assert_eq!(named(arn, &[(APPLICATION_NAME, "")]).as_deref(), name);
        assert_eq!(named(arn, &[(APPLICATION_NAME, "psql")]).as_deref(), Some("psql"));
        assert_eq!(named(arn, &[("Application_Name", "psql")]), None);
        assert_eq!(named(arn, &[("options", "-c application_name=x")]), None);
        assert_eq!(named(None, &[]), None);
        assert_eq!(named(Some("arn:aws:iam::123456789012:root"), &[]), None);
        let long = format!("arn:aws:sts::1:assumed-role/dba/{}é", "x".repeat(62));
        assert_eq!(named(Some(&long), &[]).unwrap(), "x".repeat(62));
    }

    #[test]
    fn the_notice_names_its_sender() {
        assert!(notice(&GuardRails::default()).is_none());
        let notice =
            notice(&GuardRails { notice: Some("PRODUCTION".into()), ..GuardRails::default() }).unwrap();
        assert_eq!(notice.message().as_deref(), Some("rds-auth-proxy: PRODUCTION"));
        assert_eq!(notice.severity().as_deref(), Some("NOTICE"));
        assert_eq!(notice.sqlstate().as_deref(), Some("00000"));
    }
}
