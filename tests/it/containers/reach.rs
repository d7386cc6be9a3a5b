//! The addresses of `credentials`: that of the container agent of ECS, the Unix socket for other users, and the health check.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{TcpStream, UnixListener};
use tokio::process::Command;

use super::consumers::{self, session};
use super::{Containers, WEB_TOKEN, services};
use crate::drivers::skip;
use crate::support::instance::REGION;
use crate::support::ports::free_port;
use crate::support::proxy::{Finished, Launch};
use crate::support::runtime;
use crate::support::scratch;

/// Users without a name, as in a container.
const CONTAINER: &str = "1338";
const OTHER: u32 = 65534;

/// The script of the container, in a separate network namespace. `$1` is the binary, `$2` the relay to AWS, `$3` the command of the application.
const CONTAINER_SCRIPT: &str = r#"
ip link set lo up
ip address add 169.254.170.2/32 dev lo
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
python3 "$2" 4566 "$AWS_SOCKET" &
relay=$!
setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --bounding-set=-all --no-new-privs "$1" credentials 2>"$LOG" &
program=$!
trap 'kill $relay $program' EXIT
for _ in $(seq 100); do
    ! "$1" credentials healthcheck 2>/dev/null || break
    sleep 0.1
done
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials $3 </dev/null
"#;

/// The address is that of one network namespace, and the program has neither root nor capabilities.
#[tokio::test]
async fn relative_uri_leads_to_the_address_of_the_agent() {
    let can = "ip link set lo up && ip address add 169.254.170.2/32 dev lo";
    let tried = Command::new("unshare").args(["--net", "sh", "-c", can]).output().await;
    if !tried.is_ok_and(|output| output.status.success()) {
        skip("no network namespace with 169.254.170.2: that needs root, unshare and ip");
        return;
    }
    let Some(installed) = consumers::python().await else { return };
    let containers = Containers::new().await;
    containers.configure(&services());
    // The user of the container reads its configuration and runs its program.
    fs::set_permissions(&containers.directory, Permissions::from_mode(0o755)).unwrap();
    let binary = containers.directory.join("rds-auth-proxy");
    fs::copy(env!("CARGO_BIN_EXE_rds-auth-proxy"), &binary).unwrap();
    let (socket, log) = (containers.directory.join("aws.sock"), containers.directory.join("log"));
    relay_to_aws(&socket, &containers.aws.url).await;
    let application = format!(
        "{} {}",
        installed.join("bin/python").display(),
        consumers::script("botocore_identity.py").display()
    );
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-ec", CONTAINER_SCRIPT, "container"]);
    command.arg(&binary).arg(consumers::script("relay.py")).arg(application);
    let key = &containers.key;
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", scratch::new_directory("container"))
        .env("USER_ID", CONTAINER)
        .env("AWS_SOCKET", &socket)
        .env("LOG", &log)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
        .env("AWS_ACCESS_KEY_ID", &key.id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret)
        .env("CREDPROXY_CONFIG_FILE", containers.path())
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", WEB_TOKEN)
        .kill_on_drop(true);
    let output = runtime::within(async move { command.output().await.unwrap() }).await;
    let log = fs::read_to_string(log).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), session("web"), "{stderr}\n{log}");
    assert!(log.contains("serving credentials where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI leads"), "{log}");
}

/// Passes connections to this socket on to the fake AWS endpoint: a Unix socket crosses network namespaces.
async fn relay_to_aws(socket: &Path, url: &str) {
    let (socket, address) = (socket.to_owned(), url.trim_start_matches("http://").to_owned());
    let listener = runtime::within(async move { UnixListener::bind(socket).unwrap() }).await;
    runtime::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let mut there = TcpStream::connect(&address).await.unwrap();
            runtime::spawn(async move { tokio::io::copy_bidirectional(&mut here, &mut there).await });
        }
    });
}

/// A list of one text.
fn list(item: &str) -> serde_yaml::Value {
    serde_yaml::Value::Sequence(vec![item.into()])
}

