//! How processes run, with a shell script in place of the proxy.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::proxy::Launch;

/// Prints `text` on standard error, waits for SIGTERM and ends with `code`.
fn script(text: &str, code: i32) -> Launch {
    let script = format!(
        "trap 'exit {code}' TERM\necho \"env: $(env | sort | tr '\\n' ' ')\"\necho '{text}' >&2\nwhile :; do sleep 0.05; done"
    );
    Launch {
        name: "script".into(),
        binary: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script],
        environment: vec![("AWS_REGION".into(), "us-east-1".into())],
    }
}

#[tokio::test]
async fn the_address_is_read_from_json_and_text_logs() {
    for line in [
        r#"{"level":"INFO","message":"listening","address":"127.0.0.1:4711"}"#,
        r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:4711"}}"#,
        "2026-01-01T00:00:00Z  INFO listening address=127.0.0.1:4711 target=\"db-1\"",
    ] {
        let mut proxy = script(line, 0).start().await.unwrap();
        assert_eq!((proxy.address.as_str(), proxy.port()), ("127.0.0.1:4711", 4711));
        proxy.stop().await;
    }
}

#[tokio::test]
async fn the_environment_is_clean() {
    let mut proxy = script("listening address=127.0.0.1:1", 0).start().await.unwrap();
    proxy.stop().await;
    let environment = proxy.stdout.text();
    assert!(
        environment.contains("LOG_LEVEL=trace") && environment.contains("AWS_REGION=us-east-1"),
        "{environment}"
    );
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[tokio::test]
#[should_panic(expected = "the script ended with exit status: 3")]
async fn an_unclean_exit_fails_the_test() {
    script("listening address=127.0.0.1:1", 3).start().await.unwrap().stop().await;
}

#[tokio::test]
async fn a_process_that_exits_before_it_listens_returns_its_output() {
    let launch =
        Launch { arguments: vec!["-c".into(), "echo no such target >&2; exit 2".into()], ..script("", 0) };
    let ended = launch.clone().start().await.err().unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), "no such target\n"));
    let finished = launch.run().await;
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(2), "no such target\n"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dropping_a_proxy_kills_its_process() {
    let proxy = script("listening address=127.0.0.1:1", 0).start().await.unwrap();
    let directory = PathBuf::from(format!("/proc/{}", proxy.id()));
    assert!(directory.exists());
    drop(proxy);
    for _ in 0..1500 {
        if !directory.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the process still runs");
}
