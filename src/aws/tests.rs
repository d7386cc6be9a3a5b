//! The whole edge in a process of its own, with a home directory and an environment of its own: the real credential
//! chain over real files.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use super::fake_aws::StandIn;
use super::*;
use crate::catalog::{Discover, Mint};
use crate::net::HostPort;

mod advice;
mod http_proxy;

const MARK: &str = "MINTED ";

/// What such a process takes over from this one: where its commands are, and without the other Windows opens no socket.
const INHERITED: [&str; 2] = ["PATH", "SystemRoot"];

/// The command that prints a file.
const PRINT: &str = if cfg!(windows) { "type" } else { "cat" };

/// A process that mints once for each line it reads.
struct Proxy {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Proxy {
    fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "aws::tests::in_a_home_of_its_own", "--ignored", "--nocapture"])
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
        let orders = child.stdin.take().unwrap();
        let reports = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, reports }
    }

    fn mint(&mut self) -> Value {
        self.order("mint")
    }

    fn order(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").unwrap();
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

    fn fault(&mut self) -> (String, String) {
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
#[ignore = "the other tests run it in a process of its own"]
async fn in_a_home_of_its_own() {
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .finish(),
    );
    let aws = Aws::load(&[]).await;
    let discovery = aws.discovery(&[]).unwrap();
    let address = HostPort::new("db-1.abc.us-east-1.rds.amazonaws.com", 5432);
    for line in std::io::stdin().lines() {
        if line.unwrap() == "list" {
            let listed = discovery
                .discover()
                .await
                .map(|found| found.databases.len())
                .map_err(|error| error.to_string());
            println!("\n{MARK}{}", json!({"listed": format!("{listed:?}"), "arn": aws.identity().await}));
            continue;
        }
        let report = match aws.minter().mint(&address, "us-east-1", "alice").await {
            Ok(minted) => {
                let token = String::from_utf8(minted.token.expose().to_vec()).unwrap();
                json!({"identity": minted.identity, "token": token})
            }
            Err(error) => json!({"reason": error.reason, "remedy": error.remedy}),
        };
        println!("\n{MARK}{report}");
    }
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
fn a_new_login_counts_from_the_next_connection_on() {
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

    let over = keys("AKIDTWO", "sess2", "x_security_token_expires = 2020-01-01T01:00:00+01:00");
    write(home.path(), ".aws/credentials", &over);
    let (reason, remedy) = proxy.fault();
    assert_eq!(reason, "the AWS credentials of the profile \"default\" expired at 2020-01-01T00:00:00Z");
    assert_eq!(remedy, "run `saml2aws login --profile default`");

    std::fs::remove_file(home.path().join(".aws/credentials")).unwrap();
    let (reason, remedy) = proxy.fault();
    assert!(reason.starts_with("no AWS credentials were found"), "{reason}");
    assert!(remedy.contains("aws configure sso"), "{remedy}");

    let renewed = keys("AKIDSIX", "sess3", "x_security_token_expires = 2120-01-01T01:00:00+01:00");
    write(home.path(), ".aws/credentials", &renewed);
    assert_eq!(proxy.identity(), "AKIDSIX");
}

#[test]
fn an_expired_sso_session_names_its_command() {
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
        let (reason, remedy) = Proxy::start(home.path(), &[("AWS_PROFILE", "dev")]).fault();
        assert_eq!(reason, "the AWS SSO session of the profile \"dev\" has expired or was never opened");
        assert_eq!(remedy, "run `aws sso login --profile dev`");
    }
}

#[test]
fn credentials_near_their_end_are_fetched_anew() {
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
    assert_eq!(proxy.identity(), "AKIDLONG", "good ones are kept: the process may ask for a second factor");
    write(home.path(), ".aws/config", &process(&home.path().join("missing.json")));
    let (reason, remedy) = proxy.fault();
    assert!(reason.contains("the profile \"default\" could not be loaded"), "{reason}");
    assert!(remedy.contains("credential_process"), "{remedy}");
}

#[test]
fn the_environment_comes_first() {
    let home = home(&[(".aws/credentials", &keys("AKIDFILE", "sess", ""))]);
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(Proxy::start(home.path(), &keys).identity(), "AKIDENV");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_the_most_verbose_level() {
    let home = home(&[(".aws/credentials", &keys("AKIDLOG", "sEsSiOnToKeN", ""))]);
    let stand_in = StandIn::start(|asked| {
        let action = asked.action();
        (
            200,
            format!("<{action}Response><{action}Result><Arn>arn:a</Arn></{action}Result></{action}Response>"),
        )
    })
    .await;
    let mut proxy = Proxy::start(home.path(), &[("AWS_ENDPOINT_URL", stand_in.url())]);
    assert_eq!(proxy.order("list"), json!({"listed": "Ok(0)", "arn": "arn:a"}));
    assert_eq!(stand_in.asked().len(), 3);
    let token = proxy.mint()["token"].as_str().unwrap().to_owned();
    let signature = token.rsplit_once('=').unwrap().1;
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("TRACE"), "the log is there to be searched");
    for secret in ["sEcReTAKIDLOG", "sEsSiOnToKeN", signature] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[tokio::test]
async fn the_identity_is_asked_once_and_named_from_then_on() {
    let arn = "arn:aws:sts::111122223333:assumed-role/dba/alice";
    let stand_in = StandIn::start(move |_| {
        let xml = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        (200, xml)
    })
    .await;
    let aws = stand_in.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    let minted = async || aws.minter().mint(&address, "us-east-1", "alice").await.unwrap().identity;
    assert_eq!(minted().await, "AKIDSTANDIN");
    assert_eq!(aws.identity().await.as_deref(), Some(arn));
    assert_eq!(aws.identity().await.as_deref(), Some(arn));
    assert_eq!(minted().await, arn);
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(stand_in.asked()[0].action(), "GetCallerIdentity");
}

#[tokio::test]
async fn an_identity_that_sts_does_not_tell_is_none() {
    let stand_in = StandIn::start(|_| (403, "<ErrorResponse/>".into())).await;
    assert_eq!(stand_in.aws(Some("us-east-1")).await.identity().await, None);
}

#[tokio::test]
async fn no_debug_output_shows_the_credentials() {
    let credentials = Credentials::new("AKIDDEBUG", "hunter2", Some("hunter2+session".into()), None, "test");
    let aws = fake_aws::aws_with("http://127.0.0.1:1", Some("us-east-1"), Some(credentials)).await;
    let credentials = aws.chain.current().await.unwrap();
    let login = token::Login {
        address: &HostPort { host: "no host".into(), port: 1 },
        region: "us-east-1",
        user: "alice",
        now: SystemTime::UNIX_EPOCH,
    };
    let refused = token::token(&credentials, login).err().expect("that is no host");
    // The library's own types as well, since ours hold them.
    let shown = format!("{:?} {:#?} {credentials:?} {:?} {refused:?}", aws.chain, aws.chain, aws.config);
    assert!(shown.contains("Chain") && shown.contains("AKIDDEBUG"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn the_identity_is_learned_by_the_first_connections_too() {
    let stand_in = StandIn::start(|_| {
        let result = "<GetCallerIdentityResult><Arn>arn:a</Arn></GetCallerIdentityResult>";
        (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
    })
    .await;
    let aws = stand_in.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    let minted = async || aws.minter().mint(&address, "us-east-1", "alice").await.unwrap().identity;
    assert_eq!(minted().await, "AKIDSTANDIN", "no connection waits for STS");
    let learned = async {
        while minted().await != "arn:a" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), learned).await.expect("it is never learned");
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn sts_that_refuses_is_not_asked_for_every_connection() {
    let stand_in = StandIn::start(|_| (403, "<ErrorResponse/>".into())).await;
    let aws = stand_in.aws(Some("us-east-1")).await;
    let address = HostPort::new("db.example.com", 5432);
    for _ in 0..20 {
        let identity = aws.minter().mint(&address, "us-east-1", "alice").await.unwrap().identity;
        assert_eq!(identity, "AKIDSTANDIN");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stand_in.asked().len(), 1);
}
