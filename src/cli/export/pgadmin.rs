//! Servers for pgAdmin: the JSON of its import
//! (<https://www.pgadmin.org/docs/pgadmin4/latest/import_export_servers.html>, "JSON format").

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::process::CommandError;

/// The group of the servers.
const GROUP: &str = "rds-auth-proxy";

/// The database that pgAdmin opens where no other is known; every instance has it.
const MAINTENANCE: &str = "postgres";

/// The file. pgAdmin imports no server without a user.
pub(super) fn render(settings: &[Settings]) -> Result<String, CommandError> {
    let mut servers = Map::new();
    for (settings, number) in settings.iter().zip(1..) {
        let Some(user) = &settings.user else {
            return Err(CommandError::usage("pgAdmin imports no server without a user; name it with --user"));
        };
        servers.insert(format!("{number}"), server(settings, user));
    }
    let file = json!({"Servers": servers});
    Ok(serde_json::to_string_pretty(&file).map_err(CommandError::runtime)? + "\n")
}

fn server(settings: &Settings, user: &str) -> Value {
    json!({
        "Name": settings.name,
        "Group": GROUP,
        "Host": settings.host,
        "Port": settings.port,
        "MaintenanceDB": settings.database.as_deref().unwrap_or(MAINTENANCE),
        "Username": user,
        "ConnectionParameters": {"sslmode": settings.ssl_mode},
    })
}
