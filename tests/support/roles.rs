//! The roles of the test database: the standard roles, and functions that create more.
//!
//! A member of `rds_iam` logs in with an IAM token, as on RDS. The group of every other role sets its authentication
//! method. Tests share the standard roles; a test that changes a role creates one with [`super::scratch::unique`].

use std::collections::HashMap;
use std::sync::Mutex;

use super::postgres::Postgres;
use super::scratch::random_text;

/// How a role authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// An IAM token, which the fake RDS verifies.
    Iam,
    /// SCRAM-SHA-256.
    Scram,
    /// Salted MD5.
    Md5,
    /// A password in clear text.
    Password,
    /// No password.
    Trust,
}

/// The database that every role may use.
pub const DATABASE: &str = "app";

/// The roles of every cluster, and how they authenticate.
const STANDARD: &[(&str, AuthMethod)] = &[
    ("alice", AuthMethod::Iam),
    // The first user of every cluster of Aurora DSQL.
    ("admin", AuthMethod::Iam),
    ("by_scram", AuthMethod::Scram),
    ("by_md5", AuthMethod::Md5),
    ("by_password", AuthMethod::Password),
    ("by_trust", AuthMethod::Trust),
];

/// The passwords of the roles.
#[derive(Default)]
pub(super) struct Roles(Mutex<HashMap<String, String>>);

impl Postgres {
    /// Creates a role that may log in. Returns its password, empty for IAM and trust.
    pub async fn create_role(&self, name: &str, method: AuthMethod) -> String {
        let password = match method {
            AuthMethod::Iam | AuthMethod::Trust => String::new(),
            AuthMethod::Scram | AuthMethod::Md5 | AuthMethod::Password => random_text(24),
        };
        let (encryption, group) = match method {
            AuthMethod::Iam => ("scram-sha-256", "rds_iam"),
            AuthMethod::Scram => ("scram-sha-256", "login_by_scram"),
            AuthMethod::Md5 => ("md5", "login_by_md5"),
            AuthMethod::Password => ("scram-sha-256", "login_by_password"),
            AuthMethod::Trust => ("scram-sha-256", "login_by_trust"),
        };
        let clause = if password.is_empty() { String::new() } else { format!("PASSWORD '{password}'") };
        self.execute(&format!(
            "SET LOCAL password_encryption = '{encryption}'; CREATE ROLE {name} LOGIN {clause} IN ROLE {group}",
            name = quoted(name)
        ))
        .await;
        if !password.is_empty() {
            self.roles.0.lock().unwrap().insert(name.to_owned(), password.clone());
        }
        password
    }

    /// Creates a database in which every role may create tables.
    pub async fn create_database(&self, name: &str) {
        self.execute(&format!("CREATE DATABASE {}", quoted(name))).await;
    }

    /// The password of a role that [`Postgres::create_role`] created.
    pub fn password(&self, role: &str) -> String {
        self.roles.0.lock().unwrap()[role].clone()
    }

    /// All passwords, for the search for secrets.
    pub fn passwords(&self) -> Vec<String> {
        self.roles.0.lock().unwrap().values().cloned().collect()
    }

    /// Whether `user` authenticates with an IAM token: as in `pg_hba.conf`, a superuser is no member of every group.
    pub async fn uses_iam(&self, user: &str) -> bool {
        let user = user.replace('\'', "''");
        let sql = format!(
            "WITH RECURSIVE groups(id) AS (
                 SELECT oid FROM pg_roles WHERE rolname = '{user}'
                 UNION SELECT roleid FROM pg_auth_members JOIN groups ON member = id
             ) SELECT 't' FROM groups WHERE id = 'rds_iam'::regrole"
        );
        self.value(&sql).await.as_deref() == Some("t")
    }
}

/// Creates the groups, the standard roles and the database [`DATABASE`].
pub(super) async fn create_standard(postgres: &Postgres) {
    postgres
        .execute(
            "CREATE ROLE rds_iam; CREATE ROLE login_by_scram; CREATE ROLE login_by_md5;
             CREATE ROLE login_by_password; CREATE ROLE login_by_trust",
        )
        .await;
    postgres.create_database(DATABASE).await;
    for (name, method) in STANDARD {
        postgres.create_role(name, *method).await;
    }
}

/// `name` as a quoted SQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
