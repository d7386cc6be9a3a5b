//! One check: what it found, and how long it took.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::process::{CommandError, Sanitized};
use crate::session::Failure;
use crate::wire::ErrorResponse;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All is well.
    Ok,
    /// A login may work, and something should be different.
    Warning,
    /// A login cannot work.
    Failed,
    /// It was not made.
    Skipped,
}

impl Status {
    /// Its name in the output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A check that has ended.
pub(crate) struct Check {
    /// Its name, for scripts.
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    /// The finding, in one line.
    pub(crate) detail: String,
    /// The remedy, in one line; absent where none is needed, or where the detail has it.
    pub(crate) remedy: Option<String>,
    /// How long it took.
    pub(crate) duration: Duration,
}

/// The finding of a check, and a value for the checks that need it.
pub(super) struct Finding<T> {
    status: Status,
    detail: String,
    remedy: Option<String>,
    value: Option<T>,
}

impl<T> Finding<T> {
    pub(super) fn ok(detail: impl Display, value: T) -> Self {
        Self::new(Status::Ok, detail, None).with(value)
    }

    pub(super) fn warning(detail: impl Display, remedy: Option<String>, value: T) -> Self {
        Self::new(Status::Warning, detail, remedy).with(value)
    }

    pub(super) fn failed(detail: impl Display, remedy: Option<String>) -> Self {
        Self::new(Status::Failed, detail, remedy)
    }

    /// A failure with an error of this program. The remedy is behind its last semicolon.
    pub(super) fn error(error: impl Display) -> Self {
        let text = error.to_string();
        match text.rsplit_once("; ") {
            Some((reason, remedy)) => Self::failed(reason, Some(remedy.to_owned())),
            None => Self::failed(text, None),
        }
    }

    /// A failure of a connection, with the HINT that an application reads.
    pub(super) fn failure(failure: &Failure) -> Self {
        let response = failure.response();
        match response.as_ref().and_then(ErrorResponse::hint) {
            Some(hint) => Self::failed(failure, Some(hint.into_owned())),
            None => Self::error(failure),
        }
    }

    pub(super) fn skipped(reason: impl Display) -> Self {
        Self::new(Status::Skipped, reason, None)
    }

    /// The same with a value.
    pub(super) fn with(self, value: T) -> Self {
        Self { value: Some(value), ..self }
    }

    fn new(status: Status, detail: impl Display, remedy: Option<String>) -> Self {
        Self { status, detail: detail.to_string(), remedy, value: None }
    }
}

impl<T> From<CommandError> for Finding<T> {
    fn from(error: CommandError) -> Self {
        Self::error(error.text())
    }
}

/// Receives each check when it ends.
pub(crate) struct Report<'a> {
    each: Box<dyn FnMut(Check) + Send + 'a>,
}

impl<'a> Report<'a> {
    /// Calls `each` with every check.
    pub(crate) fn new(each: impl FnMut(Check) + Send + 'a) -> Self {
        Self { each: Box::new(each) }
    }

    /// Makes a check. Returns its value, if it has one.
    pub(super) async fn check<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Finding<T>>,
    ) -> Option<T> {
        let start = Instant::now();
        let finding = work.await;
        self.add(name, finding, start.elapsed())
    }

    /// Reports checks that cannot be made without the value of another one.
    pub(super) fn skip(&mut self, names: &[&'static str], needed: &str) {
        let reason = format!("it needs the check {needed}");
        self.skip_because(names, &reason);
    }

    /// Reports checks that are not made for this reason.
    pub(super) fn skip_because(&mut self, names: &[&'static str], reason: &str) {
        for name in names {
            self.add(name, Finding::<()>::skipped(reason), Duration::ZERO);
        }
    }

    /// Reports a check that took this time. Returns its value, if it has one.
    pub(super) fn add<T>(
        &mut self,
        name: &'static str,
        finding: Finding<T>,
        duration: Duration,
    ) -> Option<T> {
        let Finding { status, detail, remedy, value } = finding;
        let (detail, remedy) = (one_line(detail), remedy.map(one_line));
        (self.each)(Check { name, status, detail, remedy, duration });
        value
    }
}

/// Texts come from files, AWS, Kubernetes and databases.
fn one_line(text: String) -> String {
    Sanitized(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(work: impl FnOnce(&mut Report<'_>)) -> Vec<(&'static str, Status, String, Option<String>)> {
        let mut checks = Vec::new();
        let each = |check: Check| checks.push((check.name, check.status, check.detail, check.remedy));
        work(&mut Report::new(each));
        checks
    }

    #[test]
    fn the_remedy_of_an_error_is_its_last_clause() {
        let checks = reported(|report| {
            report.add("a", Finding::<()>::error("x failed: b; c; set d"), Duration::ZERO);
            report.add("b", Finding::<()>::error("x\nfailed"), Duration::ZERO);
            report.skip(&["c"], "a");
        });
        assert_eq!(
            checks,
            [
                ("a", Status::Failed, "x failed: b; c".to_owned(), Some("set d".to_owned())),
                ("b", Status::Failed, "x\\nfailed".to_owned(), None),
                ("c", Status::Skipped, "it needs the check a".to_owned(), None),
            ]
        );
    }
}
