//! The database password of `--password` or `--password-file`.

use std::io::{self, Read};
use std::path::Path;

use tracing::warn;

use super::args::ClientArguments;
use crate::file_access;
use crate::process::CommandError;
use crate::secret::{Secret, everyone_may_read};

/// The longest password in bytes: no longer one fits into a startup packet (`MAX_STARTUP_PACKET_LENGTH` in
/// src/include/libpq/pqcomm.h of PostgreSQL).
const LONGEST: usize = 10_000;

/// The password of `--password` or `--password-file`, if either was given. A file that is unreadable, empty or too long,
/// or contains a NUL byte, is a usage error.
pub(super) fn password(arguments: &mut ClientArguments) -> Result<Option<Secret>, CommandError> {
    match &arguments.password_file {
        Some(path) => {
            let password = from_file(path)?;
            if everyone_may_read(path) {
                warn!(file = %path.display(), "every user may read this password file; remove the permission (chmod o-r)");
            }
            Ok(Some(password))
        }
        None => Ok(arguments.password.take()),
    }
}

/// Whether a password file can hold this password unchanged: a file is limited in length and loses one line ending.
#[cfg(unix)]
pub(super) fn can_hold(password: &Secret) -> bool {
    !password.is_empty() && password.len() <= LONGEST && !password.expose().ends_with(b"\r")
}

fn from_file(path: &Path) -> Result<Secret, CommandError> {
    let refuse = |reason: &str| CommandError::Usage(format!("the password file {} {reason}", path.display()));
    let bytes = read(path).map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    if bytes.len() > LONGEST {
        return Err(refuse("is too long for a password"));
    }
    let line = bytes.expose().strip_suffix(b"\n").unwrap_or(bytes.expose());
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(refuse("is empty"));
    }
    if line.contains(&0) {
        return Err(refuse("holds a NUL byte, which no password can have"));
    }
    Ok(Secret::new(line))
}

/// Reads into a buffer that never grows, so that no copy of the password stays in memory.
fn read(path: &Path) -> io::Result<Secret> {
    let limit = LONGEST + 1;
    let mut bytes = Vec::with_capacity(limit + 1);
    let read = file_access::open(path)?.take(limit as u64).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    read.map(|_| secret)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn from_text(text: &[u8]) -> Result<Vec<u8>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, text).unwrap();
        match from_file(&path) {
            Ok(secret) => Ok(secret.expose().to_vec()),
            Err(CommandError::Usage(sentence)) => Err(sentence),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_one_line_ending_is_removed() {
        for (text, expected) in [
            (&b"pw"[..], &b"pw"[..]),
            (b"pw\n", b"pw"),
            (b"pw\r\n", b"pw"),
            (b"pw\n\n", b"pw\n"),
            (b" p w ", b" p w "),
        ] {
            assert_eq!(from_text(text).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_without_a_usable_password_is_refused() {
        assert!(from_text(b"\n").unwrap_err().ends_with("is empty"));
        assert!(from_text(b"a\0b").unwrap_err().contains("NUL"));
        assert!(from_text(&vec![b'a'; LONGEST + 1]).unwrap_err().contains("too long"));
        assert_eq!(from_text(&vec![b'a'; LONGEST]).unwrap().len(), LONGEST);
        let missing = from_file(Path::new("/nonexistent/password"));
        assert!(
            matches!(missing, Err(CommandError::Usage(sentence)) if sentence.contains("/nonexistent/password"))
        );
    }
}
