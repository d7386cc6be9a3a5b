//! Detects that a file has changed.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Modification time and length in bytes of a file; empty if the file is missing or unreadable. Two equal stamps do not
/// prove equal contents: the file may have been written twice within the resolution of its modification time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    /// The current stamp of a file; follows symbolic links.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self(found.and_then(|found| Some((found.modified().ok()?, found.len()))))
    }
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
}
