//! The lines that are written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::{debug, info, info_span, trace, warn};

use super::*;
use crate::process::sanitize::is_control;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, directives: &str, work: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let variables =
        filter::Variables { rust_log: Some(directives.to_owned()), ..filter::Variables::default() };
    let subscriber = subscriber(format, variables.filter(LevelFilter::INFO).unwrap(), move || writer.clone());
    tracing::subscriber::with_default(subscriber, work);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_json_line_is_one_flat_object() {
    let text = logged(Format::Json, "trace", || {
        let session = info_span!("session", connection = 7, peer = "outer");
        let _inside = session.enter();
        info!(target = "orders-db", bytes = 3u64, ok = true, peer = "inner", "say \"hi\"\nplease");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "say \"hi\"\nplease");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "orders-db");
    assert_eq!(line["bytes"], 3);
    assert_eq!(line["ok"], true);
    assert_eq!(line["connection"], 7);
    assert_eq!(line["peer"], "inner");
    assert!(line["module"].as_str().unwrap().starts_with("rds_auth_proxy::process::logging"));
    assert!(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
}

#[test]
fn every_value_stays_valid_json() {
    let text = logged(Format::Json, "trace", || {
        info!(level = "mine", number = f64::NAN, nested = ?Some("\u{1b}[31m"), none = tracing::field::Empty);
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["number"], serde_json::Value::Null);
    assert_eq!(line["message"], "");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_human_line_is_short_and_plain() {
    let text = logged(Format::Human, "trace", || warn!(port = 8001, "in use"));
    let (time, rest) = text.split_once(' ').unwrap();
    assert_eq!(time.len(), "2026-01-01T00:00:00Z".len());
    assert_eq!(rest.trim(), "WARN in use port=8001");
}

/// Ends the line, looks like another one, and is full of control characters for the terminal, 8-bit ones too.
const FORGERY: &str =
    "no\r\n2030-01-01T00:00:00Z  INFO forged\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2028}\u{200e}\u{200f}\u{61c}";

fn log_forgery() {
    let span = info_span!("connection", peer = %FORGERY, name = FORGERY);
    let _inside = span.enter();
    let error = io::Error::other(FORGERY);
    let cause: &(dyn std::error::Error + 'static) = &error;
    info!(display = %FORGERY, debug = ?error, text = FORGERY, cause, r#type = %FORGERY, "{FORGERY}");
    warn!(message = FORGERY);
}

#[test]
fn no_value_begins_a_line_or_controls_the_terminal() {
    for format in [Format::Human, Format::Json] {
        let text = logged(format, "trace", log_forgery);
        assert_eq!(text.lines().count(), 2, "{text}");
        let controls: Vec<_> = text.chars().filter(|found| is_control(*found) && *found != '\n').collect();
        assert!(controls.is_empty(), "{format:?} lets {controls:?} through");
        assert!(!text.contains("\n2030"), "{text}");
        if format == Format::Json {
            let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            assert_eq!((&line["message"], &line["name"]), (&FORGERY.into(), &FORGERY.into()));
        } else {
            assert_eq!(text.matches(r"no\r\n2030-01-01T00:00:00Z").count(), 8 + 3, "{text}");
        }
    }
}

/// A text as long as a message of a database may be.
fn log_long_text() {
    let long = "€".repeat(20_000);
    let span = info_span!("connection", peer = %long, name = long);
    let _inside = span.enter();
    let error = io::Error::other(long.clone());
    let cause: &(dyn std::error::Error + 'static) = &error;
    info!(display = %long, debug = ?error, text = long, cause, "{long}");
}

#[test]
fn no_value_is_longer_than_a_kibibyte() {
    for format in [Format::Human, Format::Json] {
        let text = logged(format, "trace", log_long_text);
        assert_eq!(text.matches('…').count(), 7, "{format:?}: {text}");
        assert!(text.len() < 7 * 1100, "{format:?}: {} bytes", text.len());
        let names = vec!["db"; 1000];
        let text = logged(format, "trace", || info!(targets = ?names, "the list of targets changed"));
        assert_eq!(text.matches("db").count(), 1000, "a list of names is whole");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] io::Error);

#[test]
fn an_error_is_logged_with_its_causes() {
    let text = logged(Format::Human, "trace", || {
        let error = Outer(io::Error::other("inner"));
        let error: &(dyn std::error::Error + 'static) = &error;
        warn!(error, "failed");
    });
    assert!(text.trim_end().ends_with("failed error=outer: inner"), "{text}");
}

/// The most verbose filter must not make a dependency print what it carries.
#[test]
fn dependencies_that_see_secrets_log_at_most_at_info() {
    let text = logged(Format::Json, "trace,aws_sigv4=trace,hyper::proto=trace", || {
        trace!(target: "aws_sigv4::http_request::sign", "hidden");
        debug!(target: "aws_smithy_runtime::client::orchestrator", "hidden");
        debug!(target: "hyper::proto::h1::role", "hidden");
        debug!(target: "hyper_util::client", "hidden");
        trace!(target: "rustls::client::hs", "hidden");
        trace!(target: "tungstenite::protocol", "hidden");
        debug!(target: "kube_client::client", "hidden");
        info!(target: "aws_config::profile", "shown");
        trace!(target: "mio::poll", "shown");
        trace!(target: "rds_auth_proxy::session", "shown");
    });
    assert!(!text.contains("hidden"), "{text}");
    assert_eq!(text.matches("shown").count(), 3, "{text}");
}
