//! What tells that a file has changed.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// When a file was written to, and its length in bytes; nothing where there is no file that can be looked at. Two that
/// are equal may still differ in what the file holds, if it was written twice within the resolution of its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    /// The file as it is now, or what a link leads to.
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
    fn a_file_that_comes_grows_or_goes_has_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let none = Stamp::of(&file);
        fs::write(&file, "1").unwrap();
        let written = Stamp::of(&file);
        assert_ne!(none, written);
        assert_eq!(written, Stamp::of(&file));
        fs::write(&file, "22").unwrap();
        assert_ne!(written, Stamp::of(&file));
        fs::remove_file(&file).unwrap();
        assert_eq!(none, Stamp::of(&file));
    }
}
