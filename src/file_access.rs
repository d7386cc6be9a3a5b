//! Why this process may not read a file: who owns it, its mode, and the ids of the process.
//!
//! Images of the Go program ran as root, so files that only root can read worked there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// As [`std::fs::read`]; the error of a file that this process may not read says why and what to change.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| explained(path, error))
}

/// As [`std::fs::read_to_string`], with the same errors.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| explained(path, error))
}

/// As [`std::fs::File::open`], with the same errors.
pub fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| explained(path, error))
}

/// The same error, of the same kind. If this process may not read `path`, its text has the owner, the mode and the ids.
#[must_use]
pub fn explained(path: &Path, error: io::Error) -> io::Error {
    match denied_by(path).filter(|_| error.kind() == io::ErrorKind::PermissionDenied) {
        Some(reason) => io::Error::new(error.kind(), format!("{error}: {reason}")),
        None => error,
    }
}

/// The rights of the file, or of the directory on the way to it that hides it.
#[cfg(unix)]
fn denied_by(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    use rustix::process::{getegid, geteuid};

    let (subject, found) = match fs::metadata(path) {
        Ok(found) => ("it".to_owned(), found),
        Err(_) => path.ancestors().skip(1).find_map(|directory| {
            let found = fs::metadata(directory).ok()?;
            Some((format!("its directory {}", directory.display()), found))
        })?,
    };
    let (owner, group, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
    let (user, own_group) = (geteuid().as_raw(), getegid().as_raw());
    Some(format!(
        "{subject} belongs to uid {owner} and gid {group} with mode {mode:04o}, and this process has uid {user} and gid \
         {own_group}; give it the right to read (in a pod by securityContext.fsGroup, runAsUser or the volume's defaultMode)"
    ))
}

#[cfg(not(unix))]
fn denied_by(_path: &Path) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_denied_file_is_described_with_its_owner_and_mode() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        // Root may read everything, so the error does not come from the system.
        let text = explained(&file, io::Error::from(io::ErrorKind::PermissionDenied)).to_string();
        let user = rustix::process::geteuid().as_raw();
        assert!(text.starts_with(&format!("permission denied: it belongs to uid {user} and gid ")), "{text}");
        assert!(text.contains(&format!(" with mode 0600, and this process has uid {user} ")), "{text}");
        assert!(
            text.contains("fsGroup") && text.contains("defaultMode") && text.contains("runAsUser"),
            "{text}"
        );
        let hidden = explained(&file.join("x"), io::Error::from(io::ErrorKind::PermissionDenied)).to_string();
        assert!(hidden.contains(&format!("its directory {} belongs to", file.display())), "{hidden}");
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let missing = read(Path::new("/nonexistent/file")).unwrap_err();
        assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
    }
}
