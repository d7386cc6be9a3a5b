//! Detects that a file has changed.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::SystemTime;

/// What identifies the content of a file; empty if the file is missing or unreadable. Two equal stamps do not prove equal
/// contents: the file may have been written twice within the resolution of its modification time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(Option<Found>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    modified: SystemTime,
    /// In bytes.
    length: u64,
    /// A link can move to a file of equal time and length: Nix and `OSTree` give all files the same time.
    identity: Identity,
}

/// Device, inode, and the time of the last change of the inode in seconds and nanoseconds (stat(2)). No program can set the
/// last one, and an inode number is used again after the file was deleted.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);

/// The time of creation, where the file system has it.
#[cfg(not(unix))]
type Identity = Option<SystemTime>;

impl Stamp {
    /// The current stamp of a file; follows symbolic links.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().and_then(|found| Found::of(&found)))
    }
}

impl Found {
    fn of(found: &Metadata) -> Option<Self> {
        Some(Self { modified: found.modified().ok()?, length: found.len(), identity: identity(found) })
    }
}

#[cfg(unix)]
fn identity(found: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(found: &Metadata) -> Identity {
    found.created().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creating_growing_or_removing_a_file_changes_its_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let missing = Stamp::of(&file);
        fs::write(&file, "1").unwrap();
        let written = Stamp::of(&file);
        assert_ne!(missing, written);
        assert_eq!(written, Stamp::of(&file));
        fs::write(&file, "22").unwrap();
        assert_ne!(written, Stamp::of(&file));
        fs::remove_file(&file).unwrap();
        assert_eq!(missing, Stamp::of(&file));
    }

    #[cfg(unix)]
    fn write_at_the_epoch(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_moves_to_a_file_of_equal_time_and_length_changes_its_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        write_at_the_epoch(&path("1"), "one");
        write_at_the_epoch(&path("2"), "two");
        std::os::unix::fs::symlink("1", path("link")).unwrap();
        let before = Stamp::of(&path("link"));
        assert_eq!(before, Stamp::of(&path("1")));
        std::os::unix::fs::symlink("2", path("new")).unwrap();
        fs::rename(path("new"), path("link")).unwrap();
        assert_ne!(before, Stamp::of(&path("link")));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_written_in_place_with_its_old_time_has_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        write_at_the_epoch(&file, "one");
        let before = Stamp::of(&file);
        // The kernel's clock for files moves in steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        write_at_the_epoch(&file, "two");
        assert_ne!(before, Stamp::of(&file));
    }
}
