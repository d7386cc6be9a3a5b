//! Logins for which a person is needed, with and without a terminal: a session of IAM Identity Center that has expired, a second
//! factor.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;
use tokio_postgres::NoTls;

use crate::credential_sources::{LATER, PORTAL_TOKEN, SESSION_FILE, portal, without_keys};
use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::ports::free_port;
use crate::support::proxy::Launch;
use crate::support::sts::Role;
use crate::support::terminal::Terminal;
use crate::support::world::{Running, refusal};

/// A world whose client has a profile of IAM Identity Center. Its program `aws` notes its arguments in the file `runs`, waits for the
/// file `approved`, as for a person in a browser, and opens the session.
struct Setup {
    world: Running,
    key: AccessKey,
    launch: Launch,
}

async fn setup() -> Setup {
    let world = World::new().without_client().start().await;
    let key = AccessKey::session(Duration::from_hours(1));
    world.identities.add(key.clone());
    let portal = portal(&key).await;
    world.add_secret(PORTAL_TOKEN);
    let directory = &world.directory;
    let cache = directory.join(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    fs::create_dir_all(directory.join("bin")).unwrap();
    let config = "[profile work]\nsso_session = work-session\nsso_account_id = 123456789012\nsso_role_name = developer\n\
                  [sso-session work-session]\nsso_region = us-east-1\nsso_start_url = https://login.example.com/start\n";
    fs::write(directory.join("aws-config"), config).unwrap();
    let program = directory.join("bin/aws");
    let session = cache.join(SESSION_FILE);
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/runs\necho 'Open https://login.example.com in a browser'\n\
         until [ -e {0}/approved ]; do sleep 0.1; done\n[ -s {0}/approved ] && exit 1\ncp {0}/session {1}\n",
        directory.display(),
        session.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let opened = json!({"accessToken": PORTAL_TOKEN, "expiresAt": LATER, "region": "us-east-1"});
    fs::write(directory.join("session"), opened.to_string()).unwrap();
    let path = format!("{}:{}", directory.join("bin").display(), std::env::var("PATH").unwrap());
    let launch = without_keys(&world, &["--port", &free_port().to_string()])
        .env("HOME", directory.to_str().unwrap())
        .env("PATH", path)
        .env("AWS_CONFIG_FILE", directory.join("aws-config").to_str().unwrap())
        .env("AWS_PROFILE", "work")
        .env("AWS_ENDPOINT_URL_SSO", format!("http://{portal}"));
    Setup { world, key, launch }
}

impl Setup {
    fn session(&self, present: bool) {
        let path = self.world.directory.join(".aws/sso/cache").join(SESSION_FILE);
        if present {
            fs::copy(self.world.directory.join("session"), path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    fn approve(&self, content: &str) {
        fs::write(self.world.directory.join("approved"), content).unwrap();
    }

    fn runs(&self) -> String {
        fs::read_to_string(self.world.directory.join("runs")).unwrap_or_default()
    }

    fn port(&self) -> u16 {
        let at = self.launch.arguments.iter().position(|argument| argument == "--port").unwrap();
        self.launch.arguments[at + 1].parse().unwrap()
    }

    fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port()).user("alice").dbname("app");
        config
    }
}

#[tokio::test]
async fn a_finished_login_is_used_by_the_next_connection_and_the_hint_names_the_command() {
    let setup = setup().await;
    setup.session(true);
    let client = setup.world.start_proxy(setup.launch.clone()).await;
    drop(client.config("alice").connect(NoTls).await.unwrap());
    setup.session(false);
    let error = refusal(&client, "alice").await;
    assert_eq!((error.code().code(), error.hint()), ("28000", Some("run `aws sso login --profile work`")));
    setup.session(true);
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(setup.world.rds().tokens().last().unwrap().contains(&setup.key.id));
    assert_eq!(setup.runs(), "", "without a terminal the client runs no command");
    setup.world.stop().await;
}

/// They wait longer than a handshake may take.
#[tokio::test]
async fn a_client_on_a_terminal_logs_in_once_for_all_connections_that_wait() {
    let setup = setup().await;
    setup.session(true);
    let path = setup.world.directory.join("client.yaml");
    let text =
        fs::read_to_string(&path).unwrap().replacen("proxy:\n", "proxy:\n  handshake_timeout: 3s\n", 1);
    fs::write(&path, text).unwrap();
    let terminal = Terminal::launch(&setup.launch).await;
    terminal.expect("Ready").await;
    assert_eq!(setup.runs(), "");
    setup.session(false);
    let connections: Vec<_> = (0..4)
        .map(|_| {
            let config = setup.config();
            tokio::spawn(async move { config.connect(NoTls).await.map(drop) })
        })
        .collect();
    terminal.expect("Open https://login.example.com in a browser").await;
    terminal.expect("the login command runs now").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(connections.iter().all(|connection| !connection.is_finished()), "{}", terminal.text());
    setup.approve("");
    for connection in connections {
        connection.await.unwrap().unwrap_or_else(|error| panic!("{error:?}: {}", terminal.text()));
    }
    assert_eq!(setup.runs(), "sso login --profile work\n");
    assert!(!terminal.text().contains(PORTAL_TOKEN));
}

#[tokio::test]
async fn a_login_that_fails_is_reported_and_not_repeated_at_once() {
    let setup = setup().await;
    setup.session(true);
    let terminal = Terminal::launch(&setup.launch).await;
    terminal.expect("Ready").await;
    setup.session(false);
    setup.approve("no");
    for expected in ["and the login failed: it ended with exit status: 1", "has expired or was never opened"]
    {
        let error = setup.config().connect(NoTls).await.err().unwrap();
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains(expected), "{error}");
        assert_eq!(error.hint(), Some("run `aws sso login --profile work`"));
    }
    assert_eq!(setup.runs(), "sso login --profile work\n");
}

#[tokio::test]
async fn the_configuration_forbids_the_login() {
    let setup = setup().await;
    setup.session(true);
    let path = setup.world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}aws: {{sso_login: never}}\n")).unwrap();
    let terminal = Terminal::launch(&setup.launch).await;
    terminal.expect("Ready").await;
    setup.session(false);
    let error = setup.config().connect(NoTls).await.err().unwrap();
    assert!(error.as_db_error().unwrap().hint().unwrap().contains("aws sso login"), "{error}");
    assert_eq!(setup.runs(), "");
}

