//! `client`: chooses the upstream proxy and the target, and prints how to connect.

use super::args::ClientArguments;
use super::banner::Banner;
use super::choose::{Choice, Kind, choose};
use super::listen;
use super::output;
use super::password_file;
use crate::app::Prepared;
use crate::app::client::{self, Selection};
use crate::app::start::Start;
use crate::catalog::{Directory, LookupError, Target, named};
use crate::client::Client;
use crate::config::{Config, Mode, Upstream, UpstreamTransport};
use crate::process::logging::Log;
use crate::process::{CommandError, Style};

/// The upstream proxy that is used where several are configured and none is named, in any case.
const DEFAULT: &str = "default";

/// Prepares the client, and prints the banner once it listens.
pub(super) async fn prepare(
    mut arguments: ClientArguments,
    log: Log,
) -> Result<Prepared<Client>, CommandError> {
    let password = password_file::password(&mut arguments)?;
    let mode = if arguments.direct { Mode::DirectClient } else { Mode::Client };
    let listen_flags = listen::flags(&arguments)?;
    let start = Start::read(arguments.configfile.as_deref(), mode, &log)?;
    if listen_flags.address.is_none() {
        start.config.check_listen().map_err(CommandError::usage)?;
    }
    // A line that arrives later would overwrite the prompt.
    log.flush();
    let upstream = if arguments.direct {
        None
    } else {
        Some(choose_upstream(&start.config, arguments.proxy_target.as_deref())?.clone())
    };
    let catalog = client::catalog(&start.config).await?;
    log.flush();
    let target = choose_target(&catalog.directory, arguments.target.as_deref()).await?;
    let target = start.config.with_named(target);
    let selection = Selection { target: target.clone(), upstream: upstream.clone(), password, listen_flags };
    let prepared = client::prepare(start, catalog, selection, log.clone()).await?;
    log.flush();
    let banner = Banner {
        target: &target.name,
        address: &target.address,
        upstream: upstream.as_ref().map(|upstream| upstream.name.as_str()),
        listen: &prepared.address,
        database: target.database.as_deref(),
    };
    output::print(banner.render(Style::of_stdout()))?;
    Ok(prepared)
}

/// The upstream proxy of this name; without a name the one called `default`, or the only one. Fails if its files cannot be
/// used.
fn choose_upstream<'a>(config: &'a Config, wanted: Option<&str>) -> Result<&'a Upstream, CommandError> {
    if config.upstreams.is_empty() {
        return Err(CommandError::usage(
            "the configuration has no upstream_proxies; add one, or connect straight to the database with --direct",
        ));
    }
    let choices: Vec<_> = config.upstreams.values().map(upstream_choice).collect();
    let wanted = wanted.or_else(|| match choices.as_slice() {
        [only] => Some(only.name.as_str()),
        several => {
            let default = !named(several.iter(), DEFAULT, |choice| &choice.name).is_empty();
            default.then_some(DEFAULT)
        }
    });
    let chosen = choose(Kind::UpstreamProxy, &choices, wanted)?;
    let chosen = config.upstreams.get(&chosen.name);
    let chosen = chosen.ok_or_else(|| CommandError::usage("no upstream proxy was chosen"))?;
    chosen.connector().map_err(CommandError::usage)?;
    Ok(chosen)
}

fn upstream_choice(upstream: &Upstream) -> Choice {
    let description = match &upstream.transport {
        UpstreamTransport::Host(address) => address.to_string(),
        UpstreamTransport::PortForward(forward) => match &forward.namespace {
            Some(namespace) => format!("port-forward into the namespace {namespace}"),
            None => "port-forward".into(),
        },
    };
    Choice { name: upstream.name.clone(), description }
}

/// The target of this name or address. The directory looks first: it knows addresses too, and why a database is not a
/// target.
async fn choose_target(directory: &Directory, wanted: Option<&str>) -> Result<Target, CommandError> {
    if let Some(wanted) = wanted {
        match directory.by_name(wanted).await {
            Ok(target) => return Ok(target),
            Err(LookupError::Unknown { .. }) => refuse_skipped(directory, wanted).await?,
            Err(error) => return Err(CommandError::usage(error)),
        }
    }
    let (targets, refused) = (directory.targets(), directory.refused());
    let choices: Vec<_> =
        targets.iter().map(target_choice).chain(refused.iter().filter_map(refused_choice)).collect();
    let chosen = choose(Kind::Target, &choices, wanted)?;
    let index = choices.iter().position(|choice| choice == chosen).unwrap_or(choices.len());
    if let Some(target) = targets.get(index) {
        return Ok(target.clone());
    }
    match directory.by_name(&chosen.name).await {
        Ok(target) => Ok(target),
        Err(error) => Err(CommandError::usage(error)),
    }
}

async fn refuse_skipped(directory: &Directory, wanted: &str) -> Result<(), CommandError> {
    match directory.why_skipped(wanted).await {
        Some(why) => Err(CommandError::usage(format_args!(
            "the target \"{wanted}\" cannot be used; RDS has it in {why}"
        ))),
        None => Ok(()),
    }
}

fn target_choice(target: &Target) -> Choice {
    let region = target.iam.as_ref().map(|iam| format!(" in {}", iam.region)).unwrap_or_default();
    Choice { name: target.name.clone(), description: format!("{}{region}", target.address) }
}

/// A database that the `target_acl` refuses: a server with the same one refuses it too.
fn refused_choice((place, error): &(String, LookupError)) -> Option<Choice> {
    let LookupError::Refused { name, refusal } = error else { return None };
    Some(Choice { name: name.clone(), description: format!("{place} (not allowed: {refusal})") })
}
