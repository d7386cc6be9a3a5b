//! `gen-cert --ca`: a CA, and certificates of it for a server and for clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::new_file::{NewFile, Readers};
use super::text::{PROTECTION, days_between, quoted};
use crate::cli::output;
use crate::process::CommandError;
use crate::tls::{Issued, TrialCa};

/// Names of this machine, which the certificate of the server always has.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// The port of a server in the printed command.
const PORT: u16 = 8000;

/// Generates all files in this directory, which may exist; none of the files may.
pub(super) fn run(directory: &Path, hosts: &[String], clients: &[String]) -> Result<(), CommandError> {
    let clients = names(clients)?;
    fs::create_dir_all(directory).map_err(|error| {
        CommandError::Runtime(format!("the directory {} cannot be made: {error}", directory.display()))
    })?;
    let local = LOCAL.map(str::to_owned).into_iter().filter(|name| !hosts.contains(name));
    let hosts: Vec<_> = hosts.iter().cloned().chain(local).collect();
    let ca = TrialCa::generate().map_err(CommandError::runtime)?;
    let mut files =
        vec![NewFile::write(&directory.join("ca.pem"), Readers::Everybody, ca.certificate_pem.as_bytes())?];
    let server = ca.issue_server(&hosts).map_err(CommandError::runtime)?;
    files.extend(write(directory, "server", &server)?);
    for name in &clients {
        let client = ca.issue_client(name).map_err(CommandError::runtime)?;
        files.extend(write(directory, name, &client)?);
    }
    files.into_iter().for_each(NewFile::keep);
    let days = days_between(SystemTime::now(), ca.valid_until);
    output::print(explanation(directory, &hosts, &clients, days))
}

/// Each becomes a common name and a file name, so it has letters, digits and `-`, `_` and `.` inside.
fn names(typed: &[String]) -> Result<Vec<String>, CommandError> {
    let mut names: Vec<String> = typed.iter().map(|name| name.trim().to_owned()).collect();
    let fits = |name: &String| {
        let inside = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(inside)
    };
    let is_taken = |name: &String| ["ca", "server"].contains(&name.as_str());
    if let Some(name) = names.iter().find(|name| !fits(name) || is_taken(name)) {
        return Err(CommandError::Usage(format!(
            "\"{name}\" in --clients cannot be the name of a client and its files; write names as in --clients alice,orders-app"
        )));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn write(directory: &Path, name: &str, issued: &Issued) -> Result<[NewFile; 2], CommandError> {
    let [certificate, key] = paths(directory, name);
    Ok([
        NewFile::write(&key, Readers::Owner, issued.key_pem.expose())?,
        NewFile::write(&certificate, Readers::Everybody, issued.certificate_pem.as_bytes())?,
    ])
}

/// The files of a certificate and its key.
fn paths(directory: &Path, name: &str) -> [PathBuf; 2] {
    ["pem", "key"].map(|ending| directory.join(format!("{name}.{ending}")))
}

fn explanation(directory: &Path, hosts: &[String], clients: &[String], days: u64) -> String {
    let ca = quoted(&directory.join("ca.pem"));
    let yaml = |name: &str| paths(directory, name).map(|path| quoted(&path));
    let [certificate, key] = yaml("server");
    let first = clients.first().map_or("client", String::as_str);
    let [client_certificate, client_key] = yaml(first);
    let all = clients.join(", ");
    format!(
        "\
Wrote to {}, valid for {days} days:

  ca.pem                  a CA, whose key is not kept: it signs nothing else
  server.pem, server.key  a server certificate for {}
  NAME.pem, NAME.key      a client certificate for each of {all}

Each key is in a file {PROTECTION}.

On the server, in its configuration:

proxy:
  ssl:
    enabled: true
    certificate: {certificate}
    private_key: {key}
    client_ca: {ca}
    client_auth: require

Below a target, allowed_client_names: [{all}] names those that may reach it.

An application at a server with proxy.default_target:

psql {}

A client of this program:

upstream_proxies:
  default:
    ssl:
      mode: verify-full
      root_certificate: {ca}
      client_certificate: {client_certificate}
      client_private_key: {client_key}

Copy ca.pem to the machine of each client, and of the other files only those with its name.
",
        directory.display(),
        hosts.join(", "),
        psql(directory, first),
    )
}

/// The connection string for psql, as one word of a shell.
fn psql(directory: &Path, client: &str) -> String {
    let value = |path: PathBuf| {
        let absolute = std::path::absolute(&path).unwrap_or(path);
        format!("'{}'", absolute.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'"))
    };
    let [certificate, key] = paths(directory, client);
    let conninfo = format!(
        "host=localhost port={PORT} user=USER dbname=DATABASE sslmode=verify-full sslrootcert={} sslcert={} sslkey={} \
         channel_binding=disable",
        value(directory.join("ca.pem")),
        value(certificate),
        value(key),
    );
    // A double quote ends at none of these in a POSIX shell.
    let escaped = conninfo.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names() {
        let names = |typed: &[&str]| names(&typed.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["b", " a.example", "b"]).unwrap(), ["a.example", "b"]);
        for wrong in ["", ".", "..", "a/b", "a b", "-a", "ca", "server", "ü"] {
            assert!(matches!(names(&[wrong]), Err(CommandError::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_path_is_one_value_in_one_word() {
        let line = psql(Path::new("/a b/it's $HOME"), "x");
        assert!(line.contains(r"sslcert='/a b/it\\'s \$HOME/x.pem'"), "{line}");
    }
}
