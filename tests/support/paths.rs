//! The paths that `tests/drivers/run.sh` tests: the configurations `door.yaml` and `mutual.yaml` of the front door, and for each path a file
//! `paths/NAME.sh` with libpq's variables, which every driver program reads.
//!
//! | path | application connects to | password |
//! |---|---|---|
//! | `client` | the client, in clear; an IAM user | none |
//! | `door` | the front door, `SSLRequest`, `verify-full` | its own, by SCRAM |
//! | `direct` | the same with direct TLS | its own |
//! | `mutual` | a front door that requires a client certificate, `SSLRequest`, `verify-full` | its own |
//!
//! `OWNER` and `OWNERPASSWORD` are a superuser of the same kind, for tools that need one.

use std::fs;
use std::path::Path;

use crate::support::certificates::{Authority, Validity};
use crate::support::ports::free_port;
use crate::support::roles::{AuthMethod, DATABASE};
use crate::support::world::Running;

/// Creates the superusers and writes the files.
pub(crate) async fn write(world: &Running, directory: &Path, client_port: u16) {
    let passwords = Passwords::create(world).await;
    let paths = directory.join("paths");
    fs::create_dir_all(&paths).unwrap();
    let write = |name: &str, text: String| fs::write(paths.join(format!("{name}.sh")), text).unwrap();
    write(
        "client",
        format!("{}export PGUSER=alice PGSSLMODE=disable OWNER=owner\n", address("127.0.0.1", client_port)),
    );
    let door = write_door(world, directory, "door", "");
    write("door", passwords.environment(door));
    write("direct", passwords.environment(door) + "export PGSSLNEGOTIATION=direct\n");
    let ca = Authority::trusted().path.display();
    let demands = format!(", client_auth: require, client_ca: {ca}");
    let mutual = write_door(world, directory, "mutual", &demands);
    write("mutual", passwords.environment(mutual) + &client_certificate());
}

/// The variables of a client certificate. Java reads a key in DER only.
fn client_certificate() -> String {
    let certificate = Authority::trusted().issue_client("drivers", &[], Validity::Now);
    let der = certificate.key_path.with_extension("der");
    fs::write(&der, certificate.der().1.secret_der()).unwrap();
    let (path, key) = (certificate.path.display(), certificate.key_path.display());
    format!("export PGSSLCERT={path} PGSSLKEY={key} PGSSLKEY_DER={}\n", der.display())
}

struct Passwords {
    application: String,
    owner: String,
}

impl Passwords {
    async fn create(world: &Running) -> Self {
        let postgres = &world.postgres;
        postgres.create_role("owner", AuthMethod::Iam).await;
        let owner = postgres.create_role("owner_by_scram", AuthMethod::Scram).await;
        postgres
            .execute(
                "ALTER ROLE owner SUPERUSER REPLICATION; ALTER ROLE owner_by_scram SUPERUSER REPLICATION;
                 GRANT CREATE ON DATABASE app TO alice, by_scram",
            )
            .await;
        Self { application: postgres.password("by_scram"), owner }
    }

    fn environment(&self, port: u16) -> String {
        let Self { application, owner } = self;
        let ca = Authority::trusted().path.display();
        format!(
            "{}export PGUSER=by_scram PGCHANNELBINDING=disable PGPASSWORD={application} OWNER=owner_by_scram OWNERPASSWORD={owner}\n\
             export PGSSLMODE=verify-full PGSSLROOTCERT={ca}\n",
            address("localhost", port)
        )
    }
}

fn address(host: &str, port: u16) -> String {
    format!("export PGHOST={host} PGPORT={port} PGDATABASE={DATABASE}\n")
}

/// Writes the configuration NAME.yaml of a server whose default target is the database, with further keys of `proxy.ssl`. Returns its
/// port.
fn write_door(world: &Running, directory: &Path, name: &str, keys: &str) -> u16 {
    let port = free_port();
    let (certificate, key) = (&world.server_certificate.path, &world.server_certificate.key_path);
    let text = format!(
        "# A front door: applications connect to it over TLS with their own password.\n\
         proxy:\n  listen_addr: 127.0.0.1:{port}\n  drain_timeout: 0\n  default_target: database\n  \
         ssl: {{enabled: true, certificate: {}, private_key: {}{keys}}}\n\
         rds: {{enabled: false}}\n\
         targets:\n  database: {{host: '{}', ssl: {{mode: verify-full, root_certificate: {}}}}}\n",
        certificate.display(),
        key.display(),
        format_args!("localhost:{}", world.postgres.port),
        Authority::trusted().path.display(),
    );
    fs::write(directory.join(format!("{name}.yaml")), text).unwrap();
    port
}
