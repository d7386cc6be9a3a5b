//! The whole module in a separate process with its own home directory and environment: the real credential chain reads
//! real files.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use super::fake_aws::FakeAws;
use super::*;
use crate::catalog::{Discover, Iam, IamService};
use crate::net::HostPort;

mod advice;
mod aws_cli;
mod http_proxy;
#[cfg(unix)]
mod read_only;
mod tls;

const MARK: &str = "MINTED ";

/// Variables that the process inherits: `PATH` for commands, and `SystemRoot`, without which Windows opens no socket.
const INHERITED: [&str; 2] = ["PATH", "SystemRoot"];

/// The command that prints a file.
const PRINT: &str = if cfg!(windows) { "type" } else { "cat" };

/// A process that mints once for each line that it reads.
struct Proxy {
    child: Child,
    commands: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Proxy {
    fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), home, variables)
    }

    /// The command gets further arguments.
    fn start_by(mut command: Command, home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["--exact", "aws::tests::proxy_process", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", home)
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_REGION", "us-east-1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(home.join("log")).unwrap())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let reports = BufReader::new(child.stdout.take().unwrap());
        Self { child, commands, reports }
    }

    fn mint(&mut self) -> Value {
        self.send("mint")
    }

    fn send(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.reports.read_line(&mut line).unwrap(), 0, "the process ended");
            if let Some(report) = line.strip_prefix(MARK) {
                return serde_json::from_str(report).unwrap();
            }
        }
    }

    fn identity(&mut self) -> String {
        let report = self.mint();
        report["identity"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned()
    }

    fn error(&mut self) -> (String, String) {
        let report = self.mint();
        let text = |key: &str| report[key].as_str().unwrap_or_else(|| panic!("{report}")).to_owned();
        (text("reason"), text("remedy"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "the other tests run it in a separate process"]
async fn proxy_process() {
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .finish(),
    );
    let aws = Aws::load(&[], None, &Shared::default()).await;
    let discovery = aws.discovery(&[], None);
    let address = HostPort::new("db-1.abc.us-east-1.rds.amazonaws.com", 5432);
    for line in std::io::stdin().lines() {
        if line.unwrap() == "list" {
            let listed = match &discovery {
                Ok(discovery) => discovery.discover().await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let listed = listed.map(|found| found.databases.len());
            println!("\n{MARK}{}", json!({"listed": format!("{listed:?}"), "arn": aws.identity().await}));
            continue;
        }
        let report = match aws.minter().mint(&address, &iam(), "alice").await {
            Ok(minted) => {
                let token = String::from_utf8(minted.token.expose().to_vec()).unwrap();
                json!({"identity": minted.signer.name(), "token": token})
            }
            Err(error) => json!({"reason": error.reason, "remedy": error.remedy}),
        };
        println!("\n{MARK}{report}");
    }
}

fn iam() -> Iam {
    Iam { region: "us-east-1".into(), service: IamService::Rds, account: None }
}

fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(home.path(), path, text);
    }
    home
}

fn write(home: &Path, path: &str, text: &str) {
    let path = home.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn keys(id: &str, session: &str, more: &str) -> String {
    format!(
        "[default]\naws_access_key_id = {id}\naws_secret_access_key = sEcReT{id}\naws_session_token = {session}\n{more}\n"
    )
}

#[test]
fn a_new_login_takes_effect_with_the_next_connection() {
    let home = home(&[(".aws/credentials", &keys("AKIDONE", "sess1", ""))]);
    let mut proxy = Proxy::start(home.path(), &[]);
    assert_eq!(proxy.identity(), "AKIDONE");
    let token = proxy.mint()["token"].as_str().unwrap().to_owned();
    assert!(
        token.contains("X-Amz-Credential=AKIDONE%2F") && token.contains("Security-Token=sess1&"),
        "{token}"
    );

    write(home.path(), ".aws/credentials", &keys("AKIDTWO", "sess2", ""));
    assert_eq!(proxy.identity(), "AKIDTWO");

    let expired = keys("AKIDTWO", "sess2", "x_security_token_expires = 2020-01-01T01:00:00+01:00");
    write(home.path(), ".aws/credentials", &expired);
    let (reason, remedy) = proxy.error();
    assert_eq!(reason, "the AWS credentials of the profile \"default\" expired at 2020-01-01T00:00:00Z");
    assert_eq!(remedy, "run `saml2aws login --profile default`");

    std::fs::remove_file(home.path().join(".aws/credentials")).unwrap();
    let (reason, remedy) = proxy.error();
    assert!(reason.starts_with("no AWS credentials were found"), "{reason}");
    assert!(remedy.contains("aws configure sso"), "{remedy}");

    let renewed = keys("AKIDSIX", "sess3", "x_security_token_expires = 2120-01-01T01:00:00+01:00");
    write(home.path(), ".aws/credentials", &renewed);
    assert_eq!(proxy.identity(), "AKIDSIX");
}

#[test]
fn the_error_for_an_expired_sso_session_names_the_login_command() {
    let session = "[profile dev]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dba\nregion = us-east-1\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n";
    let legacy = "[profile dev]\nsso_start_url = https://example.com/start\nsso_region = us-east-1\n\
         sso_account_id = 111122223333\nsso_role_name = dba\n";
    // SHA-1 of `corp`, as the AWS command line names the file.
    let cached = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    let expired = r#"{"accessToken": "aCcEsS", "expiresAt": "2020-01-01T00:00:00Z"}"#;
    for files in [
        &[(".aws/config", session), (cached, expired)][..],
        &[(".aws/config", session)],
        &[(".aws/config", legacy)],
    ] {
        let home = home(files);
        let (reason, remedy) = Proxy::start(home.path(), &[("AWS_PROFILE", "dev")]).error();
        assert_eq!(reason, "the AWS SSO session of the profile \"dev\" has expired or was never opened");
        assert_eq!(remedy, "run `aws sso login --profile dev`");
    }
}

#[test]
fn credentials_about_to_expire_are_loaded_again() {
    let keys = |id: &str, seconds: u64| {
        let end = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds));
        format!(
            r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "{end}"}}"#
        )
    };
    let home = home(&[("keys.json", &keys("AKIDSOON", 30))]);
    let process = |path: &Path| format!("[default]\ncredential_process = {PRINT} {}\n", path.display());
    write(home.path(), ".aws/config", &process(&home.path().join("keys.json")));
    let mut proxy = Proxy::start(home.path(), &[]);
    assert_eq!(proxy.identity(), "AKIDSOON");
    write(home.path(), "keys.json", &keys("AKIDLONG", 3600));
    assert_eq!(proxy.identity(), "AKIDLONG");
    write(home.path(), "keys.json", &keys("AKIDNEXT", 3600));
    assert_eq!(
        proxy.identity(),
        "AKIDLONG",
        "valid ones are kept: the process may prompt for a second factor"
    );
    write(home.path(), ".aws/config", &process(&home.path().join("missing.json")));
    let (reason, remedy) = proxy.error();
    assert!(reason.contains("the profile \"default\" could not be loaded"), "{reason}");
    assert!(remedy.contains("credential_process"), "{remedy}");
}

