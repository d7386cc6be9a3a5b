//! Files that the process may not read. The image of the Go program runs as root, so a Secret with mode 0600 works there;
//! this program runs as uid 65532.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::certificates::{Authority, Validity};
use crate::support::ports::free_port;
use crate::support::proxy::Launch;
use crate::support::scratch::{self, random_text};

/// The user of the image.
const USER: u32 = 65532;

/// Makes a file unreadable for [`unprivileged`] launches.
fn forbid(file: &Path) {
    let mode = if rustix::process::geteuid().is_root() { 0o600 } else { 0 };
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

/// The launch as the user of the image, or without root as this one.
fn unprivileged(launch: Launch) -> Launch {
    if !rustix::process::geteuid().is_root() {
        return launch;
    }
    let user = USER.to_string();
    let mut arguments: Vec<_> =
        ["--reuid", &user, "--regid", &user, "--clear-groups"].map(String::from).into();
    arguments.push(launch.binary.display().to_string());
    arguments.extend(launch.arguments);
    Launch { binary: "setpriv".into(), arguments, ..launch }
}

/// The sentence about such a file.
fn sentence(file: &Path) -> String {
    let found = fs::metadata(file).unwrap();
    let user = if rustix::process::geteuid().is_root() { USER } else { found.uid() };
    format!(
        "{} cannot be read: Permission denied (os error 13): it belongs to uid {} and gid {} with mode {:04o}, and this \
         process has uid {user} and gid ",
        file.display(),
        found.uid(),
        found.gid(),
        found.mode() & 0o7777
    )
}

#[tokio::test]
async fn a_key_of_another_user_is_an_error_that_names_both_users() {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    let directory = scratch::new_directory("unreadable");
    let [pem, key, config] = ["server.pem", "server.key", "config.yaml"].map(|name| directory.join(name));
    fs::copy(&certificate.path, &pem).unwrap();
    fs::copy(&certificate.key_path, &key).unwrap();
    fs::set_permissions(&pem, Permissions::from_mode(0o644)).unwrap();
    forbid(&key);
    let (pem, shown) = (pem.display(), key.display());
    let ssl = format!("{{enabled: true, certificate: {pem}, private_key: {shown}}}");
    fs::write(
        &config,
        format!("proxy: {{listen_addr: '127.0.0.1:0', ssl: {ssl}}}\nrds: {{enabled: false}}\n"),
    )
    .unwrap();
    let ended = unprivileged(Launch::mode("server", "server", &config)).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("the private key {}", sentence(&key))), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("securityContext.fsGroup, runAsUser or the volume's defaultMode"),
        "{}",
        ended.stderr
    );

    // The configuration file itself.
    forbid(&config);
    let ended = unprivileged(Launch::mode("server", "server", &config)).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("the configuration file {}", sentence(&config))),
        "{}",
        ended.stderr
    );
}

/// The SDK skips the file, and would use the role of the machine instead.
#[tokio::test]
async fn aws_credentials_of_another_user_are_reported_at_the_start() {
    let directory = scratch::new_directory("unreadable");
    let [credentials, config] = ["credentials", "config.yaml"].map(|name| directory.join(name));
    let secret = random_text(40);
    let keys = format!("[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {secret}\n");
    fs::write(&credentials, keys).unwrap();
    forbid(&credentials);
    fs::write(&config, "proxy: {listen_addr: '127.0.0.1:0'}\nrds: {regions: [us-east-1]}\n").unwrap();
    let launch = Launch::mode("server", "server", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string())
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", free_port()));
    let mut server = unprivileged(launch).start().await.unwrap();
    server.wait_for_log("AWS credentials in a file are not used").await;
    let sentence = format!("the AWS file {}", sentence(&credentials));
    assert!(server.log().contains(&sentence), "{}", server.log());
    server.wait_for_log("discovery failed").await;
    assert!(server.log().matches(&sentence).count() >= 2, "{}", server.log());
    server.stop().await;
}
