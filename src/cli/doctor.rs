//! `doctor`: prints what the checks found.

use serde::Serialize;
use tracing::level_filters::LevelFilter;

use super::args::{DoctorArguments, OutputFormat, SourceArguments};
use super::output;
use crate::app::doctor::{Check, Report, Request, Status, examine};
use crate::app::once_at;
use crate::process::{CommandError, Style};

/// The columns of a line: status, milliseconds, name.
const WIDTHS: (usize, usize, usize) = (7, 8, 16);

/// The output as JSON, which `docs/schemas/doctor.json` describes.
#[derive(Serialize)]
struct Document {
    checks: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    status: &'static str,
    detail: String,
    remedy: Option<String>,
    duration_ms: u64,
}

/// Makes the checks and prints them. It is an error if one failed.
pub(super) fn run(arguments: DoctorArguments) -> Result<(), CommandError> {
    let DoctorArguments { source, target, proxy_target, user, direct, output: format } = arguments;
    let SourceArguments { configfile, profile } = source;
    let request = Request { configfile, profile, target, proxy_target, user, direct };
    // The checks say it all.
    once_at(LevelFilter::OFF, print(request, format))
}

/// The same within another command.
pub(super) async fn print(request: Request, format: OutputFormat) -> Result<(), CommandError> {
    let style = Style::of_stdout();
    let (mut checks, mut written, mut failed) = (Vec::new(), Ok(()), Vec::new());
    let each = |check: Check| {
        if check.status == Status::Failed {
            failed.push(check.name);
        }
        match format {
            OutputFormat::Text if written.is_ok() => written = output::print(lines(&check, style)),
            OutputFormat::Text => {}
            OutputFormat::Json => checks.push(Entry::from(check)),
        }
    };
    examine(&request, &mut Report::new(each)).await;
    written?;
    if format == OutputFormat::Json {
        let document = serde_json::to_string(&Document { checks }).map_err(CommandError::runtime)?;
        output::print(document + "\n")?;
    }
    match failed.as_slice() {
        [] => Ok(()),
        [only] => Err(CommandError::runtime(format_args!("the check {only} failed"))),
        [first @ .., last] => {
            Err(CommandError::runtime(format_args!("the checks {} and {last} failed", first.join(", "))))
        }
    }
}

/// A line for the check, and one for its remedy.
fn lines(check: &Check, style: Style) -> String {
    let (status_width, time_width, name_width) = WIDTHS;
    let status = format!("{:status_width$}", check.status.name());
    let status = match check.status {
        Status::Ok => style.bold_green(&status),
        Status::Warning => style.bold_yellow(&status),
        Status::Failed => style.bold_red(&status),
        Status::Skipped => status,
    };
    let time = format!("{} ms", check.duration.as_millis());
    let Check { name, detail, .. } = check;
    let mut text = format!("{status} {time:>time_width$}  {name:name_width$}  {detail}\n");
    if let Some(remedy) = &check.remedy {
        let indent = status_width + time_width + name_width + 5;
        text = format!("{text}{:indent$}{} {remedy}\n", "", style.bold("remedy:"));
    }
    text
}

impl From<Check> for Entry {
    fn from(check: Check) -> Self {
        let Check { name, status, detail, remedy, duration } = check;
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { name, status: status.name(), detail, remedy, duration_ms }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_remedy_is_below_the_detail() {
        let check = Check {
            name: "clock",
            status: Status::Failed,
            detail: "7 minutes behind that of AWS".into(),
            remedy: Some("set it".into()),
            duration: Duration::from_millis(1234),
        };
        let text = lines(&check, Style { coloured: false });
        let expected = "failed   1234 ms  clock             7 minutes behind that of AWS\n";
        assert_eq!(text, format!("{expected}{:36}remedy: set it\n", ""));
        let coloured = lines(&check, Style { coloured: true });
        assert!(coloured.starts_with("\u{1b}[1;31mfailed \u{1b}[0m"), "{coloured:?}");
    }
}
