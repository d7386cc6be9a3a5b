//! `credentials policy`: the IAM policy for the source credentials.

use super::services::read;
use crate::catalog::nearest;
use crate::cli::args::{CredentialsArguments, PolicyArguments};
use crate::cli::output;
use crate::process::CommandError;
use crate::services::{BasePolicy, Service};

/// Prints the policy, as JSON.
pub(super) fn run(arguments: &CredentialsArguments, chosen: &PolicyArguments) -> Result<(), CommandError> {
    let services = choose(read(&arguments.source())?, &chosen.services)?;
    if let Some((first, other)) = with_different_sources(&services) {
        output::remark(&format!(
            "warning: the services `{first}` and `{other}` have different source credentials; name the services of one identity to \
             print the policy for it"
        ));
    }
    let policy = serde_json::to_string_pretty(&BasePolicy::of(&services)).map_err(CommandError::runtime)?;
    output::print(format!("{policy}\n"))
}

/// Those with these names; all of them if no name is given.
fn choose(mut services: Vec<Service>, names: &[String]) -> Result<Vec<Service>, CommandError> {
    for name in names {
        if !services.iter().any(|service| service.name == *name) {
            let known = services.iter().map(|service| service.name.as_str());
            let near = nearest(known, name, 1).first().map(|near| format!("; did you mean `{near}`?"));
            let near = near.unwrap_or_default();
            return Err(CommandError::usage(format!("there is no service `{name}`{near}")));
        }
    }
    services.retain(|service| names.is_empty() || names.contains(&service.name));
    if services.is_empty() {
        return Err(CommandError::usage("there is no service, so there is no role to assume"));
    }
    Ok(services)
}

/// The names of two services whose roles are assumed by different identities.
fn with_different_sources(services: &[Service]) -> Option<(&str, &str)> {
    let first = services.first()?;
    let other = services.iter().find(|service| service.source.base != first.source.base)?;
    Some((&first.name, &other.name))
}
