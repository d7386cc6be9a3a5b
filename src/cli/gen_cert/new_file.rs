//! Files that a command creates all or none of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::process::CommandError;

/// The error of a file that exists.
pub(super) fn exists(path: &Path) -> CommandError {
    CommandError::Runtime(format!(
        "{} exists and is not overwritten; remove it or choose another path",
        path.display()
    ))
}

/// The users that may read a file.
#[derive(Clone, Copy)]
pub(super) enum Readers {
    Owner,
    Everybody,
}

/// A file that this command created. Dropping it removes it unless it is kept.
pub(super) struct NewFile {
    path: Option<PathBuf>,
}

impl NewFile {
    pub(super) fn write(path: &Path, readers: Readers, content: &[u8]) -> Result<Self, CommandError> {
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => CommandError::Runtime(format!("{} cannot be written: {error}", path.display())),
        };
        let mut file = create(path, readers).map_err(|error| failed(&error))?;
        let created = Self { path: Some(path.to_owned()) };
        file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        Ok(created)
    }

    /// Leaves it where it is.
    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The command has failed already, with a more important reason.
            let _removed = fs::remove_file(path);
        }
    }
}

/// Creates the file with its final mode, so that other users cannot read a key at any time.
fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _: Readers = readers;
    options.open(path)
}
