//! What goes wrong while a secret is at hand. The world searches all output at its end; here the application's side is
//! searched too.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, authentication};
use crate::support::output::Output;
use crate::support::raw::{Message, Raw, V3_0, message, packet, query, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::{self, random_text};
use crate::support::world::refusal;

/// How long a process may take to begin.
const PATIENCE: Duration = Duration::from_secs(45);

#[tokio::test]
async fn no_failure_at_the_servers_door_tells_the_password() {
    let fake = FakeDatabase::answering(authentication(99, b"")).await;
    let world = World::new().with_target("fake", &fake.target("require")).start().await;
    let (endpoint, fake) = (world.rds().endpoint(), format!("localhost:{}", fake.port));
    let secret = random_text(32);
    let long = secret.repeat(400);
    let cases: &[&[(&str, &str)]] = &[
        &[("user", "by_password"), ("host", &endpoint), ("password", &secret)],
        &[("user", "by_scram"), ("host", &endpoint), ("password", &secret)],
        &[("user", "by_md5"), ("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &endpoint), ("password", &secret)],
        &[("user", "nobody at all"), ("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &fake), ("password", &secret)],
        &[("user", "alice"), ("host", "localhost:1"), ("password", &secret)],
        &[("user", "alice"), ("host", ""), ("password", &secret)],
        &[("user", "alice"), ("password", &secret)],
        &[("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &endpoint), ("password", &long)],
        &[("user", "alice"), ("host", &endpoint), ("password", &secret), ("rds-auth-proxy.cancel", &secret)],
    ];
    for case in cases {
        let with_database = [*case, &[("database", DATABASE)]].concat();
        expect_silence_about(&secret, world.server().port(), &startup(V3_0, &with_database)).await;
    }
    let malformed =
        packet(&[&V3_0.to_be_bytes(), b"password\0".as_slice(), secret.as_bytes(), b"\0"].concat());
    expect_silence_about(&secret, world.server().port(), &malformed).await;
    let version_2 = startup(0x2_0000, &[("password", &secret)]);
    expect_silence_about(&secret, world.server().port(), &version_2).await;
    world.add_secret(&secret);
    world.stop().await;
}

#[tokio::test]
async fn a_password_that_an_application_types_is_not_told() {
    let world = World::new()
        .target("plain")
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .start()
        .await;
    let secret = random_text(32);
    for typed in
        [message(b'p', &[secret.as_bytes(), &[0]].concat()), message(b'q', secret.as_bytes()), query(&secret)]
    {
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&startup(V3_0, &[("user", "by_password"), ("database", DATABASE)])).await;
        assert_eq!(raw.message().await.unwrap().tag, b'R');
        raw.send(&typed).await;
        let said = raw.refused().await;
        assert!(!format!("{said:?}").contains(&secret), "it was told to the application");
    }
    world.add_secret(&secret);
    world.stop().await;
}

async fn expect_silence_about(secret: &str, port: u16, startup: &[u8]) {
    let mut raw = Raw::connect(port).await;
    let _ = raw.try_send(startup).await;
    let mut said = Vec::new();
    while let Some(Message { tag, body }) = raw.message().await {
        assert_ne!(tag, b'Z', "the login was to fail");
        said.extend(body);
    }
    assert!(!said.is_empty(), "the application was told nothing");
    assert!(!String::from_utf8_lossy(&said).contains(secret), "it was told to the application");
}

/// Whoever lists the processes of a machine sees their arguments, and what a program starts inherits its environment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_password_is_taken_out_of_arguments_and_environment() {
    let world = World::new().without_client().start().await;
    let secret = random_text(32);
    world.add_secret(&secret);
    let with_equals = format!("--password={secret}");
    let launches = [
        world.client_launch(&["--password", &secret]),
        world.client_launch(&[&with_equals]),
        world.client_launch(&[]).env("RDS_AUTH_PROXY_PASSWORD", &secret),
    ];
    for launch in launches {
        let client = world.start_proxy(launch).await;
        // It is used all the same.
        let error = refusal(&client, "by_password").await;
        assert_eq!(error.message(), "password authentication failed for user \"by_password\"");
        for file in ["cmdline", "environ"] {
            let Ok(shown) = fs::read(format!("/proc/{}/{file}", client.id())) else {
                assert_eq!(file, "environ", "only that one may be kept from us");
                continue;
            };
            let shown = String::from_utf8_lossy(&shown).into_owned();
            assert!(shown.contains(if file == "environ" { "LOG_LEVEL" } else { "--configfile" }), "{shown}");
            assert!(!shown.contains(&secret), "it is in {file}");
        }
    }
    world.stop().await;
}

/// As long as another process of the same user may read the memory of a proxy, it may read tokens.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn nobody_but_root_may_look_into_the_processes() {
    let world = World::new().start().await;
    for proxy in [world.client(), world.server()] {
        let about = |file: &str| format!("/proc/{}/{file}", proxy.id());
        // The kernel gives these files to root when a process is not dumpable, and refuses ptrace then (proc(5), ptrace(2)).
        for file in ["mem", "environ", "maps", "auxv"] {
            assert_eq!(fs::metadata(about(file)).unwrap().uid(), 0, "the {}'s {file}", proxy.name);
        }
        let limits = fs::read_to_string(about("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    }
    world.stop().await;
}

/// The same with a process that is started for a user of its own, beside one that hides nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_of_the_same_user_is_refused_the_memory() {
    if !rustix::process::getuid().is_root() {
        return; // Only root may start processes as somebody else.
    }
    let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    let directory = scratch::new_directory("shared");
    let binary = directory.join("rds-auth-proxy");
    fs::copy(env!("CARGO_BIN_EXE_rds-auth-proxy"), &binary).unwrap();
    let config = directory.join("server.yaml");
    fs::write(&config, "proxy: {listen_addr: '127.0.0.1:0'}\nrds: {enabled: false}").unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let start = |program: &str, arguments: &[&str]| {
        let mut command = tokio::process::Command::new(user[0]);
        command.args(&user[1..]).arg(program).args(arguments).stderr(Stdio::null()).stdout(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    };
    let binary = binary.to_str().unwrap();
    // What a shell says of itself shows that the process is the other user's; `exec` keeps it the same one.
    let open = start("sh", &["-c", "echo begun; exec sleep 600"]);
    let closed = ["server", "--configfile", config.to_str().unwrap()].join(" ");
    let closed = start("sh", &["-c", &format!("exec {binary} {closed} 2>&1")]);
    for (mut process, shows, readable) in [(open, "begun", true), (closed, "listening", false)] {
        let output = Output::collect("the process".into(), process.stdout.take().unwrap());
        let shown = output.wait_for(PATIENCE, |text| text.contains(shows).then_some(())).await;
        assert!(shown.is_some(), "{}", output.text());
        let path = format!("/proc/{}/maps", process.id().expect("it runs"));
        let read = start("cat", &[&path]).wait().await.unwrap();
        assert_eq!(read.success(), readable, "{path}");
        assert!(process.try_wait().unwrap().is_none(), "it has ended: {}", output.text());
    }
}
