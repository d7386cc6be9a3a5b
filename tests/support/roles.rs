//! The roles of the test database: which there are from the start, and how to make more.
//!
//! A role logs in with an IAM token when it is a member of `rds_iam`, as on RDS, and otherwise as its login group
//! says. Names are not unique to a test: a test that changes a role makes its own, see [`super::scratch::unique`].

use std::collections::HashMap;
use std::sync::Mutex;

use super::postgres::Postgres;
use super::scratch::random_text;

/// How PostgreSQL asks a role for its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Not at all: RDS verifies an IAM token.
    Iam,
    /// SCRAM-SHA-256.
    Scram,
    /// Salted MD5.
    Md5,
    /// In clear.
    Password,
    /// Not at all.
    Trust,
}

/// The database everybody may use.
pub const DATABASE: &str = "app";

/// The roles of every cluster, by what they are.
const STANDARD: &[(&str, Login)] = &[
    ("alice", Login::Iam),
    ("by_scram", Login::Scram),
    ("by_md5", Login::Md5),
    ("by_password", Login::Password),
    ("by_trust", Login::Trust),
];

/// The passwords given out.
#[derive(Default)]
pub(super) struct Roles(Mutex<HashMap<String, String>>);

impl Postgres {
    /// Makes a role that may log in, and returns its password (empty where it has none).
    pub async fn create_role(&self, name: &str, login: Login) -> String {
        let password = match login {
            Login::Iam | Login::Trust => String::new(),
            Login::Scram | Login::Md5 | Login::Password => random_text(24),
        };
        let (encryption, group) = match login {
            Login::Iam => ("scram-sha-256", "rds_iam"),
            Login::Scram => ("scram-sha-256", "login_by_scram"),
            Login::Md5 => ("md5", "login_by_md5"),
            Login::Password => ("scram-sha-256", "login_by_password"),
            Login::Trust => ("scram-sha-256", "login_by_trust"),
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

    /// Makes a database in which everybody may create tables.
    pub async fn create_database(&self, name: &str) {
        self.execute(&format!("CREATE DATABASE {}", quoted(name))).await;
    }

    /// The password of a role that this cluster has made one for.
    pub fn password(&self, role: &str) -> String {
        self.roles.0.lock().unwrap()[role].clone()
    }

    /// All passwords, for the search for secrets.
    pub fn passwords(&self) -> Vec<String> {
        self.roles.0.lock().unwrap().values().cloned().collect()
    }

    /// Whether `user` logs in with an IAM token.
    pub async fn uses_iam(&self, user: &str) -> bool {
        let user = user.replace('\'', "''");
        let sql = format!(
            "SELECT NOT rolsuper AND pg_has_role(oid, 'rds_iam', 'member') FROM pg_roles WHERE rolname = '{user}'"
        );
        self.value(&sql).await.as_deref() == Some("t")
    }
}

/// What every cluster has: the groups, the standard roles, and the database in which all may create tables.
pub(super) async fn create_standard(postgres: &Postgres) {
    postgres
        .execute(
            "CREATE ROLE rds_iam; CREATE ROLE login_by_scram; CREATE ROLE login_by_md5;
             CREATE ROLE login_by_password; CREATE ROLE login_by_trust",
        )
        .await;
    postgres.create_database(DATABASE).await;
    for (name, login) in STANDARD {
        postgres.create_role(name, *login).await;
    }
}

/// As an identifier in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
