//! Panics as log lines: a collector of JSON lines receives them, with what a bug report needs.

use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::dispatcher::{self, Dispatch};
use tracing::error;

/// Logs each panic as one line of the log that is in use now, whatever log the panicking thread uses.
pub(crate) fn install() {
    let log = dispatcher::get_default(Dispatch::clone);
    panic::set_hook(Box::new(move |panic| dispatcher::with_default(&log, || report(panic))));
}

fn report(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    error!(
        version = env!("CARGO_PKG_VERSION"),
        location,
        reason = reason(panic),
        thread = thread::current().name(),
        "the program panicked, which is a bug: please report this line; the connection or task that it belongs to has ended"
    );
}

/// The text of the panic up to the first character behind which it may quote a value, such as a key.
fn reason(panic: &PanicHookInfo<'_>) -> String {
    let text = panic.payload_as_str().unwrap_or("no text");
    text.split(['"', '\'', '`', '\n']).next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tracing::subscriber::{NoSubscriber, with_default};

    use crate::process::logging::{self, Format};

    /// The hook is the whole process's, so it runs in a separate one.
    fn lines_of(format: &str) -> Vec<String> {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::panic_hook::tests::process_that_panics", "--ignored", "--nocapture"])
            .env("FORMAT", format)
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    #[ignore = "run by the other tests"]
    fn process_that_panics() {
        let format =
            if std::env::var("FORMAT").as_deref() == Ok("json") { Format::Json } else { Format::Human };
        let log = logging::start(format).unwrap();
        super::install();
        // The SDK's calls run without a log.
        let quiet = || with_default(NoSubscriber::new(), || panic!("the header is invalid: \"hunter2\""));
        let _panicked = std::thread::Builder::new().name("quiet".into()).spawn(quiet).unwrap().join();
        log.flush();
    }

    #[test]
    fn a_panic_is_one_json_line_with_the_version() {
        let lines = lines_of("json");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((line["level"].as_str(), line["thread"].as_str()), (Some("ERROR"), Some("quiet")));
        assert_eq!(line["reason"], "the header is invalid:");
        assert!(line["location"].as_str().unwrap().contains("panic_hook.rs:"), "{line}");
        assert!(line["message"].as_str().unwrap().contains("please report"), "{line}");
    }

    #[test]
    fn a_panic_is_one_text_line_for_people() {
        let lines = lines_of("text");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("please report") && lines[0].contains("ERROR"), "{lines:#?}");
        assert!(!lines[0].contains("hunter2"), "{lines:#?}");
    }
}
