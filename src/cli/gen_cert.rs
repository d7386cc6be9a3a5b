//! `gen-cert`: a self-signed certificate in two files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::args::GenCertArguments;
use super::output;
use crate::process::{CommandError, harden};
use crate::tls::SelfSigned;

/// Generates the certificate and its key. Neither file may exist before; if one cannot be written, neither remains.
pub(super) fn run(arguments: &GenCertArguments) -> Result<(), CommandError> {
    harden();
    let hosts = hosts(&arguments.hosts)?;
    refuse_to_overwrite(&arguments.certificate, &arguments.key)?;
    let generated = SelfSigned::generate(&hosts).map_err(CommandError::runtime)?;
    let key = NewFile::write(&arguments.key, Readers::Owner, generated.key_pem.expose())?;
    let certificate =
        NewFile::write(&arguments.certificate, Readers::Everybody, generated.certificate_pem.as_bytes())?;
    key.keep();
    certificate.keep();
    output::print(explanation(arguments, &hosts, generated.valid_until, SystemTime::now()))
}

fn hosts(typed: &[String]) -> Result<Vec<String>, CommandError> {
    let hosts: Vec<String> = typed.iter().map(|host| host.trim().to_owned()).collect();
    match hosts.iter().find(|host| host.is_empty() || host.contains(char::is_whitespace)) {
        Some(host) => Err(CommandError::Usage(format!(
            "\"{host}\" in --hosts is not a host name or IP address; write them as in --hosts proxy.internal,127.0.0.1"
        ))),
        None => Ok(hosts),
    }
}

fn refuse_to_overwrite(certificate: &Path, key: &Path) -> Result<(), CommandError> {
    if certificate == key {
        return Err(CommandError::Usage("--certificate and --key must be two files".to_owned()));
    }
    // A dangling link counts as well: following it would write to an unknown place.
    match [certificate, key].into_iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        Some(path) => Err(exists(path)),
        None => Ok(()),
    }
}

fn exists(path: &Path) -> CommandError {
    CommandError::Runtime(format!(
        "{} exists and is not overwritten; remove it or choose another path",
        path.display()
    ))
}

/// The users that may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Owner,
    Everybody,
}

/// A file that this command created. Dropping it removes it unless it is kept.
struct NewFile {
    path: Option<PathBuf>,
}

impl NewFile {
    fn write(path: &Path, readers: Readers, content: &[u8]) -> Result<Self, CommandError> {
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => CommandError::Runtime(format!("{} cannot be written: {error}", path.display())),
        };
        let mut file = create(path, readers).map_err(|error| failed(&error))?;
        let created = Self { path: Some(path.to_owned()) };
        file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        Ok(created)
    }

    fn keep(mut self) {
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

/// The protection of the key. Outside of Unix a new file has the permissions of its directory.
const PROTECTION: &str = if cfg!(unix) {
    "which only its owner can read"
} else {
    "which every user with access to its directory can read"
};

/// Rounds a time to days.
const HALF_A_DAY: Duration = Duration::from_hours(12);

fn explanation(
    arguments: &GenCertArguments,
    hosts: &[String],
    valid_until: SystemTime,
    now: SystemTime,
) -> String {
    let left = valid_until.duration_since(now).unwrap_or_default();
    let days = (left + HALF_A_DAY).as_secs() / (2 * HALF_A_DAY.as_secs());
    let copy = client_copy(&arguments.certificate);
    let valid_until = humantime::format_rfc3339_seconds(valid_until);
    let certificate = quoted(&arguments.certificate);
    let key = quoted(&arguments.key);
    let host = hosts.first().map_or("rds-auth-proxy", String::as_str);
    format!(
        "\
Wrote the certificate {} for {}
and its private key {}, {PROTECTION}.

On the server, in its configuration:

proxy:
  ssl:
    enabled: true
    certificate: {certificate}
    private_key: {key}

On each client, with a copy of the certificate (never of the key), where the server is called {host}:

upstream_proxies:
  default:
    ssl:
      mode: verify-full
      root_certificate: {copy}

The certificate is valid for {days} days, until {valid_until}. To renew it before that day:

1. Run this command with two other paths.
2. On each client, append the new certificate to the file in root_certificate.
3. On the server, replace both files. It reads them without a restart.
4. On each client, remove the old certificate from the file.
",
        arguments.certificate.display(),
        hosts.join(", "),
        arguments.key.display(),
    )
}

/// The place of the copy on a client: the directory of this machine means nothing there.
fn client_copy(certificate: &Path) -> String {
    let name = certificate.file_name().unwrap_or(certificate.as_os_str());
    serde_json::Value::from(format!("~/.config/rds-auth-proxy/{}", name.to_string_lossy())).to_string()
}

/// The absolute path as a YAML string, which every JSON string is.
fn quoted(path: &Path) -> String {
    let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    serde_json::Value::from(absolute.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn arguments(directory: &TempDir) -> GenCertArguments {
        GenCertArguments {
            certificate: directory.path().join("my cert.pem"),
            key: directory.path().join("key.pem"),
            hosts: vec!["proxy.internal".to_owned(), " ::1".to_owned()],
        }
    }

    #[test]
    fn hosts_are_trimmed_and_checked() {
        assert_eq!(hosts(&["a".into(), " b ".into()]).unwrap(), ["a", "b"]);
        for wrong in ["", " ", "a b"] {
            assert!(matches!(hosts(&[wrong.into()]), Err(CommandError::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_failure_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = arguments(&directory);
        arguments.certificate = directory.path().join("missing").join("cert.pem");
        assert!(matches!(run(&arguments), Err(CommandError::Runtime(_))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_path_for_both_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = arguments(&directory);
        arguments.certificate.clone_from(&arguments.key);
        assert!(matches!(run(&arguments), Err(CommandError::Usage(_))));
        assert!(!arguments.key.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = arguments(&directory);
        let elsewhere = directory.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, &arguments.key).unwrap();
        assert!(matches!(run(&arguments), Err(CommandError::Runtime(_))));
        assert!(!elsewhere.exists() && !arguments.certificate.exists());
    }

    #[test]
    fn the_explanation_can_be_pasted_into_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = arguments(&directory);
        let year = Duration::from_hours(365 * 24);
        let valid_until = SystemTime::UNIX_EPOCH + year;
        let text =
            explanation(&arguments, &["proxy.internal".to_owned()], valid_until, SystemTime::UNIX_EPOCH);
        let server = text.split_once("configuration:\n").unwrap().1.split_once("On each").unwrap().0;
        let server: serde_json::Value = serde_yaml::from_str(server).unwrap();
        assert_eq!(server["proxy"]["ssl"]["private_key"], arguments.key.to_str().unwrap());
        let client = text.split_once("proxy.internal:\n").unwrap().1;
        let (client, renewal) = client.split_once("The certificate is valid for ").unwrap();
        assert!(renewal.starts_with("365 days, until 1971-01-01T00:00:00Z. To renew it"), "{renewal}");
        let client: serde_json::Value = serde_yaml::from_str(client).unwrap();
        let root = &client["upstream_proxies"]["default"]["ssl"]["root_certificate"];
        assert_eq!(*root, "~/.config/rds-auth-proxy/my cert.pem");
        assert!(!client.to_string().contains(directory.path().to_str().unwrap()), "{client}");
    }
}
