//! Values made from files, and made again when the files change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::TlsError;
use crate::stamp::Stamp;

/// How long the result of a check stays valid: the files are looked at once in this time at most.
const RECHECK: Duration = Duration::from_secs(1);

/// How long a connection waits for a check. After that it uses the value it has: a network file system that does not
/// respond must not stop new connections.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// A value made from files. After they changed, the next connection gets a new value. If the new files cannot be used,
/// the old value stays in use and the log says why. Files are read on threads for blocking work.
pub(super) struct Reload<T> {
    paths: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>,
    /// The value in use; absent until it is made for the first time. Never locked while a file is read.
    value: Mutex<Option<Arc<T>>>,
    /// Never locked while a file is read.
    last_check: Mutex<Check>,
    /// Held while the files are read for a connection, so that one thread at a time does so.
    reading: Arc<AsyncMutex<()>>,
}

struct Check {
    at: Instant,
    stamps: Vec<Stamp>,
}

impl<T: Send + Sync + 'static> Reload<T> {
    /// A value that is made when it is needed.
    pub(super) fn new(
        paths: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let last_check = Mutex::new(Check { at: Instant::now(), stamps: Vec::new() });
        let (value, reading) = (Mutex::default(), Arc::default());
        Arc::new(Self { paths, make: Box::new(make), value, last_check, reading })
    }

    /// Makes the value unless there is one. Reads files.
    pub(super) fn load(&self) -> Result<(), TlsError> {
        if self.value.lock().is_some() {
            return Ok(());
        }
        // From before the files are read: a change in between is noticed later.
        let check = Check { at: Instant::now(), stamps: stamps(&self.paths) };
        *self.value.lock() = Some(Arc::new((self.make)()?));
        *self.last_check.lock() = check;
        Ok(())
    }

    /// The value of the files as they are now. Fails only if there was none before.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<T>, TlsError> {
        if self.value.lock().is_none() {
            self.first_load().await?;
        } else if !self.paths.is_empty() {
            let _in_time = timeout(MAX_WAIT, self.check()).await;
        }
        let value = self.value.lock().clone();
        value.ok_or_else(|| TlsError::Setup("the certificates are not loaded".into()))
    }

    /// There is no older value to use, so the connection waits until its deadline.
    async fn first_load(self: &Arc<Self>) -> Result<(), TlsError> {
        let held = Arc::clone(&self.reading).lock_owned().await;
        let files = Arc::clone(self);
        let load = move || {
            let _held = held;
            files.load()
        };
        spawn_blocking(load).await.unwrap_or_else(|error| Err(TlsError::Setup(error.to_string())))
    }

    async fn check(self: &Arc<Self>) {
        let held = Arc::clone(&self.reading).lock_owned().await;
        if self.last_check.lock().at.elapsed() < RECHECK {
            return;
        }
        // The blocking work holds the lock and stores the value: it completes even if this connection does not wait for it.
        let files = Arc::clone(self);
        let look = move || {
            let _held = held;
            files.load_if_changed();
        };
        let _ended = spawn_blocking(look).await;
    }

    fn load_if_changed(&self) {
        let now = Check { at: Instant::now(), stamps: stamps(&self.paths) };
        let changed = now.stamps != self.last_check.lock().stamps;
        *self.last_check.lock() = now;
        if !changed {
            return;
        }
        match (self.make)() {
            Ok(value) => {
                *self.value.lock() = Some(Arc::new(value));
                info!(files = ?self.paths, "certificate files changed and were loaded again");
            }
            Err(error) => {
                warn!(%error, "certificate files changed but cannot be used; the old ones stay in use");
            }
        }
    }
}

/// The stamps of the paths, and of each file in those that are directories.
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
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    impl<T> Reload<T> {
        fn expire_check(&self) {
            self.last_check.lock().at -= RECHECK;
        }
    }

    fn number(path: &Path) -> Result<u32, TlsError> {
        let text = fs::read_to_string(path).unwrap();
        text.parse().map_err(|error: std::num::ParseIntError| TlsError::Setup(error.to_string()))
    }

    #[tokio::test]
    async fn a_changed_file_counts_and_a_bad_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let reload = Reload::new(vec![file.clone()], move || number(&path));
        reload.load().unwrap();
        assert_eq!(*reload.current().await.unwrap(), 1);
        let change = |text: &str| {
            fs::write(&file, text).unwrap();
            reload.expire_check();
        };
        change("22");
        assert_eq!(*reload.current().await.unwrap(), 22);
        change("bad");
        assert_eq!(*reload.current().await.unwrap(), 22, "the old value stays");
        change("4444");
        assert_eq!(*reload.current().await.unwrap(), 4444);
    }

    #[tokio::test]
    async fn a_file_that_appears_late_is_used_by_the_next_connection() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        let path = file.clone();
        let reload = Reload::new(vec![file.clone()], move || {
            fs::read_to_string(&path).map_err(|error| TlsError::Setup(error.to_string()))
        });
        assert!(reload.load().is_err() && reload.current().await.is_err());
        fs::write(&file, "1").unwrap();
        assert_eq!(*reload.current().await.unwrap(), "1");
        fs::write(&file, "22").unwrap();
        reload.expire_check();
        assert_eq!(*reload.current().await.unwrap(), "22");
    }

    /// Nix and `OSTree` give every file the same modification time and replace a link.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_that_moves_to_files_of_equal_size_and_time_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (version, text) in [("a", "1"), ("b", "2")] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("value"), text).unwrap();
            for changed in [path(version).join("value"), path(version)] {
                fs::File::open(changed).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
        let point_to = |version: &str| {
            std::os::unix::fs::symlink(version, path("next")).unwrap();
            fs::rename(path("next"), path("link")).unwrap();
        };
        point_to("a");
        let file = path("link").join("value");
        // The link is a directory of files, as with `root_certificate`.
        let reload = Reload::new(vec![path("link")], move || number(&file));
        assert_eq!(*reload.current().await.unwrap(), 1);
        point_to("b");
        reload.expire_check();
        assert_eq!(*reload.current().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn files_are_read_once_for_many_connections() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let reload = Reload::new(vec![file.clone()], move || {
            counted.fetch_add(1, Ordering::Relaxed);
            number(&path)
        });
        reload.load().unwrap();
        fs::write(&file, "22").unwrap();
        assert_eq!(*reload.current().await.unwrap(), 1, "the files were looked at less than a second ago");
        reload.expire_check();
        let (first, second) = tokio::join!(reload.current(), reload.current());
        assert_eq!((*first.unwrap(), *second.unwrap()), (22, 22));
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_does_not_stop_connections() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let (respond, response) = mpsc::channel();
        let response = Mutex::new(response);
        respond.send(()).unwrap();
        let reload = Reload::new(vec![file.clone()], move || {
            response.lock().recv().unwrap();
            number(&path)
        });
        reload.load().unwrap();
        fs::write(&file, "22").unwrap();
        reload.expire_check();
        assert_eq!(*reload.current().await.unwrap(), 1, "the value in use");
        respond.send(()).unwrap();
        // This waits until the check has ended, which no connection waited for.
        assert_eq!(
            *reload.current().await.unwrap(),
            22,
            "the check completes without the connection that began it"
        );
    }
}
