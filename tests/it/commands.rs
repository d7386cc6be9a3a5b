//! The command line of the client: prompts, output and usage errors.

use std::time::Duration;

use crate::support::builder::World;
use crate::support::proxy::{Finished, Launch};
use crate::support::raw::Raw;
#[cfg(target_os = "linux")]
use crate::support::terminal::Terminal;
use crate::support::world::Running;

async fn world_of_two_databases() -> Running {
    World::new()
        .with_instance("orders-db")
        .with_instance("people-db")
        .without_server()
        .without_client()
        .start()
        .await
}

fn expect_usage_error(ended: &Finished, parts: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "`{part}` is not in {}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
}

/// The client without the world's `--target`.
fn without_target(world: &Running, flags: &[&str]) -> Launch {
    let mut launch = world.client_launch(&["--target", "-"]);
    launch.arguments.retain(|argument| argument != "--target" && argument != "-");
    launch.with(flags)
}

#[tokio::test]
async fn a_wrong_name_lists_the_names_and_suggests_a_similar_one() {
    let world = world_of_two_databases().await;
    let addresses = [world.database("orders-db").endpoint(), world.database("people-db").endpoint()];
    expect_usage_error(
        &without_target(&world, &[]).run().await,
        &[
            "--target",
            "there is no terminal for a prompt",
            "orders-db",
            "people-db",
            &addresses[0],
            &addresses[1],
        ],
    );
    expect_usage_error(
        &without_target(&world, &["--target", "order-db"]).run().await,
        &["no target is called \"order-db\"; did you mean \"orders-db\"?", "people-db"],
    );
    expect_usage_error(
        &world.client_launch(&["--proxy-target", "defualt"]).run().await,
        &["no upstream proxy is called \"defualt\"; did you mean \"default\"?"],
    );
}

/// `--proxy-target` is optional if there is one upstream proxy, or one called `default`.
#[tokio::test]
async fn the_only_upstream_proxy_needs_no_name() {
    let world = world_of_two_databases().await;
    let path = world.directory.join("upstreams.yaml");
    let launch = |names: &[&str]| {
        let proxies: Vec<_> = names.iter().map(|name| format!("{name}: {{host: '127.0.0.1:1'}}")).collect();
        let text = format!(
            "proxy: {{listen_addr: '127.0.0.1:0'}}\nrds: {{enabled: false}}\ntargets: {{t: {{host: 'h:1'}}}}\n\
             upstream_proxies: {{{}}}\n",
            proxies.join(", ")
        );
        std::fs::write(&path, text).unwrap();
        Launch::mode("client", "client", &path).with(&["--target", "t"])
    };
    for (names, expected) in [(&["prod"][..], "prod"), (&["prod", "default"], "default")] {
        let client = launch(names).start().await.unwrap();
        let text = format!("upstream proxy {expected}");
        let printed =
            client.stdout.wait_for(Duration::from_secs(30), |out| out.contains(&text).then_some(())).await;
        assert!(printed.is_some(), "{}", client.stdout.text());
    }
    expect_usage_error(
        &launch(&["prod", "test"]).run().await,
        &[
            "no upstream proxy was named, and there is no terminal for a prompt; use --proxy-target",
            "prod",
            "test",
        ],
    );
}

