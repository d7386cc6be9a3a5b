//! `export`: settings for tools, each loaded by the program that it is for.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::ports::free_port;
use crate::support::proxy::{Finished, Launch};
use crate::support::world::Running;

/// The launch of `export` with the configuration of the world's client.
fn launch(world: &Running, arguments: &[&str]) -> Launch {
    let launch = Launch::mode("export", "export", &world.directory.join("client.yaml"));
    world.launch(launch.with(arguments), &world.key).env("LOG_LEVEL", "")
}

async fn export(world: &Running, format: &str, arguments: &[&str]) -> Finished {
    launch(world, &[&["--format", format], arguments].concat()).run().await
}

async fn exported(world: &Running, format: &str, arguments: &[&str]) -> String {
    let ended = export(world, format, arguments).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    // The only passwords in it are a key of DBeaver, and a variable that is unset.
    let others = ended.stdout.replace("save-password", "").replace("unset PGHOSTADDR PGPASSWORD ", "");
    assert!(!others.to_lowercase().contains("password"), "{}", ended.stdout);
    ended.stdout
}

/// A client for `aurora:writer` on the port of its tag, and a server.
async fn chain() -> (Running, u16) {
    let port = free_port();
    let cluster = Cluster::new("aurora").tag_of_cluster("rds-auth-proxy:local-port", &port.to_string());
    (World::new().with_cluster(cluster).target("aurora:writer").start().await, port)
}

async fn expect_alice(mut command: Command) {
    let output = command.env("PGCONNECT_TIMEOUT", "60").stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("alice app", ""),
        "{command:?}"
    );
}

const QUERY: &str = "select current_user || ' ' || current_database()";

fn psql(arguments: &[&str]) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-w", "-c", QUERY]).args(arguments);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn libpq_reads_services_variables_and_urls() {
    let (world, port) = chain().await;
    let user = ["--user", "alice", "--target", "AURORA:writer"];
    let services = exported(&world, "service", &["--user", "alice"]).await;
    assert_eq!(services.matches('[').count(), 4, "{services}");
    let file = world.directory.join("services.conf");
    fs::write(&file, &services).unwrap();
    let mut command = psql(&["service=aurora:writer"]);
    command.env("PGSERVICEFILE", &file);
    expect_alice(command).await;

    let url = exported(&world, "url", &user).await;
    assert_eq!(url, format!("postgresql://alice@127.0.0.1:{port}/app?sslmode=disable\n"));
    expect_alice(psql(&[url.trim_end()])).await;

    let variables = exported(&world, "env", &user).await;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("eval \"$1\"; exec psql -X -A -t -w -c \"{QUERY}\""), "sh", &variables]);
    command.env("PGHOSTADDR", "192.0.2.1").env("PGSERVICE", "nowhere").env("PGPASSWORD", "stale");
    expect_alice(command).await;

    let several = exported(&world, "url", &["--target", "aurora:*"]).await;
    let names: Vec<_> = several.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_eq!(names, ["aurora:custom:aurora-custom", "aurora:reader", "aurora:writer"]);
    world.stop().await;
}

#[tokio::test]
async fn a_client_with_tls_is_reached_with_tls() {
    let port = free_port();
    let world = World::new()
        .with_instance(Instance::new("db-1").tag("rds-auth-proxy:local-port", &port.to_string()))
        .with_client("proxy: {ssl: {enabled: true, required: true}}")
        .start()
        .await;
    let url = exported(&world, "url", &["--user", "alice"]).await;
    assert_eq!(url, format!("postgresql://alice@127.0.0.1:{port}/app?sslmode=require\n"));
    expect_alice(psql(&[url.trim_end()])).await;
    world.stop().await;
}

