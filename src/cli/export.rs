//! `export`: settings with which tools reach the targets through a client on this machine.

mod datagrip;
mod dbeaver;
mod pgadmin;
mod service;
mod service_block;
mod service_file;
mod settings;
mod url;
mod variables;

use tracing::warn;

use super::args::{ExportArguments, ExportFormat};
use super::{output, pick};
use crate::app::{Overview, Reachable, once};
use crate::catalog::NamePattern;
use crate::net::Address;
use crate::process::CommandError;
use settings::Settings;

/// Prints the settings, or writes them into the service file of libpq.
pub(super) fn run(arguments: &ExportArguments) -> Result<(), CommandError> {
    if arguments.remove {
        return service_file::remove();
    }
    let format =
        arguments.format.ok_or_else(|| CommandError::usage("--format names the format of the output"))?;
    if arguments.write && format != ExportFormat::Service {
        return Err(CommandError::usage(
            "--write works with --format service only; redirect the output of the other formats",
        ));
    }
    once(export(arguments, format))
}

async fn export(arguments: &ExportArguments, format: ExportFormat) -> Result<(), CommandError> {
    let overview =
        Overview::load(arguments.source.configfile.as_deref(), arguments.source.profile.as_deref()).await?;
    if let Some(error) = overview.directory.error().filter(|_| arguments.write) {
        // A block without these targets would take them out of the file.
        return Err(CommandError::runtime(format_args!(
            "nothing was written, because the list of targets is not complete: {error}"
        )));
    }
    if let (Address::Unix(_), ExportFormat::Jdbc | ExportFormat::Dbeaver | ExportFormat::Datagrip) =
        (&overview.config.listen, format)
    {
        return Err(CommandError::usage(
            "the JDBC driver has no Unix sockets; set proxy.listen_addr to an address such as 127.0.0.1:8001",
        ));
    }
    let chosen = chosen(&overview, &arguments.target).await?;
    let settings = settings::of(&overview.config, chosen, arguments.user.as_deref())?;
    if arguments.write {
        return service_file::write(&settings);
    }
    output::print(render(&settings, format)?)
}

/// The targets that one of the patterns fits; without a pattern all that have a port.
async fn chosen(overview: &Overview, patterns: &[NamePattern]) -> Result<Vec<Reachable>, CommandError> {
    let mut targets = overview.targets();
    for pattern in patterns {
        if !targets.iter().any(|target| target.is_chosen_by(pattern)) {
            return Err(pick::without_match(&overview.directory, pattern).await);
        }
    }
    targets
        .retain(|target| patterns.is_empty() || patterns.iter().any(|pattern| target.is_chosen_by(pattern)));
    for Reachable { target, .. } in targets.iter().filter(|target| target.local_port.is_none()) {
        warn!(
            name = target.name,
            address = %target.address,
            "this target has no local port, because its name is not unique; it is left out"
        );
    }
    targets.retain(|target| target.local_port.is_some());
    if targets.is_empty() {
        return Err(CommandError::usage(
            "there is no target to export; `rds-auth-proxy targets --hidden` has the reasons",
        ));
    }
    Ok(targets)
}

fn render(settings: &[Settings], format: ExportFormat) -> Result<String, CommandError> {
    match format {
        ExportFormat::Service => service::render(settings),
        ExportFormat::Env => variables::render(settings),
        ExportFormat::Url => Ok(url::render(settings, url::postgresql)),
        ExportFormat::Jdbc => Ok(url::render(settings, url::jdbc)),
        ExportFormat::Dbeaver => dbeaver::render(settings),
        ExportFormat::Datagrip => Ok(datagrip::render(settings)),
        ExportFormat::Pgadmin => pgadmin::render(settings),
    }
}
