//! What came of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::support::exchange::Outcome;
use crate::support::holdings::Holdings;
use crate::support::legs::Leg;
use crate::support::relay::Fault;

/// Resident memory that a proxy may have gained, in KB: what the allocator keeps of the busiest moment. A KB for each
/// of 10,000 sessions would be more.
const GAINED: u64 = 8 * 1024;

/// The figures of a soak.
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
    /// Those that came to pass.
    pub(crate) faults: Vec<(Leg, Fault)>,
    /// Of client and server.
    pub(crate) before: [Holdings; 2],
    pub(crate) after: [Holdings; 2],
}

impl Report {
    /// As Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} sessions in {} s\n", self.outcomes.len(), self.took.as_secs());
        let faults = self.faults.iter().map(|(leg, fault)| format!("{leg:?}: {}", name(*fault)));
        table(&mut text, "fault injected", faults);
        table(&mut text, "how the application's session ended", self.outcomes.iter().map(kind));
        let _ = writeln!(
            text,
            "\n| layer | memory at the start | at the end | tasks | sockets |\n|---|--:|--:|--:|--:|"
        );
        for (layer, (before, after)) in ["client", "server"].iter().zip(self.before.iter().zip(&self.after)) {
            let sockets = |held: &Holdings| held.sockets.map_or("?".to_owned(), |count| count.to_string());
            let _ = writeln!(
                text,
                "| {layer} | {} KB | {} KB | {}, then {} | {}, then {} |",
                before.resident,
                after.resident,
                before.tasks,
                after.tasks,
                sockets(before),
                sockets(after)
            );
        }
        text
    }

    /// Fails for what must never be. That nothing stays behind was seen to before.
    pub(crate) fn judge(&self) {
        let corrupt = self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Corrupt(_)));
        assert_eq!(corrupt.collect::<Vec<_>>(), Vec::<&Outcome>::new());
        // Only a way to the application that fell silent may leave it without an end.
        let on_its_way = |(leg, fault): &&(Leg, Fault)| *leg == Leg::Application && *fault == Fault::Stall;
        let excused = self.faults.iter().filter(on_its_way).count();
        let silent = self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Silent { .. })).count();
        assert!(silent <= excused, "{silent} applications heard nothing, of which {excused} could not");
        let complete = self.outcomes.iter().filter(|outcome| **outcome == Outcome::Complete).count();
        assert!(complete * 4 > self.outcomes.len(), "only {complete} sessions were complete");
        for (before, after) in self.before.iter().zip(&self.after) {
            assert!(after.resident <= before.resident + GAINED, "{before:?}, then {after:?}");
        }
    }
}

/// How often each of them is there, the most frequent first.
fn table(text: &mut String, title: &str, rows: impl Iterator<Item = String>) {
    let mut counts = BTreeMap::<String, u64>::new();
    rows.for_each(|row| *counts.entry(row).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let _ = writeln!(text, "\n| {title} | times |\n|---|--:|");
    for (row, count) in counts {
        let _ = writeln!(text, "| {row} | {count} |");
    }
}

fn name(fault: Fault) -> String {
    match fault {
        Fault::Reset => "reset".into(),
        Fault::Close => "close".into(),
        Fault::HalfClose => "half-close".into(),
        Fault::Stall => "stall".into(),
        Fault::Pause(pause) => format!("pause of {} ms", pause.as_millis()),
    }
}

fn kind(outcome: &Outcome) -> String {
    let step = |ready: &bool| if *ready { "in the session" } else { "in the login" };
    match outcome {
        Outcome::Complete => "complete, every byte right".into(),
        Outcome::Refused { ready, sqlstate, message } => {
            format!("ErrorResponse {sqlstate} {}: {}", step(ready), shape(message))
        }
        Outcome::Cut { ready } => format!("closed or reset {}", step(ready)),
        Outcome::Silent { ready } => format!("nothing heard {}", step(ready)),
        Outcome::Corrupt(_) => "wrong bytes".into(),
    }
}

/// A message without what differs from one to the next.
fn shape(message: &str) -> String {
    let message = message.strip_prefix("rds-auth-proxy: ").unwrap_or(message);
    let words = message.split(' ').map(|word| if word.contains("localhost:") { "ADDRESS" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
