//! The report of the soak test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::support::relay::Disruption;
use crate::support::relayed_chain::Link;
use crate::support::resource_usage::ResourceUsage;
use crate::support::workload::Outcome;

/// The largest growth of a proxy's resident memory in KB: the allocator keeps memory of the busiest moment. A leak of
/// 1 KB in each of 10,000 sessions exceeds it.
const MAX_GROWTH: u64 = 8 * 1024;

/// The figures of a soak.
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
    /// Disruptions that took place.
    pub(crate) disruptions: Vec<(Link, Disruption)>,
    /// Resource usage of client and server.
    pub(crate) before: [ResourceUsage; 2],
    pub(crate) after: [ResourceUsage; 2],
}

impl Report {
    /// The report as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} sessions in {} s\n", self.outcomes.len(), self.took.as_secs());
        let disruptions =
            self.disruptions.iter().map(|(link, disruption)| format!("{link:?}: {}", name(*disruption)));
        table(&mut text, "disruption", disruptions);
        table(&mut text, "how the application's session ended", self.outcomes.iter().map(kind));
        let _ = writeln!(
            text,
            "\n| layer | memory at the start | at the end | tasks | sockets |\n|---|--:|--:|--:|--:|"
        );
        for (layer, (before, after)) in ["client", "server"].iter().zip(self.before.iter().zip(&self.after)) {
            let sockets =
                |usage: &ResourceUsage| usage.sockets.map_or("?".to_owned(), |count| count.to_string());
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

    /// Panics if a session was corrupt, too few were complete, or memory grew. The caller checks for leaked connections.
    pub(crate) fn check(&self) {
        let corrupt = self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Corrupt(_)));
        assert_eq!(corrupt.collect::<Vec<_>>(), Vec::<&Outcome>::new());
        // Only a stalled link to the application may leave it waiting.
        let to_application = |(link, disruption): &&(Link, Disruption)| {
            *link == Link::AppToClient && *disruption == Disruption::Stall
        };
        let excused = self.disruptions.iter().filter(to_application).count();
        let silent = self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Silent { .. })).count();
        assert!(
            silent <= excused,
            "{silent} applications received nothing, but only {excused} links stalled"
        );
        let complete = self.outcomes.iter().filter(|outcome| **outcome == Outcome::Complete).count();
        assert!(complete * 4 > self.outcomes.len(), "only {complete} sessions were complete");
        for (before, after) in self.before.iter().zip(&self.after) {
            assert!(after.resident <= before.resident + MAX_GROWTH, "{before:?}, then {after:?}");
        }
    }
}

/// Appends a table with the number of each row, the most frequent first.
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

fn name(disruption: Disruption) -> String {
    match disruption {
        Disruption::Reset => "reset".into(),
        Disruption::Close => "close".into(),
        Disruption::HalfClose => "half-close".into(),
        Disruption::Stall => "stall".into(),
        Disruption::Pause(pause) => format!("pause of {} ms", pause.as_millis()),
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
        Outcome::Silent { ready } => format!("nothing received {}", step(ready)),
        Outcome::Corrupt(_) => "wrong bytes".into(),
    }
}

/// A message without its prefix and addresses, to group similar ones.
fn shape(message: &str) -> String {
    let message = message.strip_prefix("rds-auth-proxy: ").unwrap_or(message);
    let words = message.split(' ').map(|word| if word.contains("localhost:") { "ADDRESS" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
