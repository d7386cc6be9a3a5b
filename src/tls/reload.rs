//! Values made from files, made again when the files change.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::TlsError;
use crate::stamp::Stamp;

/// How long a look at the files is good for.
const RECHECK: Duration = Duration::from_secs(1);

/// A value made from files. When they change it is made again for new connections; if that fails, the old one stays
/// and the log says why.
pub(super) struct Reload<T> {
    paths: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    checked: Instant,
}

impl<T> Reload<T> {
    /// Makes the value for the first time, so that a mistake is an error at start.
    pub(super) fn new(
        paths: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let state = State { stamps: stamps(&paths), value: Arc::new(make()?), checked: Instant::now() };
        Ok(Self { paths, make: Box::new(make), state: Mutex::new(state) })
    }

    /// The value as the files have it now.
    pub(super) fn current(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.paths.is_empty() && state.checked.elapsed() >= RECHECK {
            state.checked = Instant::now();
            self.look(&mut state);
        }
        Arc::clone(&state.value)
    }

    fn look(&self, state: &mut State<T>) {
        let now = stamps(&self.paths);
        if now == state.stamps {
            return;
        }
        state.stamps = now;
        match (self.make)() {
            Ok(value) => {
                state.value = Arc::new(value);
                info!(files = ?self.paths, "certificate files changed and were loaded again");
            }
            Err(error) => {
                warn!(%error, "certificate files changed but cannot be used; the old ones stay in use");
            }
        }
    }
}

/// The files of a directory count one by one.
fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for path in paths {
        stamps.push(Stamp::of(path));
        let mut entries: Vec<_> = fs::read_dir(path)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        entries.sort();
        stamps.extend(entries.iter().map(|entry| Stamp::of(entry)));
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_counts_and_a_bad_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let reload = Reload::new(vec![file.clone()], move || {
            let text = fs::read_to_string(&path).unwrap();
            text.parse::<u32>().map_err(|error| TlsError::Setup(error.to_string()))
        })
        .unwrap();
        assert_eq!(*reload.current(), 1);
        let change = |text: &str| {
            fs::write(&file, text).unwrap();
            reload.state.lock().unwrap().checked -= RECHECK;
        };
        change("22");
        assert_eq!(*reload.current(), 22);
        change("bad");
        assert_eq!(*reload.current(), 22, "the old value stays");
        change("4444");
        assert_eq!(*reload.current(), 4444);
    }
}
