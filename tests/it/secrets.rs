//! Failures of connections with secrets. The world searches all outputs at its end; these tests also search the errors
//! that the application receives, and the processes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, authentication};
use crate::support::output::Output;
use crate::support::proxy::Launch;
use crate::support::raw::{Message, Raw, V3_0, message, packet, query, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::{self, random_text};
use crate::support::world::refusal;

/// How long a process may take to start.
const LIMIT: Duration = Duration::from_secs(45);

#[tokio::test]
async fn no_error_of_the_server_contains_the_password() {
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
        &[("user", "no such user"), ("host", &endpoint), ("password", &secret)],
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
        expect_error_without(&secret, world.server().port(), &startup(V3_0, &with_database)).await;
    }
    let malformed =
        packet(&[&V3_0.to_be_bytes(), b"password\0".as_slice(), secret.as_bytes(), b"\0"].concat());
    expect_error_without(&secret, world.server().port(), &malformed).await;
    let version_2 = startup(0x2_0000, &[("password", &secret)]);
    expect_error_without(&secret, world.server().port(), &version_2).await;
    world.add_secret(&secret);
    world.stop().await;
}

#[tokio::test]
async fn no_error_contains_the_password_of_the_application() {
    let world = World::new()
        .target("plain")
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .start()
        .await;
    let secret = random_text(32);
    for answer in
        [message(b'p', &[secret.as_bytes(), &[0]].concat()), message(b'q', secret.as_bytes()), query(&secret)]
    {
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&startup(V3_0, &[("user", "by_password"), ("database", DATABASE)])).await;
        assert_eq!(raw.message().await.unwrap().tag, b'R');
        raw.send(&answer).await;
        let refusal = raw.refused().await;
        assert!(!format!("{refusal:?}").contains(&secret), "the error contains the password");
    }
    world.add_secret(&secret);
    world.stop().await;
}

async fn expect_error_without(secret: &str, port: u16, startup: &[u8]) {
    let mut raw = Raw::connect(port).await;
    let _ = raw.try_send(startup).await;
    let mut received = Vec::new();
    while let Some(Message { tag, body }) = raw.message().await {
        assert_ne!(tag, b'Z', "the login succeeds");
        received.extend(body);
    }
    assert!(!received.is_empty(), "no error came");
    assert!(!String::from_utf8_lossy(&received).contains(secret), "the error contains the secret");
}

/// Every user can list the arguments of processes, and child processes inherit the environment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_password_is_removed_from_arguments_and_environment() {
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
        // The client still uses the password.
        let error = refusal(&client, "by_password").await;
        assert_eq!(error.message(), "password authentication failed for user \"by_password\"");
        for file in ["cmdline", "environ"] {
            let Ok(content) = fs::read(format!("/proc/{}/{file}", client.id())) else {
                assert_eq!(file, "environ", "only this file may be unreadable");
                continue;
            };
            let content = String::from_utf8_lossy(&content).into_owned();
            let expected = if file == "environ" { "LOG_LEVEL" } else { "--configfile" };
            assert!(content.contains(expected), "{content}");
            assert!(!content.contains(&secret), "the password is in {file}");
        }
    }
    world.stop().await;
}

/// A process that can read the memory of a proxy can read its tokens.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_every_user_may_read_are_reported() {
    let world = World::new().with_server_tls().without_client().start().await;
    let directory = scratch::new_directory("readable");
    let (password, key) = (directory.join("password"), directory.join("server.key"));
    fs::write(&password, random_text(24)).unwrap();
    fs::copy(&world.server_certificate.key_path, &key).unwrap();
    let config = directory.join("server.yaml");
    let (certificate, key_path) = (world.server_certificate.path.display(), key.display());
    fs::write(
        &config,
        format!(
            "proxy: {{listen_addr: '127.0.0.1:0', ssl: {{certificate: {certificate}, private_key: {key_path}}}}}\n\
             rds: {{enabled: false}}\n"
        ),
    )
    .unwrap();
    let password_path = password.to_str().unwrap();
    for (mode, reported) in [(0o604, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&password, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let client = world.start_client(&["--password-file", password_path]).await;
        let line = "every user may read this password file; remove the permission (chmod o-r)";
        assert_eq!(client.log().contains(line), reported, "{}", client.log());
        let server = world.start_proxy(Launch::mode("server", "server", &config)).await;
        let line = r#""every user may read this private key; remove the permission (chmod o-r)","key":"proxy.ssl.private_key""#;
        assert_eq!(server.log().contains(line), reported, "{}", server.log());
    }
    world.stop().await;
}

