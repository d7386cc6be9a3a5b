//! A Unix socket that only its owner can connect to, and its file.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// How often a random name may be taken before the directory counts as hostile.
const ATTEMPTS: usize = 100;

/// A listening Unix socket. Dropping it removes the file.
pub(super) struct OwnedUnixListener {
    pub(super) inner: UnixListener,
    pub(super) path: PathBuf,
}

impl OwnedUnixListener {
    /// Binds with mode 0600. It replaces a socket file without a listener and no other file.
    ///
    /// bind(2) gives the file the mode of the umask. So the socket is bound inside a directory with mode 0700, and moved when
    /// its own mode is set: at no moment can another user connect to it.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        // An error about the length of this path, not of a provisional one.
        SocketAddr::from_pathname(path)?;
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket && UnixStream::connect(path).is_err() {
            fs::remove_file(path)?;
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let directory = PrivateDirectory::create(path.parent().unwrap_or(Path::new("/")))?;
        let provisional = directory.entry();
        let inner = bind_at(&directory)?;
        fs::set_permissions(&provisional, Permissions::from_mode(0o600))?;
        fs::rename(&provisional, path)?;
        Ok(Self { inner, path: path.to_owned() })
    }
}

impl Drop for OwnedUnixListener {
    fn drop(&mut self) {
        // The user may have removed it already.
        let _removed = fs::remove_file(&self.path);
    }
}

/// Creates the directory of this path with mode 0700 if there is none. An existing one must belong to this process's user and
/// be closed to all others.
pub(super) fn require_private_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match DirBuilder::new().mode(0o700).create(parent) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let found = fs::metadata(parent)?;
    // The six lowest bits are those of the group and of others.
    if found.uid() == rustix::process::geteuid().as_raw() && found.mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    let (directory, mode, uid) = (parent.display(), found.mode() & 0o777, found.uid());
    Err(io::Error::other(format!(
        "its directory {directory} has the mode {mode:04o} and the owner {uid}; it has to belong to the user of this process and \
         be closed to others (chmod 0700)"
    )))
}

/// Binds the entry of `directory`. Where its path is too long for the system, although the final one is not, a link with a
/// short path leads to the directory.
fn bind_at(directory: &PrivateDirectory) -> io::Result<UnixListener> {
    if SocketAddr::from_pathname(directory.entry()).is_ok() {
        return UnixListener::bind(directory.entry());
    }
    let short = PrivateDirectory::create(&std::env::temp_dir())?;
    symlink(std::path::absolute(&directory.0)?, short.entry())?;
    UnixListener::bind(short.entry().join(ENTRY))
}

/// The name of the only entry of a [`PrivateDirectory`].
const ENTRY: &str = "s";

/// A new directory with mode 0700 and at most one entry. Both are removed when this is dropped.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// With a name so short that the entry's path is no longer than that of a socket `.s.PGSQL.5432` in `parent`.
    fn create(parent: &Path) -> io::Result<Self> {
        let mut taken = io::ErrorKind::AlreadyExists.into();
        for _ in 0..ATTEMPTS {
            let random = std::iter::repeat_with(fastrand::alphanumeric).take(4);
            let path = parent.join(format!(".rds-{}", random.collect::<String>()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    fn entry(&self) -> PathBuf {
        self.0.join(ENTRY)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // The entry was moved away, unless an error came before.
        let _moved = fs::remove_file(self.entry());
        let _removed = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[tokio::test]
    async fn every_path_that_the_system_accepts_can_be_bound() {
        let directory = tempfile::tempdir().unwrap();
        // The limit of sockaddr_un: 107 bytes on Linux (unix(7)), 103 on macOS.
        let limit = if cfg!(target_os = "linux") { 107 } else { 103 };
        let mut parent = directory.path().to_owned();
        while parent.as_os_str().len() + 40 < limit {
            parent.push("x".repeat(20));
        }
        fs::create_dir_all(&parent).unwrap();
        // A directory for which even the shortest socket name needs every byte.
        let deep = parent.join("y".repeat(limit - parent.as_os_str().len() - 3));
        fs::create_dir(&deep).unwrap();
        let lengths =
            (limit - 9..=limit).map(|length| parent.join("s".repeat(length - parent.as_os_str().len() - 1)));
        for path in lengths.chain([deep.join("s")]) {
            let listener = OwnedUnixListener::bind(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            UnixStream::connect(&path).unwrap();
            drop(listener);
            assert!(!path.exists());
        }
        let long = parent.join("s".repeat(limit - parent.as_os_str().len()));
        assert_eq!(OwnedUnixListener::bind(&long).err().unwrap().kind(), io::ErrorKind::InvalidInput);
        fs::remove_dir(&deep).unwrap();
        assert_eq!(entries(&parent), 0, "nothing is left");
    }

    #[test]
    fn a_private_directory_is_created_and_an_open_one_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("private/admin.sock");
        require_private_directory(&path).unwrap();
        require_private_directory(&path).unwrap();
        let parent = path.parent().unwrap();
        assert_eq!(fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o700);
        for mode in [0o710, 0o701, 0o777] {
            fs::set_permissions(parent, Permissions::from_mode(mode)).unwrap();
            let error = require_private_directory(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("private has the mode {mode:04o}")), "{error}");
        }
        let nowhere = directory.path().join("a/b/admin.sock");
        assert_eq!(require_private_directory(&nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// The name beside the socket could be foreseen, and another user of the directory could take it.
    #[tokio::test]
    async fn no_entry_beside_the_socket_makes_it_fail() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.5432");
        let beside = directory.path().join(format!(".s.PGSQL.5432.{}", std::process::id()));
        fs::write(&beside, "taken").unwrap();
        let listener = OwnedUnixListener::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(listener);
        assert_eq!(fs::read_to_string(&beside).unwrap(), "taken");
        assert_eq!(entries(directory.path()), 1);
    }

    #[test]
    fn only_the_owner_can_enter_a_private_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = PrivateDirectory::create(parent.path()).unwrap();
        assert_eq!(fs::metadata(&directory.0).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(directory.entry(), "").unwrap();
        drop(directory);
        assert_eq!(entries(parent.path()), 0);
        let error = PrivateDirectory::create(&parent.path().join("nowhere")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        fs::write(&path, "precious").unwrap();
        let error = OwnedUnixListener::bind(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(entries(directory.path()), 1);
    }
}