/// Go program: a section's files are read for a connection that uses it (`overrideSSLConfig` in `cmd/proxy_client.go`).
#[tokio::test]
async fn only_the_files_of_used_sections_are_needed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shared.yaml");
    let write = |target_ssl: &str| {
        let text = format!(
            "proxy: {{listen_addr: '127.0.0.1:0'}}\nrds: {{enabled: false, root_certificate: /nowhere/rds.pem}}\n\
             upstream_proxies:\n  default: {{host: '127.0.0.1:1'}}\n  \
             other: {{host: '127.0.0.1:1', ssl: {{mode: verify-full, root_certificate: /nowhere/other.pem}}}}\n\
             targets:\n  t: {{host: 'h:1'{target_ssl}}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    let launch = |mode: &str, flags: &[&str]| Launch::mode(mode, mode, &path).with(flags);
    write(", ssl: {mode: verify-full, root_certificate: /nowhere/t.pem}");
    let client = launch("client", &["--target", "t"]).start().await.unwrap();
    assert!(client.port() > 0);
    let other = launch("client", &["--target", "t", "--proxy-target", "other"]).run().await;
    expect_usage_error(
        &other,
        &["shared.yaml:5:", "upstream_proxies.other.ssl.root_certificate", "/nowhere/other.pem"],
    );
    let direct = launch("client", &["--target", "t", "--direct"]).run().await;
    expect_usage_error(&direct, &["shared.yaml:2:", "rds.root_certificate", "/nowhere/rds.pem"]);
    let server = launch("server", &[]).run().await;
    expect_usage_error(&server, &["shared.yaml:2:", "rds.root_certificate", "/nowhere/rds.pem"]);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(", root_certificate: /nowhere/rds.pem", "")).unwrap();
    let server = launch("server", &[]).run().await;
    expect_usage_error(&server, &["shared.yaml:7:", "targets.t.ssl.root_certificate", "/nowhere/t.pem"]);
    write("");
    let text = std::fs::read_to_string(&path).unwrap().replace(", root_certificate: /nowhere/rds.pem", "");
    std::fs::write(&path, text).unwrap();
    let server = launch("server", &[]).start().await.unwrap();
    assert!(server.port() > 0);
}

#[tokio::test]
async fn a_configuration_error_names_file_and_line() {
    let world = world_of_two_databases().await;
    let path = world.directory.join("broken.yaml");
    for (text, line, parts) in [
        ("proxy:\n  listen_adr: 127.0.0.1:0\n", 2, ["listen_adr", "listen_addr"]),
        ("targets:\n  a:\n    host: nowhere\n", 3, ["targets.a.host", "nowhere"]),
        ("upstream_proxies:\n  default: {host: 'a:1', ssl: {mode: verify}}\n", 2, ["mode", "verify-full"]),
    ] {
        std::fs::write(&path, text).unwrap();
        for mode in ["client", "server"] {
            let ended = world.launch(Launch::mode(mode, mode, &path), &world.key).run().await;
            let position = format!("{}:{line}", path.display());
            expect_usage_error(&ended, &[&position, parts[0], parts[1]]);
        }
    }
    let missing = world.directory.join("missing.yaml");
    let ended = Launch::mode("client", "client", &missing).run().await;
    expect_usage_error(&ended, &[missing.to_str().unwrap()]);
}

#[tokio::test]
async fn the_client_prints_the_psql_command() {
    let world = world_of_two_databases().await;
    let client = world.start_client(&["--target", "people-db"]).await;
    let line = format!("psql -h 127.0.0.1 -p {} -d app -U YOUR_DATABASE_USER", client.port());
    let printed =
        client.stdout.wait_for(Duration::from_secs(30), |text| text.contains(&line).then_some(())).await;
    assert!(printed.is_some(), "{}", client.stdout.text());
    let loaded = format!("the configuration was loaded file={}/", world.directory.display());
    assert!(client.log().contains(&loaded), "{}", client.log());
    let text = client.stdout.text();
    let (port, address) = (client.port(), world.database("people-db").endpoint());
    let summary = format!(
        "TARGET     {:width$}  PORT   DATABASE\npeople-db  {address}  {port:<5}  app\n\nReady: connections to 127.0.0.1:{port} \
         go to people-db through the upstream proxy default.",
        "ADDRESS",
        width = address.len()
    );
    assert!(text.starts_with(&summary), "{text}");
}

