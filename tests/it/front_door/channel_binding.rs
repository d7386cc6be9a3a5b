//! Applications that would bind their SCRAM login to TLS, which ends at the server.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::orders;
use crate::support::certificates::Authority;

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