/// The compose file of the guide restricts the program, and shows both ways in which SDKs ask.
#[test]
fn the_compose_file_restricts_the_program_and_shows_both_ways() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/compose-credentials.yaml");
    let text = fs::read_to_string(path).unwrap();
    let mut file: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    file.apply_merge().unwrap();
    let credentials = &file["services"]["credentials"];
    assert_eq!(credentials["user"], "${CREDENTIALS_UID:-1338}:${CREDENTIALS_UID:-1338}");
    assert_eq!(credentials["read_only"], true);
    assert_eq!(credentials["cap_drop"], list("ALL"));
    assert_eq!(credentials["security_opt"], list("no-new-privileges:true"));
    assert_eq!(credentials["networks"]["agent"]["ipv4_address"], "169.254.170.2");
    assert!(credentials["ports"].is_null(), "no port is published");
    assert!(credentials["privileged"].is_null() && credentials["cap_add"].is_null());
    for (service, variable, value) in [
        ("orders", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1338/v1/credentials"),
        ("reports", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v1/credentials"),
    ] {
        let container = &file["services"][service];
        assert_eq!(container["network_mode"], "service:credentials");
        assert_eq!(container["environment"][variable], value);
        let token = container["environment"]["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"].as_str().unwrap();
        let secret = container["secrets"][0].as_str().unwrap();
        assert_eq!(token, format!("/run/secrets/{secret}"));
        assert!(file["secrets"][secret]["file"].is_string());
    }
}

/// Its permissions keep other users out at first; an owner may change them.
#[tokio::test]
async fn a_unix_socket_of_mode_0777_refuses_another_user() {
    const REQUEST: &str = "\
import socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
stream.sendall(b'GET /v1/credentials HTTP/1.0\\r\\nAuthorization: ' + sys.argv[2].encode() + b'\\r\\n\\r\\n')
print(stream.makefile().read())
";
    if !rustix::process::geteuid().is_root() {
        skip("only root can become another user");
        return;
    }
    let containers = Containers::new().await;
    let socket = containers.configure_socket();
    let proxy = containers.start().await;
    proxy.wait_for_log("serving credentials on a Unix socket").await;
    fs::set_permissions(&socket, Permissions::from_mode(0o777)).unwrap();
    for (user, expected) in [(OTHER, "403 Forbidden"), (0, "200 OK")] {
        let mut python = Command::new("python3");
        python.uid(user).args(["-c", REQUEST, socket.to_str().unwrap(), WEB_TOKEN]);
        let output = runtime::within(async move { python.output().await.unwrap() }).await;
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains(expected), "{answer}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(answer.contains("SecretAccessKey"), user == 0, "{answer}");
    }
    proxy.wait_for_log("refused another user on the socket for credentials").await;
    assert!(proxy.log().contains("\"uid\":65534"), "{}", proxy.log());
    containers.stop(proxy).await;
}

#[tokio::test]
async fn the_health_check_needs_no_shell_and_follows_the_configured_port() {
    let containers = Containers::new().await;
    let check = |command: &[&str]| {
        let launch = Launch::new("healthcheck", command);
        launch.env("CREDPROXY_CONFIG_FILE", containers.path().to_str().unwrap()).run()
    };
    let explicit = ["credentials", "healthcheck"];
    let Finished { code, stderr, .. } = check(&explicit).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("credentials are not served at localhost:"), "{stderr}");
    let proxy = containers.start().await;
    for command in [&explicit[..], &["healthcheck"]] {
        let Finished { code, stdout, stderr } = check(command).await;
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""), "{command:?}");
    }
    // An error in another section does not count: the program still serves what it read before.
    let text = fs::read_to_string(containers.path()).unwrap();
    fs::write(containers.path(), text.replace("RoleArn", "RoleArm")).unwrap();
    assert_eq!(check(&explicit).await.code, Some(0));
    // Another port, as CredProxy's variable sets it.
    let elsewhere = Launch::new("healthcheck", &explicit).env("CREDPROXY_PORT", free_port().to_string());
    let elsewhere = elsewhere.env("CREDPROXY_CONFIG_FILE", containers.path().to_str().unwrap()).run().await;
    assert_eq!(elsewhere.code, Some(1));
    // The configuration of a proxy comes first.
    let server = containers.directory.join("server.yaml");
    fs::write(&server, format!("proxy: {{listen_addr: '127.0.0.1:{}'}}", free_port())).unwrap();
    let named = check(&["healthcheck", "--configfile", server.to_str().unwrap()]).await;
    assert_eq!(named.code, Some(1), "{}", named.stderr);
    containers.stop(proxy).await;
}