/// The client starts, although the session has expired.
#[tokio::test]
async fn a_client_on_a_terminal_logs_in_before_it_lists() {
    let setup = setup().await;
    let terminal = Terminal::launch(&setup.launch).await;
    terminal.expect("Open https://login.example.com in a browser").await;
    setup.approve("");
    terminal.expect("Ready").await;
    drop(setup.config().connect(NoTls).await.unwrap());
    assert_eq!(setup.runs(), "sso login --profile work\n");
}

#[tokio::test]
async fn a_code_of_a_second_factor_is_typed_once_for_all_connections_that_wait() {
    let world = World::new().without_client().start().await;
    let (device, arn) = ("arn:aws:iam::123456789012:mfa/tester", "arn:aws:iam::123456789012:role/guarded");
    let tester = "arn:aws:iam::123456789012:user/tester";
    let role = Role { mfa: Some((device.into(), "123456".into())), ..Role::new(arn, &[tester]) };
    world.aws.put_role(role);
    let config = format!(
        "[profile work]\nrole_arn = {arn}\nsource_profile = base\nmfa_serial = {device}\nregion = us-east-1\n\
         [profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        world.key.id, world.key.secret
    );
    let path = world.directory.join("aws-config");
    fs::write(&path, config).unwrap();
    let port = free_port();
    let launch = |port: u16| {
        let launch = without_keys(&world, &["--port", &port.to_string()]);
        launch.env("AWS_CONFIG_FILE", path.to_str().unwrap()).env("AWS_PROFILE", "work")
    };
    let mut terminal = Terminal::launch(&launch(port)).await;
    terminal.expect(&format!("Code of the device {device}: ")).await;
    terminal.press("123456\n").await;
    terminal.expect("Ready").await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("alice").dbname("app");
    for _ in 0..2 {
        drop(config.connect(NoTls).await.unwrap_or_else(|error| panic!("{error:?}: {}", terminal.text())));
    }
    let [key] = &world.aws.assumed(arn)[..] else { panic!("one code, one role") };
    assert!(world.rds().tokens().iter().all(|token| token.contains(&key.id)));
    assert_eq!(terminal.text().matches("Code of the device").count(), 1);

    let without_terminal = launch(free_port()).run().await;
    let text = "prompts for it only in a client on a terminal";
    assert!(without_terminal.stderr.contains(text), "{without_terminal:?}");
}
