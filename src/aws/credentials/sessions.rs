//! Sessions of IAM Identity Center that this process may read and not write, as in a container with a read-only `~/.aws`.
//!
//! The SDK fails where it cannot save a session that it has renewed. The AWS CLI uses it nevertheless.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_types::os_shim_internal::Fs;
use parking_lot::Mutex;

use super::files::{Files, Fingerprint};
use super::shared_config::SharedConfig;

/// The files as this process changed them, in memory, until they change on disk.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<Option<(Fingerprint, Fs)>>>);

impl Sessions {
    /// The files for the SDK: those on disk, or copies in memory if a session cannot be written.
    pub(super) async fn file_system(&self, files: &Files, shared: &SharedConfig) -> Fs {
        let sessions = sessions(files);
        if sessions.iter().all(|path| is_writable(path)) {
            return Fs::real();
        }
        let copies = self.copies(files, &sessions);
        let tokens = files.tokens.iter().cloned().chain(shared.web_identity_tokens());
        for path in tokens {
            if let Ok(token) = std::fs::read(&path) {
                // Memory can be written.
                let _written = copies.write(&path, token).await;
            }
        }
        copies
    }

    /// Keeps a session that was renewed: its refresh token may be good for one use.
    fn copies(&self, files: &Files, sessions: &[PathBuf]) -> Fs {
        let seen = files.fingerprint();
        let mut kept = self.0.lock();
        if let Some((_, copies)) = kept.as_ref().filter(|(fingerprint, _)| *fingerprint == seen) {
            return copies.clone();
        }
        let content = |path: &PathBuf| Some((path.clone().into_os_string(), std::fs::read(path).ok()?));
        let copies = Fs::from_raw_map(sessions.iter().filter_map(content).collect());
        *kept = Some((seen, copies.clone()));
        copies
    }
}

fn sessions(files: &Files) -> Vec<PathBuf> {
    let entries = files.sessions.first().and_then(|directory| std::fs::read_dir(directory).ok());
    entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn is_writable(path: &Path) -> bool {
    path.is_dir() || OpenOptions::new().append(true).open(path).is_ok()
}
