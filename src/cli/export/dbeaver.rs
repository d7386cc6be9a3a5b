//! Connections for DBeaver: a file `data-sources*.json` in the directory `.dbeaver` of a project
//! (<https://dbeaver.com/docs/dbeaver/Admin-Manage-Connections/>). The keys are those that DBeaver reads
//! (`parseDataSources` in its `DataSourceSerializerModern.java`).

use serde_json::{Map, Value, json};

use super::settings::Settings;
use super::url::jdbc_of_database;
use crate::process::CommandError;

/// The folder of the connections.
const FOLDER: &str = "rds-auth-proxy";

/// The file.
pub(super) fn render(settings: &[Settings]) -> Result<String, CommandError> {
    let connections: Map<_, _> = settings
        .iter()
        .map(|settings| (format!("postgres-jdbc-{}", settings.uuid()), connection(settings)))
        .collect();
    let file = json!({"folders": {FOLDER: {}}, "connections": connections});
    Ok(serde_json::to_string_pretty(&file).map_err(CommandError::runtime)? + "\n")
}

fn connection(settings: &Settings) -> Value {
    let mut configuration = json!({
        "host": settings.host,
        "port": settings.port.to_string(),
        "url": jdbc_of_database(settings),
        "configurationType": "MANUAL",
        "auth-model": "native",
        "properties": {"sslmode": settings.ssl_mode},
    });
    for (key, value) in [("database", &settings.database), ("user", &settings.user)] {
        if let (Some(value), Some(fields)) = (value, configuration.as_object_mut()) {
            fields.insert(key.to_owned(), json!(value));
        }
    }
    json!({
        "provider": "postgresql",
        "driver": "postgres-jdbc",
        "name": settings.name,
        // Without a saved password there is no prompt for one, and the client needs none.
        "save-password": true,
        "folder": FOLDER,
        "configuration": configuration,
    })
}