/// Each target has a socket beside that of `listen_addr`.
#[tokio::test]
async fn a_client_on_a_unix_socket_is_reached_by_sockets() {
    let world = World::new()
        .with_instance(Instance::new("db-1").tag("rds-auth-proxy:local-port", "5433"))
        .with_client("proxy: {listen_addr: 'unix:<directory>/.s.PGSQL.5432'}")
        .target("db-*")
        .start()
        .await;
    let services = exported(&world, "service", &["--user", "alice"]).await;
    let directory = world.directory.display();
    assert!(services.contains(&format!("host={directory}\nport=5433\n")), "{services}");
    let url = exported(&world, "url", &["--user", "alice"]).await;
    expect_alice(psql(&[url.trim_end()])).await;
    let servers: Value =
        serde_json::from_str(&exported(&world, "pgadmin", &["--user", "alice"]).await).unwrap();
    assert_eq!(servers["Servers"]["1"]["Host"], json!(world.directory));
    for format in ["jdbc", "dbeaver", "datagrip"] {
        let ended = export(&world, format, &[]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let part =
            "the JDBC driver has no Unix sockets; set proxy.listen_addr to an address such as 127.0.0.1:8001";
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    world.stop().await;
}

/// The JDBC driver of Debian's package libpostgresql-jdbc-java, or of `RDS_AUTH_PROXY_TEST_JDBC`.
#[tokio::test]
async fn the_jdbc_driver_reads_its_url() {
    let jar = std::env::var_os("RDS_AUTH_PROXY_TEST_JDBC").map(PathBuf::from);
    let jar = jar.unwrap_or_else(|| "/usr/share/java/postgresql.jar".into());
    let has_java = Command::new("java").arg("-version").output().await.is_ok();
    if !jar.exists() || !has_java {
        eprintln!("skipped: there is no JDBC driver, or no java");
        return;
    }
    let (world, port) = chain().await;
    let url = exported(&world, "jdbc", &["--user", "alice", "--target", "aurora:writer"]).await;
    assert_eq!(url, format!("jdbc:postgresql://127.0.0.1:{port}/app?user=alice&sslmode=disable\n"));
    let mut command = Command::new("java");
    command.arg("-cp").arg(&jar).args(["tests/drivers/Jdbc.java", url.trim_end(), QUERY]);
    expect_alice(command).await;
    world.stop().await;
}

/// pgAdmin 9 refuses a server without these keys (`validate_json_data` in its `web/pgadmin/utils/__init__.py`).
#[tokio::test]
async fn pgadmin_gets_the_keys_that_it_requires() {
    let world = targets().await;
    let file: Value = serde_json::from_str(&exported(&world, "pgadmin", &["--user", "alice"]).await).unwrap();
    let servers = file["Servers"].as_object().unwrap();
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["1", "2"]);
    for server in servers.values() {
        for (key, is_text) in [
            ("Group", true),
            ("Name", true),
            ("Username", true),
            ("MaintenanceDB", true),
            ("Host", true),
            ("Port", false),
        ] {
            assert_eq!(
                (server[key].is_string(), server[key].is_u64()),
                (is_text, !is_text),
                "{key}: {server}"
            );
        }
    }
    assert_eq!(
        servers["1"],
        json!({
            "Name": "orders-db", "Group": "rds-auth-proxy", "Host": "127.0.0.1", "Port": 28741, "MaintenanceDB": "app",
            "Username": "alice", "ConnectionParameters": {"sslmode": "disable"},
        })
    );
    let ended = export(&world, "pgadmin", &[]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("pgAdmin imports no server without a user; name it with --user"),
        "{}",
        ended.stderr
    );
    world.stop().await;
}

/// Imports the file with pgAdmin's own program, from the virtual environment of `RDS_AUTH_PROXY_TEST_PGADMIN`.
#[tokio::test]
async fn pgadmin_imports_the_servers() {
    const FIND: &str =
        "import importlib.util as u; print(u.find_spec('pgadmin4').submodule_search_locations[0])";

    let Some(environment) = std::env::var_os("RDS_AUTH_PROXY_TEST_PGADMIN").map(PathBuf::from) else {
        eprintln!("skipped: RDS_AUTH_PROXY_TEST_PGADMIN names no virtual environment with pgadmin4");
        return;
    };
    let world = targets().await;
    let (file, python) = (world.directory.join("servers.json"), environment.join("bin/python"));
    fs::write(&file, exported(&world, "pgadmin", &["--user", "alice"]).await).unwrap();
    let data = world.directory.display();
    let config = format!(
        "SERVER_MODE = False\nDATA_DIR = '{data}'\nLOG_FILE = '{data}/log'\nSQLITE_PATH = '{data}/db'\n\
         SESSION_DB_PATH = '{data}/sessions'\nSTORAGE_DIR = '{data}/storage'\n"
    );
    fs::write(world.directory.join("config_local.py"), config).unwrap();
    let found = Command::new(&python).args(["-c", FIND]).output().await.unwrap();
    let setup = Path::new(String::from_utf8(found.stdout).unwrap().trim()).join("setup.py");
    let dump = world.directory.join("dump.json");
    for arguments in [
        &["setup-db"][..],
        &["load-servers", file.to_str().unwrap()],
        &["dump-servers", dump.to_str().unwrap()],
    ] {
        let mut command = Command::new(&python);
        let ended =
            command.arg(&setup).args(arguments).env("PYTHONPATH", &world.directory).output().await.unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    let dumped: Value = serde_json::from_str(&fs::read_to_string(dump).unwrap()).unwrap();
    let servers = dumped["Servers"].as_object().unwrap();
    let of = |key: &str| servers.values().map(|server| server[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        (of("Name"), of("Port")),
        (vec![json!("orders-db"), json!("people-db")], vec![json!(28741), json!(27231)])
    );
    assert_eq!(of("ConnectionParameters"), vec![json!({"sslmode": "disable"}); 2]);
    world.stop().await;
}

async fn targets() -> Running {
    World::new()
        .with_instance("orders-db")
        .with_instance("people-db")
        .without_server()
        .without_client()
        .start()
        .await
}

/// The keys are those in the files that DBeaver writes, and that its `DataSourceSerializerModern.java` reads.
#[tokio::test]
async fn dbeaver_gets_connections_that_keep_their_ids() {
    let world = targets().await;
    let text = exported(&world, "dbeaver", &["--user", "alice", "--target", "orders*"]).await;
    assert_eq!(text, exported(&world, "dbeaver", &["--user", "alice", "--target", "orders*"]).await);
    let file: Value = serde_json::from_str(&text).unwrap();
    let connections = file["connections"].as_object().unwrap();
    let (id, connection) = connections.iter().next().unwrap();
    assert!(connections.len() == 1 && id.starts_with("postgres-jdbc-"), "{file}");
    assert!(file["folders"].get(connection["folder"].as_str().unwrap()).is_some(), "{file}");
    assert_eq!(
        *connection,
        json!({
            "provider": "postgresql", "driver": "postgres-jdbc", "name": "orders-db", "save-password": true,
            "folder": "rds-auth-proxy",
            "configuration": {
                "host": "127.0.0.1", "port": "28741", "database": "app", "url": "jdbc:postgresql://127.0.0.1:28741/app",
                "configurationType": "MANUAL", "auth-model": "native", "user": "alice",
                "properties": {"sslmode": "disable"},
            },
        })
    );
    world.stop().await;
}

/// Each data source is an element of XML, as in the clipboard of a JetBrains IDE.
#[tokio::test]
async fn datagrip_gets_data_sources_for_its_clipboard() {
    const PARSE: &str = "import sys, xml.etree.ElementTree as tree\n\
                         for line in sys.argv[1:]:\n  \
                         found = tree.fromstring(line)\n  \
                         print(found.tag, found.get('source'), found.get('name'), *[child.tag + '=' + child.text for child in found])";

    let world = World::new()
        .with_instance("orders-db")
        .with_target("'a&<b>\"'", "{host: 'h:1', local_port: 5}")
        .without_server()
        .without_client()
        .start()
        .await;
    let text = exported(&world, "datagrip", &["--user", "a&b"]).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["#DataSourceSettings#", "#LocalDataSource: a&<b>\"", "#BEGIN#"]);
    assert_eq!((lines[4], lines[6], lines[9]), ("#END#", "#LocalDataSource: orders-db", "#END#"));
    let parsed = Command::new("python3").args(["-c", PARSE, lines[3], lines[8]]).output().await.unwrap();
    let common = "driver-ref=postgresql synchronize=true jdbc-driver=org.postgresql.Driver";
    assert_eq!(
        String::from_utf8_lossy(&parsed.stdout),
        format!(
            "data-source LOCAL a&<b>\" {common} jdbc-url=jdbc:postgresql://127.0.0.1:5/?sslmode=disable user-name=a&b\n\
             data-source LOCAL orders-db {common} jdbc-url=jdbc:postgresql://127.0.0.1:28741/app?sslmode=disable user-name=a&b\n"
        ),
        "{parsed:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn wrong_arguments_are_usage_errors() {
    let world = targets().await;
    for (arguments, part) in [
        (&["--format", "pgadmn"][..], "pgadmin"),
        (&[], "--format"),
        (&["--format", "env"], "choose one with --target: orders-db, people-db"),
        (&["--format", "url", "--target", "order-db"], "did you mean \"orders-db\"?"),
        (&["--format", "url", "--target", "order?d*"], "no target matches \"order?d*\"; did you mean"),
        (&["--format", "url", "--write"], "--write works with --format service only"),
        (&["--format", "service", "--write", "--remove"], "cannot be used with"),
    ] {
        let ended = launch(&world, arguments).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(part), "`{part}` is not in {}", ended.stderr);
    }
    world.stop().await;
}

const MINE: &str = "# mine\r\n[mine]\nhost = x\n\n[no-line-end]\nport=1";

/// Runs `export` with this home directory. Returns what the service file has then.
async fn in_home(world: &Running, home: &Path, arguments: &[&str]) -> (Finished, String) {
    let mut launch = launch(world, arguments).env("HOME", home.to_str().unwrap());
    launch.environment.retain(|(name, _)| name != "PGSERVICEFILE");
    let ended = launch.run().await;
    let file = fs::read_to_string(home.join(".pg_service.conf")).unwrap_or_else(|_| "no file".into());
    (ended, file)
}

#[tokio::test]
async fn the_service_file_gets_a_part_and_keeps_everything_else() {
    const WRITE: [&str; 5] = ["--format", "service", "--write", "--user", "alice"];

    let world = targets().await;
    let (home, elsewhere) = (world.directory.join("home"), world.directory.join("dotfiles"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    let (link, real) = (home.join(".pg_service.conf"), elsewhere.join("services"));
    fs::write(&real, MINE).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();

    let (ended, written) = in_home(&world, &home, &WRITE).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains("has 2 services of rds-auth-proxy"), "{}", ended.stderr);
    assert!(written.starts_with(&format!("{MINE}\n# BEGIN rds-auth-proxy\n")), "{written}");
    assert!(
        written
            .contains("\n[people-db]\nhost=127.0.0.1\nport=27231\ndbname=app\nuser=alice\nsslmode=disable\n"),
        "{written}"
    );
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&real);
    let (_, again) = in_home(&world, &home, &WRITE).await;
    assert_eq!((again == written, inode(&real)), (true, before), "a file that stays the same is not written");

    world.aws.remove_instance("people-db");
    let (_, fewer) = in_home(&world, &home, &WRITE).await;
    assert!(!fewer.contains("[people-db]") && fewer.contains("[orders-db]"), "{fewer}");
    let (ended, removed) = in_home(&world, &home, &["--remove"]).await;
    assert_eq!((ended.code, removed.as_str()), (Some(0), MINE), "{ended:?}");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "no other file remains");
    world.stop().await;
}

#[tokio::test]
async fn a_service_file_that_cannot_be_changed_stays_as_it_is() {
    let world = World::new()
        .with_instance("orders-db")
        .with_instance(Instance::new("people-db").in_region("eu-west-1"))
        .without_server()
        .without_client()
        .start()
        .await;
    let home = world.directory.join("home");
    fs::create_dir(&home).unwrap();
    let file = home.join(".pg_service.conf");
    let broken = "[mine]\n# BEGIN rds-auth-proxy\n[orders-db]\n";
    fs::write(&file, broken).unwrap();
    for arguments in [&["--format", "service", "--write"][..], &["--remove"]] {
        let (ended, text) = in_home(&world, &home, arguments).await;
        assert_eq!((ended.code, text.as_str()), (Some(2), broken), "{ended:?}");
        assert!(
            ended.stderr.contains("line 2 is a marker of rds-auth-proxy without its counterpart"),
            "{}",
            ended.stderr
        );
    }
    // Of services with one name libpq uses the first.
    fs::write(&file, "[orders-db]\nhost=mine\n").unwrap();
    let (ended, _) = in_home(&world, &home, &["--format", "service", "--write"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("the file has another service of this name"), "{}", ended.stderr);

    // Without a region its services would disappear.
    let before = fs::read_to_string(&file).unwrap();
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).in_region("eu-west-1"));
    let (ended, text) = in_home(&world, &home, &["--format", "service", "--write"]).await;
    assert_eq!((ended.code, text), (Some(1), before), "{ended:?}");
    assert!(
        ended.stderr.contains("nothing was written, because the list of targets is not complete"),
        "{}",
        ended.stderr
    );
    let printed = export(&world, "service", &[]).await;
    assert_eq!(printed.code, Some(0));
    assert!(
        printed.stderr.contains("its databases are missing") && printed.stdout.contains("[orders-db]"),
        "{printed:?}"
    );

    fs::remove_file(&file).unwrap();
    symlink("nowhere", &file).unwrap();
    let (ended, _) = in_home(&world, &home, &["--remove"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(".pg_service.conf cannot be changed: No such file"), "{}", ended.stderr);
    let named =
        launch(&world, &["--remove"]).env("PGSERVICEFILE", home.join("none").to_str().unwrap()).run().await;
    assert_eq!(named.code, Some(0), "{named:?}");
    assert!(!home.join("none").exists(), "an empty file is not created");
    world.stop().await;
}
