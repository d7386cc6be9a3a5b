//! The SDKs that take credentials from `credentials`: each one calls STS of the fake AWS endpoint, which verifies its signature and
//! names the role.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{Containers, JOB_TOKEN, WEB_TOKEN, until};
use crate::drivers::{install, skip};
use crate::support::builder::World;
use crate::support::instance::REGION;
use crate::support::proxy::{Launch, Proxy};
use crate::support::raw::Raw;
use crate::support::rds_api::ACCOUNT;
use crate::support::{runtime, scratch};

/// The package of the AWS CLI brings its botocore.
const PYTHON: &[&str] = &["awscli==1.46.2", "botocore==1.44.5"];
const NODE: &[&str] = &["@aws-sdk/client-sts@3.1169.0"];

/// Debian's package of the SDK for Go is a GOPATH.
const GO_SDK: &str = "/usr/share/gocode/src/github.com/aws/aws-sdk-go-v2/service/sts";

/// How long an SDK may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// The identity of a service in the answer of STS.
pub(super) fn session(role: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/credproxy")
}

/// A command of a container with this token, and no other credentials.
fn container(program: &Path, containers: &Containers, proxy: &Proxy, token: (&str, &str)) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", scratch::new_directory("container"))
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", &containers.aws.url)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri(proxy))
        .env(token.0, token.1)
        .kill_on_drop(true);
    command
}

fn uri(proxy: &Proxy) -> String {
    format!("http://{}/v1/credentials", proxy.address)
}

const BY_VARIABLE: (&str, &str) = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", WEB_TOKEN);

async fn expect_identity(mut command: Command, role: &str) {
    let output = runtime::within(async move { tokio::time::timeout(PATIENCE, command.output()).await });
    let output = output.await.expect("the program hangs").unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), session(role), "{stderr}");
}

/// The token comes from a file, and changes in file and configuration while the program runs.
async fn expect_rotation(containers: &Containers, proxy: &Proxy, program: &Path, script: &str) {
    let (file, text) = (containers.directory.join("token"), fs::read_to_string(containers.path()).unwrap());
    fs::write(&file, WEB_TOKEN).unwrap();
    let by_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    let mut command = container(program, containers, proxy, by_file);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        async || tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it hangs").unwrap();
    assert_eq!(next().await, Some(session("web")));
    let rotated = "NvR7wQ2mXk9TzLs4HdYc6JpBf8GaUe3i";
    fs::write(containers.path(), text.replace(WEB_TOKEN, rotated)).unwrap();
    until(&proxy.address, rotated, 200).await;
    fs::write(&file, rotated).unwrap();
    input.write_all(b"again\n").await.unwrap();
    assert_eq!(next().await, Some(session("web")), "the file is read again");
    fs::write(containers.path(), text).unwrap();
    until(&proxy.address, WEB_TOKEN, 200).await;
}

#[tokio::test]
async fn botocore_and_aws_cli_1_get_their_role() {
    let Some(installed) = python().await else { return };
    let (containers, python) = (Containers::new().await, installed.join("bin/python"));
    let proxy = containers.start().await;
    let script = script("botocore_identity.py");
    let mut botocore = container(&python, &containers, &proxy, BY_VARIABLE);
    botocore.arg(&script).stdin(Stdio::null());
    expect_identity(botocore, "web").await;
    expect_rotation(&containers, &proxy, &python, script.to_str().unwrap()).await;
    let mut cli = container(&installed.join("bin/aws"), &containers, &proxy, BY_VARIABLE);
    cli.args(["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]);
    expect_identity(cli, "web").await;
    // The other container gets the other role.
    let job = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", JOB_TOKEN);
    let mut other = container(&python, &containers, &proxy, job);
    other.arg(&script).stdin(Stdio::null());
    expect_identity(other, "job").await;
    containers.stop(proxy).await;
}

#[tokio::test]
async fn the_sdk_for_javascript_3_gets_its_role() {
    let Some(installed) = node().await else { return };
    let containers = Containers::new().await;
    let proxy = containers.start().await;
    // Node.js finds packages beside the script.
    let copy = installed.join("sdk_v3_identity.mjs");
    fs::copy(script("sdk_v3_identity.mjs"), &copy).unwrap();
    let node = Path::new("node");
    let mut sdk = container(node, &containers, &proxy, BY_VARIABLE);
    sdk.arg(&copy).stdin(Stdio::null());
    expect_identity(sdk, "web").await;
    expect_rotation(&containers, &proxy, node, copy.to_str().unwrap()).await;
    containers.stop(proxy).await;
}

#[tokio::test]
async fn the_sdk_for_go_gets_its_role() {
    if !Path::new(GO_SDK).exists() {
        skip("the SDK for Go is missing: apt-get install golang-go golang-github-aws-aws-sdk-go-v2-dev");
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumers");
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("sdk_go_identity");
    let mut build = Command::new("go");
    build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", directory.join("go"));
    build.arg("build").arg("-o").arg(&program).arg(script("sdk_go_identity.go"));
    assert!(build.status().await.unwrap().success());
    let containers = Containers::new().await;
    let proxy = containers.start().await;
    expect_identity(container(&program, &containers, &proxy, BY_VARIABLE), "web").await;
    containers.stop(proxy).await;
}

/// The SDK for Rust, in a client that logs in to a database with the identity of a container.
#[tokio::test]
async fn a_client_takes_its_identity_from_there() {
    let world = World::new().without_client().start().await;
    let containers = Containers::with(world.aws.clone(), world.key.clone());
    let proxy = containers.start().await;
    let file = containers.directory.join("token");
    fs::write(&file, WEB_TOKEN).unwrap();
    for token in [BY_VARIABLE, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap())] {
        let mut launch = world.client_launch(&[]);
        launch.environment.retain(|(name, _)| !name.contains("ACCESS_KEY"));
        let launch: Launch =
            launch.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri(&proxy)).env(token.0, token.1);
        let mut client = world.start_proxy(launch).await;
        assert_eq!(
            Raw::session(client.port(), "alice").await.query("select current_user").await.unwrap(),
            "alice"
        );
        let key = containers.aws.assumed(&super::role("web")).pop().unwrap();
        // The database proved it.
        world.server().wait_for_log(&format!("\"identity\":\"{}\"", key.id)).await;
        client.stop().await;
    }
    containers.stop(proxy).await;
    world.stop().await;
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers").join(name)
}

pub(super) async fn python() -> Option<&'static Path> {
    static DIRECTORY: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let script = "python3 -m venv . && bin/pip install --quiet --disable-pip-version-check \"$@\"";
    DIRECTORY.get_or_init(|| install("aws-cli", PYTHON, script)).await.as_deref()
}

async fn node() -> Option<&'static Path> {
    static DIRECTORY: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let script =
        "echo '{}' >package.json && npm install --no-audit --no-fund --silent --ignore-scripts \"$@\"";
    DIRECTORY.get_or_init(|| install("aws-sdk-js", NODE, script)).await.as_deref()
}
