//! Applications that would bind their SCRAM login to TLS, which ends at the server.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::orders;
use crate::support::certificates::Authority;
use crate::support::raw::{Raw, login, message};

#[tokio::test]
async fn libpq_18_connects_without_binding_and_reads_a_hint_with_it() {
    let Some(python) = crate::drivers::python().await else { return };
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/channel_binding.py");
    let mut command = Command::new(python.join("bin/python"));
    command
        .arg(script)
        .env("CA", &Authority::trusted().path)
        .env("PGPORT", world.server().port().to_string())
        .env("PGPASSWORD", world.postgres.password("by_scram"))
        .env("HOME", &world.directory)
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(2), command.output()).await;
    let output = output.expect("the script hangs").unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = |case: &str| {
        let line = lines.lines().find_map(|line| line.strip_prefix(&format!("{case}: ")));
        line.unwrap_or_else(|| panic!("no line {case}: {lines}{}", String::from_utf8_lossy(&output.stderr)))
    };
    for case in ["request disable", "direct disable", "off disable", "off prefer"] {
        assert_eq!(outcome(case), "connected", "{case}");
    }
    for case in ["request prefer", "direct prefer", "request require", "direct require"] {
        let outcome = outcome(case);
        for text in [
            "the application binds its login to its TLS session, which ends at this proxy",
            "HINT: Channel binding cannot pass a proxy: connect with channel_binding=disable.",
        ] {
            assert!(outcome.contains(text), "{case}: {outcome}");
        }
    }
    // Without TLS libpq ends a login that requires binding itself, before it sends anything that the server could answer.
    assert!(outcome("off require").contains("channel binding required, but SSL not in use"), "{lines}");
    world.server().wait_for_log("if it requires binding, connect with channel_binding=disable").await;
    world.stop().await;
}

/// As behind a load balancer that ends the application's TLS: the server sees clear text, and the application is able to bind.
#[tokio::test]
async fn an_application_whose_tls_ends_before_the_server_reads_the_databases_error_with_a_hint() {
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&login("by_scram")).await;
    let offer = raw.message().await.expect("the offer");
    assert_eq!((offer.tag, &offer.body[4..]), (b'R', &b"SCRAM-SHA-256\0\0"[..]));
    let response = b"y,,n=,r=abcdefghijklmnop";
    let length = u32::try_from(response.len()).unwrap().to_be_bytes();
    raw.send(&message(b'p', &[&b"SCRAM-SHA-256\0"[..], &length, response].concat())).await;
    let texts = ["SCRAM channel binding negotiation error", "connect with channel_binding=disable"];
    raw.refused().await.expect("28000", &texts);
    world.stop().await;
}
