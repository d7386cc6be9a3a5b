//! `targets`: the databases that a client can reach.

mod entry;
mod layout;

use tokio::time::sleep;
use tracing::warn;

use super::args::TargetsArguments;
use super::{output, pick};
use crate::app::{Overview, once};
use crate::catalog::Directory;
use crate::process::{CommandError, Hangup};
use entry::Entry;
use layout::Layout;

/// Lists the targets, once or until the reader of the list ends.
pub(super) fn run(arguments: &TargetsArguments) -> Result<(), CommandError> {
    once(list(arguments))
}

async fn list(arguments: &TargetsArguments) -> Result<(), CommandError> {
    let mut overview =
        Overview::load(arguments.source.configfile.as_deref(), arguments.source.profile.as_deref()).await?;
    let mut hangup = Hangup::without_terminal();
    let layout = Layout::new(arguments);
    let mut shown = chosen(&overview, arguments).await?;
    if !output::print_while_read(layout.render(&shown)?)? || !arguments.watch {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = sleep(Directory::refresh_pause()) => {}
            () = hangup.next() => {}
        }
        overview.refresh().await;
        let entries = matching(entries(&overview, arguments).await, arguments);
        if entries != shown {
            if !output::print_while_read(layout.render(&entries)?)? {
                return Ok(());
            }
            shown = entries;
        }
    }
}

/// The entries that the patterns choose. A pattern that no entry matches is an error.
async fn chosen(overview: &Overview, arguments: &TargetsArguments) -> Result<Vec<Entry>, CommandError> {
    let entries = entries(overview, arguments).await;
    for pattern in &arguments.patterns {
        if !entries.iter().any(|entry| entry.is_chosen_by(pattern)) {
            return Err(pick::without_match(&overview.directory, pattern).await);
        }
    }
    Ok(matching(entries, arguments))
}

async fn entries(overview: &Overview, arguments: &TargetsArguments) -> Vec<Entry> {
    let mut entries: Vec<_> = overview.targets().into_iter().map(Entry::from).collect();
    if arguments.hidden {
        let skipped = overview.directory.skipped().await;
        for error in &skipped.failed {
            warn!(%error, "databases with other engines are missing in the list");
        }
        entries.extend(skipped.databases.into_iter().map(Entry::from));
    }
    entries
}

fn matching(mut entries: Vec<Entry>, arguments: &TargetsArguments) -> Vec<Entry> {
    let patterns = &arguments.patterns;
    entries.retain(|entry| patterns.is_empty() || patterns.iter().any(|pattern| entry.is_chosen_by(pattern)));
    entries
}