#[tokio::test]
async fn only_root_may_inspect_the_processes() {
    let world = World::new().start().await;
    for proxy in [world.client(), world.server()] {
        let path = |file: &str| format!("/proc/{}/{file}", proxy.id());
        // The kernel gives these files to root when a process is not dumpable, and refuses ptrace then (proc(5), ptrace(2)).
        for file in ["mem", "environ", "maps", "auxv"] {
            assert_eq!(fs::metadata(path(file)).unwrap().uid(), 0, "the {}'s {file}", proxy.name);
        }
        let limits = fs::read_to_string(path("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    }
    world.stop().await;
}

/// Compares a proxy with an ordinary process of the same, unprivileged user.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_of_the_same_user_cannot_read_the_memory() {
    if !rustix::process::getuid().is_root() {
        return; // Only root may start processes as another user.
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
    // The output shows that the process already runs as the other user; `exec` keeps its process id.
    let open = start("sh", &["-c", "echo started; exec sleep 600"]);
    let closed = ["server", "--configfile", config.to_str().unwrap()].join(" ");
    let closed = start("sh", &["-c", &format!("exec {binary} {closed} 2>&1")]);
    for (mut process, text, readable) in [(open, "started", true), (closed, "listening", false)] {
        let output = Output::collect("the process".into(), process.stdout.take().unwrap());
        let printed = output.wait_for(LIMIT, |output| output.contains(text).then_some(())).await;
        assert!(printed.is_some(), "{}", output.text());
        let path = format!("/proc/{}/maps", process.id().expect("the process runs"));
        let read = start("cat", &[&path]).wait().await.unwrap();
        assert_eq!(read.success(), readable, "{path}");
        assert!(process.try_wait().unwrap().is_none(), "the process has ended: {}", output.text());
    }
}

/// The server's memory while sessions are idle, as a debugger of root sees it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_keeps_no_token_of_an_open_session() {
    if !rustix::process::getuid().is_root() {
        return; // Only root can read the memory of a process that is not dumpable.
    }
    let world = World::new().with_server_tls().with_session_credentials().start().await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        let session = world.connect("alice").await.unwrap();
        session.batch_execute("select 1").await.unwrap();
        sessions.push(session);
    }
    let mut tokens = world.rds().tokens();
    assert_eq!(tokens.len(), 8);
    tokens.dedup();
    let memory = writable_memory(world.server().id());
    for token in tokens {
        let signature = token.split_once("X-Amz-Signature=").unwrap().1.as_bytes();
        let copies =
            |bytes: &Vec<u8>| bytes.windows(signature.len()).filter(|window| *window == signature).count();
        let found: usize = memory.iter().map(copies).sum();
        // rustls frees one more copy of what it decrypted, which may be left in freed memory.
        assert!(found <= 2, "{found} copies of the token of 8 sessions");
    }
    drop(sessions);
    world.stop().await;
}

/// The contents of all memory that a process may write. The kernel may refuse some, such as device memory.
#[cfg(target_os = "linux")]
fn writable_memory(id: u32) -> Vec<Vec<u8>> {
    use std::os::unix::fs::FileExt;

    let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{id}/mem")).unwrap();
    let writable = maps.lines().filter_map(|line| line.split_once(" rw")).map(|(range, _)| {
        let (start, end) = range.split_once('-').unwrap();
        [start, end].map(|address| u64::from_str_radix(address, 16).unwrap())
    });
    let read = |[start, end]: [u64; 2]| {
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.read_exact_at(&mut bytes, start).ok().map(|()| bytes)
    };
    let found: Vec<_> = writable.filter_map(read).collect();
    assert!(found.iter().map(Vec::len).sum::<usize>() > 1024 * 1024, "{maps}");
    found
}
