//! `client`: chooses the upstream proxy and the targets, and prints how to connect.

use super::args::ClientArguments;
use super::banner::{Banner, Row};
use super::choose::{Choice, Kind, choose};
use super::choose_targets::choose_targets;
use super::listen;
use super::output;
use super::password_file;
use crate::app::client::{self, Chosen, Ready, Selection};
use crate::app::start::Start;
use crate::app::upstream::default_name;
use crate::app::{Catalog, ListenFlags, Prepared, PrivateAddress, Wrapped};
use crate::config::{Config, Mode, Upstream, UpstreamTransport};
use crate::process::logging::Log;
use crate::process::{CommandError, Style};

/// Prepares the client, and prints the banner once it listens.
pub(super) async fn prepare(mut arguments: ClientArguments, log: Log) -> Result<Prepared, CommandError> {
    let password = password_file::password(&mut arguments)?;
    let mode = if arguments.direct { Mode::DirectClient } else { Mode::Client };
    let mut listen_flags = listen::flags(&arguments)?;
    let private = private_address(&arguments, &listen_flags)?;
    if let Some(private) = &private {
        listen_flags.address = Some(private.address().clone());
        log.quieten();
    }
    let start = Start::read(arguments.source.configfile.as_deref(), mode, &log)?;
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
    let catalog = Catalog::load(&start.config, arguments.source.profile.as_deref(), arguments.all).await?;
    log.flush();
    let targets = choose_targets(&catalog.directory, &start.config, &arguments).await?;
    let only = match &targets {
        Chosen::One(target) => Some(target.clone()),
        Chosen::Several(_) => None,
    };
    if private.is_some() && only.is_none() {
        return Err(CommandError::usage("a command behind `--` needs one target; name it with --target"));
    }
    // A command has the client to itself, and other clients may run.
    let serves_credentials = private.is_none();
    let selection =
        Selection { targets, upstream: upstream.clone(), password, listen_flags, serves_credentials };
    let Ready { mut prepared, served } = client::prepare(start, catalog, selection, log.clone()).await?;
    log.flush();
    if let (Some(address), Some(target)) = (private, &only) {
        let ClientArguments { command: words, user, .. } = arguments;
        prepared.command = Some(Wrapped::new(words, user, target.database.clone(), address));
        return Ok(prepared);
    }
    let listen = &prepared.address;
    let targets = match &only {
        Some(target) => vec![Row::new(target, listen.port())],
        None => served.iter().map(|served| Row::new(&served.target, served.port)).collect(),
    };
    let upstream = upstream.as_ref().map(|upstream| upstream.name.as_str());
    let banner = Banner { targets, shared: only.is_none(), upstream, listen };
    output::print(banner.render(Style::of_stdout()))?;
    Ok(prepared)
}

/// Where the client listens for a command; absent without one.
fn private_address(
    arguments: &ClientArguments,
    flags: &ListenFlags,
) -> Result<Option<PrivateAddress>, CommandError> {
    if arguments.command.is_empty() {
        return Ok(None);
    }
    if flags.address.is_some() || flags.port.is_some() {
        return Err(CommandError::usage(
            "--listen and --port exclude a command behind `--`, which has a private socket",
        ));
    }
    PrivateAddress::new().map(Some)
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
    let wanted = wanted.or_else(|| default_name(config));
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
