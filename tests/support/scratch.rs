//! The scratch directory of this test process, and the watchdog that removes it.
//!
//! The watchdog is a shell that reads from a pipe of this process. When the process ends, however it ends, the pipe
//! closes; the shell then stops every PostgreSQL with a data directory in the scratch directory and removes the
//! directory. `RDS_AUTH_PROXY_TEST_KEEP=1` keeps the files but not the processes.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Waits for the end of standard input, stops each PostgreSQL in the directory with SIGQUIT and removes the directory.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for file in "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] && kill -QUIT "$(head -n 1 "$file")" 2>/dev/null
done
for _ in $(seq 100); do
    ls "$1"/*/data/postmaster.pid >/dev/null 2>&1 || break
    sleep 0.1
done
[ "$2" = keep ] || rm -rf "$1"
"#;

struct Scratch {
    directory: PathBuf,
    _watchdog: Child,
}

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let directory = tempfile::Builder::new().prefix("rds-proxy-").tempdir().unwrap().keep();
    // If the tests run as root, PostgreSQL runs as another user and needs access to its data directory.
    fs::set_permissions(&directory, Permissions::from_mode(0o711)).unwrap();
    let keep = std::env::var("RDS_AUTH_PROXY_TEST_KEEP").is_ok_and(|value| value == "1");
    let watchdog = Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(&directory)
        .arg(if keep { "keep" } else { "remove" })
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    Scratch { directory, _watchdog: watchdog }
});

/// The scratch directory of this process.
pub fn directory() -> &'static Path {
    &SCRATCH.directory
}

/// Creates an empty directory in the scratch directory.
pub fn new_directory(name: &str) -> PathBuf {
    let directory = directory().join(unique(name));
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o711)).unwrap();
    directory
}

/// `name` with a number that no other call in this process gets.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `length` random characters of `[A-Za-z0-9]`, for secrets that do not occur in an output by chance.
pub fn random_text(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = vec![0; length];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.into_iter().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect()
}
