//! `gen-cert`: a self-signed certificate in two files, or a CA with certificates for both sides.

mod mutual;
mod new_file;
mod text;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use new_file::{NewFile, Readers, exists};
use text::{PROTECTION, days_between, quoted};

use super::args::GenCertArguments;
use super::output;
use crate::process::{CommandError, harden};
use crate::tls::SelfSigned;

/// The files of a self-signed certificate.
struct Pair<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

/// Generates what the arguments say. No file may exist before; if one cannot be written, none remains.
pub(super) fn run(arguments: &GenCertArguments) -> Result<(), CommandError> {
    harden();
    let hosts = hosts(&arguments.hosts)?;
    match (&arguments.ca, &arguments.certificate, &arguments.key) {
        (Some(directory), _, _) => mutual::run(directory, &hosts, &arguments.clients),
        (None, Some(certificate), Some(key)) => self_signed(&Pair { certificate, key }, &hosts),
        (None, _, _) => Err(CommandError::Usage("name the files with --certificate and --key".to_owned())),
    }
}

fn self_signed(pair: &Pair<'_>, hosts: &[String]) -> Result<(), CommandError> {
    refuse_to_overwrite(pair.certificate, pair.key)?;
    let generated = SelfSigned::generate(hosts).map_err(CommandError::runtime)?;
    let key = NewFile::write(pair.key, Readers::Owner, generated.key_pem.expose())?;
    let certificate =
        NewFile::write(pair.certificate, Readers::Everybody, generated.certificate_pem.as_bytes())?;
    key.keep();
    certificate.keep();
    output::print(explanation(pair, hosts, generated.valid_until, SystemTime::now()))
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

fn explanation(pair: &Pair<'_>, hosts: &[String], valid_until: SystemTime, now: SystemTime) -> String {
    let days = days_between(now, valid_until);
    let copy = client_copy(pair.certificate);
    let valid_until = humantime::format_rfc3339_seconds(valid_until);
    let certificate = quoted(pair.certificate);
    let key = quoted(pair.key);
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
        pair.certificate.display(),
        hosts.join(", "),
        pair.key.display(),
    )
}

/// The place of the copy on a client: the directory of this machine means nothing there.
fn client_copy(certificate: &Path) -> String {
    let name = certificate.file_name().unwrap_or(certificate.as_os_str());
    serde_json::Value::from(format!("~/.config/rds-auth-proxy/{}", name.to_string_lossy())).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    fn arguments(directory: &TempDir) -> GenCertArguments {
        GenCertArguments {
            certificate: Some(directory.path().join("my cert.pem")),
            key: Some(directory.path().join("key.pem")),
            hosts: vec!["proxy.internal".to_owned(), " ::1".to_owned()],
            ca: None,
            clients: Vec::new(),
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
        arguments.certificate = Some(directory.path().join("missing").join("cert.pem"));
        assert!(matches!(run(&arguments), Err(CommandError::Runtime(_))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_path_for_both_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = arguments(&directory);
        arguments.certificate.clone_from(&arguments.key);
        assert!(matches!(run(&arguments), Err(CommandError::Usage(_))));
        assert!(!arguments.key.unwrap().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = arguments(&directory);
        let elsewhere = directory.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, arguments.key.as_ref().unwrap()).unwrap();
        assert!(matches!(run(&arguments), Err(CommandError::Runtime(_))));
        assert!(!elsewhere.exists() && !arguments.certificate.unwrap().exists());
    }

    #[test]
    fn the_explanation_can_be_pasted_into_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("my cert.pem"), directory.path().join("key.pem"));
        let pair = Pair { certificate: &certificate, key: &key };
        let year = Duration::from_hours(365 * 24);
        let valid_until = SystemTime::UNIX_EPOCH + year;
        let text = explanation(&pair, &["proxy.internal".to_owned()], valid_until, SystemTime::UNIX_EPOCH);
        let server = text.split_once("configuration:\n").unwrap().1.split_once("On each").unwrap().0;
        let server: serde_json::Value = serde_yaml::from_str(server).unwrap();
        assert_eq!(server["proxy"]["ssl"]["private_key"], key.to_str().unwrap());
        let client = text.split_once("proxy.internal:\n").unwrap().1;
        let (client, renewal) = client.split_once("The certificate is valid for ").unwrap();
        assert!(renewal.starts_with("365 days, until 1971-01-01T00:00:00Z. To renew it"), "{renewal}");
        let client: serde_json::Value = serde_yaml::from_str(client).unwrap();
        let root = &client["upstream_proxies"]["default"]["ssl"]["root_certificate"];
        assert_eq!(*root, "~/.config/rds-auth-proxy/my cert.pem");
        assert!(!client.to_string().contains(directory.path().to_str().unwrap()), "{client}");
    }
}