/// Other machines would log in with the identity of the client's user.
#[tokio::test]
async fn a_client_beyond_loopback_is_refused() {
    let world = world_of_two_databases().await;
    let path = world.directory.join("remote.yaml");
    // `0` is a name for the configuration, and 0.0.0.0 for the system.
    for address in [":0", "0.0.0.0:0", "[::]:0", "0:0"] {
        let text = format!(
            "proxy: {{listen_addr: '{address}'}}\nrds: {{enabled: false}}\ntargets: {{t: {{host: 'h:1'}}}}\n"
        );
        std::fs::write(&path, &text).unwrap();
        let client = || Launch::mode("client", "client", &path).with(&["--target", "t", "--direct"]);
        let ended = client().run().await;
        expect_usage_error(
            &ended,
            &["proxy.listen_addr: ", "is not a loopback address", "the line `allow_remote: true`"],
        );
        assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);

        std::fs::write(&path, text.replacen('{', "{allow_remote: true, ", 1)).unwrap();
        let client = client().start().await.unwrap();
        client
            .wait_for_log("other machines can connect to this client and log in with your AWS identity")
            .await;
    }
}

#[tokio::test]
async fn the_banner_of_a_client_beyond_loopback_works_on_this_machine() {
    let world = World::new().with_client("proxy: {listen_addr: ':0', allow_remote: true}").start().await;
    let command = |text: &str| {
        let (_, command) = text.split_once("psql -h ")?;
        let mut words = command.split(' ');
        Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
    };
    let printed = world.client().stdout.wait_for(Duration::from_secs(30), command).await;
    let (host, port): (String, u16) = printed.unwrap();
    let config = world.client().config("alice").clone();
    assert_eq!((host.as_str(), port), ("127.0.0.1", world.client().port()));
    assert!(config.connect(tokio_postgres::NoTls).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn the_error_names_an_address_in_use() {
    let world = world_of_two_databases().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let path = world.directory.join("taken.yaml");
    let text = format!("proxy: {{listen_addr: '{address}'}}\nrds: {{enabled: false}}\n");
    std::fs::write(&path, text).unwrap();
    let ended = Launch::mode("server", "server", &path).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let cause = "another program listens there; stop it, or change proxy.listen_addr";
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{}", ended.stderr);
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    let port = listener.local_addr().unwrap().port().to_string();
    let ended = world.client_launch(&["--port", &port]).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let remedy = format!(
        "cannot listen on {address}: Address already in use (os error 98): another program listens there; stop it, or choose another port with --port"
    );
    assert!(ended.stderr.contains(&remedy), "{}", ended.stderr);
    std::fs::write(
        &path,
        format!("proxy: {{listen_addr: '127.0.0.1:0', admin_addr: '{address}'}}\nrds: {{enabled: false}}\n"),
    )
    .unwrap();
    let ended = Launch::mode("server", "server", &path).run().await;
    assert!(
        ended.stderr.contains("another program listens there; stop it, or change proxy.admin_addr"),
        "{}",
        ended.stderr
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_the_client_prompts_for_the_target() {
    let world = world_of_two_databases().await;
    let launch = without_target(&world, &[]);
    let mut terminal = Terminal::launch(&launch).await;
    terminal.expect("Which target?").await;
    terminal.press("people").await;
    terminal.press("\r").await;
    terminal.expect(&world.database("people-db").endpoint()).await;
    terminal.expect("-U YOUR_DATABASE_USER").await;
    let text = terminal.text();
    let (_, rest) = text.split_once("psql -h 127.0.0.1 -p ").unwrap();
    let port = rest.split_once(' ').unwrap().0.parse().unwrap();
    let refusal = Raw::log_in(port, &[("user", "alice")]).await.err().unwrap();
    assert!(refusal.message().contains("the upstream proxy default at localhost:"), "{refusal:?}");
    terminal.press("\x03").await;
    let status = terminal.ended().await;
    assert!(status.success(), "{status}: {}", terminal.text());
}

/// pgjdbc tries only the first address of a name, which differs between Java, libpq and this program.
#[tokio::test]
async fn every_address_of_localhost_is_served() {
    let world = World::new().with_client("proxy: {listen_addr: 'localhost:0'}").start().await;
    let mut addresses = 0;
    for address in tokio::net::lookup_host(("localhost", world.client().port())).await.unwrap() {
        let mut config = world.client().config("alice");
        config.hostaddr(address.ip());
        drop(
            config.connect(tokio_postgres::NoTls).await.unwrap_or_else(|error| panic!("{address}: {error}")),
        );
        addresses += 1;
    }
    assert!(addresses > 0);
    world.stop().await;
}
