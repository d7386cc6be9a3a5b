//! The names of the targets, for the completion in shells: a file in the user's cache directory, which each list of them replaces.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tracing::debug;

use crate::config;

/// One name a line.
const FILE: &str = "targets";

/// The most bytes that are read. 10,000 names of 63 letters fit.
const MAX_BYTES: u64 = 1024 * 1024;

/// The names of the last list; none if there was no list.
pub(crate) fn load() -> Vec<String> {
    let Some(path) = path().filter(|path| path.is_file()) else { return Vec::new() };
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    // An unreadable file is no cause to disturb a person who types.
    read.map(|_| text.lines().map(str::to_owned).collect()).unwrap_or_default()
}

/// Replaces the names. A failure changes nothing and is logged: no command depends on it.
pub(super) fn store(names: &[String]) {
    let Some(path) = path() else { return };
    // A name comes from a tag or an API, and a line break would make two of it.
    let names = names.iter().filter(|name| !name.is_empty() && !name.contains(char::is_control));
    let text: String = names.flat_map(|name| [name.as_str(), "\n"]).collect();
    if fs::read_to_string(&path).is_ok_and(|before| before == text) {
        return;
    }
    if let Err(error) = replace(&path, &text) {
        debug!(file = %path.display(), %error, "the names of the targets cannot be kept for the completion in shells");
    }
}

fn path() -> Option<PathBuf> {
    Some(config::cache_directory()?.join(FILE))
}

/// Replaces the file at once: a reader sees the old or the new names.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        only_for_owner(DirBuilder::new().recursive(true)).create(directory)?;
    }
    let new = path.with_file_name(format!("{FILE}.{:016x}", fastrand::u64(..)));
    let written = write_new(&new, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The first error is the one that counts.
        let _removed = fs::remove_file(&new);
    }
    written
}

#[cfg(unix)]
fn only_for_owner(directories: &mut DirBuilder) -> &DirBuilder {
    std::os::unix::fs::DirBuilderExt::mode(directories, 0o700)
}

#[cfg(not(unix))]
fn only_for_owner(directories: &mut DirBuilder) -> &DirBuilder {
    directories
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_belongs_to_its_owner() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("new/cache").join(FILE);
        for text in ["a\nb\n", "c\n"] {
            replace(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        for (path, expected) in [(path.as_path(), 0o600), (path.parent().unwrap(), 0o700)] {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
            assert_eq!(mode & 0o777, expected, "{}", path.display());
        }
    }
}
