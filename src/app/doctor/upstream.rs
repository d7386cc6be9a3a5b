//! The upstream proxy: whether it can be reached, its TLS, and which program it is.

use std::future::ready;

use super::check::{Finding, Report};
use super::request::Request;
use super::{cluster, tls};
use crate::app::{tunnel, upstream};
use crate::catalog::{named, nearest};
use crate::client::UpstreamMode;
use crate::config::{Config, Upstream, UpstreamTransport};
use crate::session::{Hop, Limits, Probe, Program, Transport};

/// The checks of every upstream proxy.
pub(super) const CHECKS: [&str; 3] = ["upstream", "upstream_tls", LAST];

/// The check that a login needs: another program must not get a token.
pub(super) const LAST: &str = "upstream_program";

/// Examines the upstream proxy. Returns the mode of a login through it, if it is one.
pub(super) async fn examine(
    request: &Request,
    config: &Config,
    report: &mut Report<'_>,
) -> Option<UpstreamMode> {
    let [reached, secured, identified] = CHECKS;
    let (upstream, hop) = match choose(config, request.proxy_target.as_deref()) {
        Err(finding) => {
            report.check(reached, ready(finding)).await;
            report.skip(&[secured, identified], reached);
            return None;
        }
        Ok(upstream) => (upstream, hop(upstream, report).await?),
    };
    let limits = &config.limits;
    if report.check(reached, reach(&hop, limits)).await.is_none() {
        report.skip(&[secured, identified], reached);
        return None;
    }
    let Some(probe) = report.check(secured, secure(upstream, &hop, limits)).await else {
        report.skip(&[identified], secured);
        return None;
    };
    report.check(identified, program(probe)).await?;
    Some(upstream::mode(upstream, hop))
}

/// The upstream proxy that a client would use.
fn choose<'a>(config: &'a Config, wanted: Option<&str>) -> Result<&'a Upstream, Finding<()>> {
    let names = || config.upstreams.keys().map(String::as_str);
    let Some(wanted) = wanted.or_else(|| upstream::default_name(config)) else {
        return Err(if config.upstreams.is_empty() {
            let remedy = "add one, or connect straight to the database with --direct";
            Finding::failed("the configuration has no upstream_proxies", Some(remedy.into()))
        } else {
            let names: Vec<_> = names().collect();
            Finding::skipped(format_args!("name one of {} with --proxy-target", names.join(", ")))
        });
    };
    let found = named(config.upstreams.values(), wanted, |upstream| &upstream.name);
    let Some(upstream) = found.first() else {
        let near = nearest(names(), wanted, 1);
        let remedy = near.first().map(|name| format!("did you mean {name}?"));
        return Err(Finding::failed(format_args!("no upstream proxy is called \"{wanted}\""), remedy));
    };
    match upstream.connector() {
        Ok(_) => Ok(upstream),
        Err(error) => Err(Finding::error(error)),
    }
}

/// The hop, with the checks of its cluster. Absent where one failed that the others need.
async fn hop(upstream: &Upstream, report: &mut Report<'_>) -> Option<Hop> {
    let connector = upstream.connector().ok()?;
    let transport = match &upstream.transport {
        UpstreamTransport::Host(address) => Transport::Address(address.clone()),
        UpstreamTransport::PortForward(forward) => {
            let tunnel = tunnel::new(forward, connector);
            if let Err(needed) = cluster::examine(&tunnel, forward, report).await {
                report.skip(&CHECKS, needed);
                return None;
            }
            tunnel::through(&tunnel, forward)
        }
    };
    Some(upstream::hop(upstream, connector, transport))
}

/// Opens a connection to a hop, and closes it.
pub(super) async fn reach(hop: &Hop, limits: &Limits) -> Finding<()> {
    match Probe::reach(hop, limits).await {
        Ok(name) => Finding::ok(format_args!("{name} accepts connections"), ()),
        Err(failure) => Finding::failure(&failure),
    }
}

async fn secure(upstream: &Upstream, hop: &Hop, limits: &Limits) -> Finding<Probe> {
    match Probe::secure(hop, limits).await {
        Ok(probe) => tls::finding(probe, &hop.tls, upstream.tls_warning()),
        Err(failure) => Finding::failure(&failure),
    }
}

async fn program(probe: Probe) -> Finding<()> {
    let name = probe.name.clone();
    match probe.program().await {
        Ok(Program::This) => Finding::ok("a server of this program", ()),
        Ok(Program::Go) => Finding::ok("a server of the Go program of the same name", ()),
        Ok(Program::Other) => Finding::failed(
            format_args!("{name} is neither a server of this program nor one of the Go program"),
            Some("check the address; for a database itself, use --direct".into()),
        ),
        Err(failure) => Finding::failure(&failure),
    }
}
