//! `rds-auth-proxy client`.

use std::sync::Arc;

use tracing::warn;

use super::args::ClientArguments;
use super::banner::Banner;
use super::choose::{Choice, Kind, choose};
use super::failure::Failure;
use super::logging::Level;
use super::output::{self, Style};
use super::start::{self, Prepared};
use super::{harden, observe, password, tunnel};
use crate::catalog::{Directory, LookupError, Mint, Target};
use crate::client::{Client, UpstreamMode};
use crate::config::{Config, Mode, Upstream, UpstreamTransport};
use crate::net::{Address, HostPort};
use crate::session::{Engine, Hop, Transport};
use crate::shutdown::Shutdown;
use crate::tls;

/// The upstream proxy that is used where several are configured and none is named.
const DEFAULT: &str = "default";

/// Puts the client together, and says what to type.
pub(super) async fn prepare(mut arguments: ClientArguments, log: Level) -> Result<Prepared<Client>, Failure> {
    let password = password::password(&mut arguments)?;
    let (file, config) = start::configuration(arguments.configfile.as_deref(), Mode::Client)?;
    log.configure(config.log_level);
    start::announce(&file.path);
    harden::check_file_limit(&config.limits);
    let recorder = observe::recorder(&config)?;
    let upstream = if arguments.direct {
        None
    } else {
        Some(choose_upstream(&config, arguments.proxy_target.as_deref())?)
    };
    let aws = start::aws(&config).await?;
    let directory = start::directory(&config, aws.as_ref())?;
    list(&directory).await?;
    let target = choose_target(&directory, arguments.target.as_deref()).await?;

    let shutdown = Shutdown::new();
    let upstream_mode = match upstream {
        Some(upstream) => upstream_mode(upstream, &shutdown).await?,
        None => UpstreamMode::Direct,
    };
    if let Some(aws) = aws.clone() {
        // For the HINT of a refused login; nobody waits for it.
        tokio::spawn(async move { aws.identity().await });
    }
    let mint = aws.map(|aws| Arc::new(aws.minter()) as Arc<dyn Mint>);
    let (listener, bound) = start::listen(&listen_address(&config.listen, &target), "listening").await?;
    observe::admin(&config, recorder, None, &shutdown).await?;
    let banner = Banner {
        target: &target.name,
        address: &target.address,
        upstream: upstream.map(|upstream| upstream.name.as_str()),
        listen: &bound,
        database: target.database.as_deref(),
    };
    output::print(banner.render(Style::of_stdout()))?;

    let engine =
        Engine::new(Client { target, upstream_mode, password, mint }, config.acceptor, config.limits);
    Ok(Prepared { engine: Arc::new(engine), listener, stop: config.stop, shutdown })
}

/// Lists the databases of RDS. Where that fails, the targets of the configuration have to do.
async fn list(directory: &Directory) -> Result<(), Failure> {
    match directory.refresh().await {
        Err(error) if directory.targets().is_empty() => Err(Failure::runtime(error)),
        Err(error) => {
            warn!(%error, "discovery failed; only the targets of the configuration can be used");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Without a name it is the one called `default`, or the only one there is.
fn choose_upstream<'a>(config: &'a Config, wanted: Option<&str>) -> Result<&'a Upstream, Failure> {
    if config.upstreams.is_empty() {
        return Err(Failure::usage(
            "the configuration has no upstream_proxies; add one, or connect straight to the database with --direct",
        ));
    }
    let choices: Vec<_> = config.upstreams.values().map(upstream_choice).collect();
    let wanted = wanted.or_else(|| match choices.as_slice() {
        [only] => Some(only.name.as_str()),
        _ => config.upstreams.contains_key(DEFAULT).then_some(DEFAULT),
    });
    let chosen = choose(Kind::UpstreamProxy, &choices, wanted)?;
    config.upstreams.get(&chosen.name).ok_or_else(|| Failure::usage("no upstream proxy was chosen"))
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

/// The directory is asked first: it takes addresses too, and knows why a target is not among the choices.
async fn choose_target(directory: &Directory, wanted: Option<&str>) -> Result<Target, Failure> {
    if let Some(wanted) = wanted {
        match directory.by_name(wanted).await {
            Ok(target) => return Ok(target),
            Err(LookupError::Unknown { .. }) => {}
            Err(refused) => return Err(Failure::usage(refused)),
        }
    }
    let targets = directory.targets();
    let choices: Vec<_> = targets.iter().map(target_choice).collect();
    let chosen = choose(Kind::Target, &choices, wanted)?;
    let place = choices.iter().position(|choice| choice == chosen);
    place.and_then(|place| targets.get(place)).cloned().ok_or_else(|| Failure::usage("no target was chosen"))
}

fn target_choice(target: &Target) -> Choice {
    let region = target.iam.as_ref().map(|iam| format!(" in {}", iam.region)).unwrap_or_default();
    Choice { name: target.name.clone(), description: format!("{}{region}", target.address) }
}

async fn upstream_mode(upstream: &Upstream, shutdown: &Shutdown) -> Result<UpstreamMode, Failure> {
    if upstream.tls.mode() == tls::SslMode::Require && !upstream.tls.verifies() {
        warn!(
            upstream = upstream.name,
            "TLS to this upstream proxy encrypts but does not verify who answers; set ssl.mode to verify-full"
        );
    }
    let transport = match &upstream.transport {
        UpstreamTransport::Host(address) => Transport::Address(address.clone()),
        UpstreamTransport::PortForward(forward) => {
            tunnel::transport(forward, &upstream.tls, shutdown).await?
        }
    };
    let hop = Hop {
        name: format!("the upstream proxy {}", upstream.name),
        transport,
        tls: Arc::clone(&upstream.tls),
    };
    Ok(if upstream.aws_auth_only {
        UpstreamMode::AuthOnly(hop)
    } else {
        UpstreamMode::PasswordInStartup(hop)
    })
}

/// The address to listen on: a target may have a port of its own.
fn listen_address(configured: &Address, target: &Target) -> Address {
    match (configured, target.local_port) {
        (Address::Tcp(address), Some(port)) => Address::Tcp(HostPort { host: address.host.clone(), port }),
        _ => configured.clone(),
    }
}