#[test]
fn keys_in_the_environment_override_files() {
    let home = home(&[(".aws/credentials", &keys("AKIDFILE", "sess", ""))]);
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(Proxy::start(home.path(), &keys).identity(), "AKIDENV");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_at_trace_level() {
    let home = home(&[(".aws/credentials", &keys("AKIDLOG", "sEsSiOnToKeN", ""))]);
    let fake_aws = FakeAws::start(|call| {
        let action = call.action();
        (
            200,
            format!("<{action}Response><{action}Result><Arn>arn:a</Arn></{action}Result></{action}Response>"),
        )
    })
    .await;
    let mut proxy = Proxy::start(home.path(), &[("AWS_ENDPOINT_URL", fake_aws.url())]);
    assert_eq!(proxy.send("list"), json!({"listed": "Ok(0)", "arn": "arn:a"}));
    assert_eq!(fake_aws.calls().len(), 4);
    let token = proxy.mint()["token"].as_str().unwrap().to_owned();
    let signature = token.rsplit_once('=').unwrap().1;
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("TRACE"), "the log is at trace level");
    for secret in ["sEcReTAKIDLOG", "sEsSiOnToKeN", signature] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[tokio::test]
async fn sts_is_queried_once_and_its_arn_is_used_from_then_on() {
    let arn = "arn:aws:sts::111122223333:assumed-role/dba/alice";
    let fake_aws = FakeAws::start(move |_| {
        let xml = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        (200, xml)
    })
    .await;
    let aws = fake_aws.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    let minted =
        async || aws.minter().mint(&address, &iam(), "alice").await.unwrap().signer.name().to_owned();
    assert_eq!(minted().await, "AKIDFAKE");
    assert_eq!(aws.identity().await.as_deref(), Some(arn));
    assert_eq!(aws.identity().await.as_deref(), Some(arn));
    assert_eq!(minted().await, arn);
    assert_eq!(fake_aws.calls().len(), 1);
    assert_eq!(fake_aws.calls()[0].action(), "GetCallerIdentity");
}

#[tokio::test]
async fn the_identity_is_absent_if_sts_refuses() {
    let fake_aws = FakeAws::start(|_| (403, "<ErrorResponse/>".into())).await;
    assert_eq!(fake_aws.aws(Some("us-east-1")).await.identity().await, None);
}

#[tokio::test]
async fn no_debug_output_shows_the_credentials() {
    let credentials = Credentials::new("AKIDDEBUG", "hunter2", Some("hunter2+session".into()), None, "test");
    let aws = fake_aws::aws_with("http://127.0.0.1:1", Some("us-east-1"), Some(credentials)).await;
    let credentials = aws.chain.current().await.unwrap();
    let request = token::TokenRequest {
        address: &HostPort { host: "no host".into(), port: 1 },
        iam: &iam(),
        user: "alice",
        now: SystemTime::UNIX_EPOCH,
    };
    let refused = token::sign_token(&credentials, request).err().expect("the host is invalid");
    // The SDK's types too, because ours contain them.
    let shown = format!("{:?} {:#?} {credentials:?} {:?} {refused:?}", aws.chain, aws.chain, aws.config);
    assert!(shown.contains("Chain") && shown.contains("AKIDDEBUG"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn the_first_connections_look_up_the_identity_in_the_background() {
    let fake_aws = FakeAws::start(|_| {
        let result = "<GetCallerIdentityResult><Arn>arn:a</Arn></GetCallerIdentityResult>";
        (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
    })
    .await;
    let aws = fake_aws.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    let minted =
        async || aws.minter().mint(&address, &iam(), "alice").await.unwrap().signer.name().to_owned();
    assert_eq!(minted().await, "AKIDFAKE", "no connection waits for STS");
    let looked_up = async {
        while minted().await != "arn:a" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looked_up).await.expect("the identity is never looked up");
    assert_eq!(fake_aws.calls().len(), 1);
}

#[tokio::test]
async fn after_a_refusal_sts_is_not_queried_for_every_connection() {
    let fake_aws = FakeAws::start(|_| (403, "<ErrorResponse/>".into())).await;
    let aws = fake_aws.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    for _ in 0..20 {
        let identity = aws.minter().mint(&address, &iam(), "alice").await.unwrap().signer.name().to_owned();
        assert_eq!(identity, "AKIDFAKE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fake_aws.calls().len(), 1);
}
