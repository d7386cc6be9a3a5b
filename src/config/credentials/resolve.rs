//! Resolves the raw configuration to settings.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::dynamic::DynamicServices;
use super::listen;
use super::raw::{Prometheus, RawFile, Server, Times};
use super::seconds::seconds;
use super::service::Resolver;
use super::settings::{CredentialsConfig, Flags};
use super::source::{CHAIN, Named};
use super::variables::Names;
use crate::config::Remark;
use crate::config::environment::Environment;
use crate::config::key_error::KeyError;
use crate::config::key_path::KeyPath;
use crate::config::scalars::Parsed;
use crate::net::HostPort;
use crate::services::Timing;

const DEFAULT_METRICS_HOST: &str = "0.0.0.0";
const DEFAULT_METRICS_PORT: u16 = 9090;

/// Adds the defaults, and refuses contradictions. `root` is the path of the sections.
pub(super) fn resolve(
    raw: RawFile,
    root: &KeyPath,
    names: &Names,
    flags: Flags,
    mut remarks: Vec<Remark>,
) -> Result<CredentialsConfig, KeyError> {
    let environment = names.environment();
    let defaults = Named::read(raw.aws_defaults, &root.key("aws_defaults"), environment, &mut remarks)?;
    let defaults = defaults.or(&CHAIN);
    let path = root.key("services");
    let mut resolver = Resolver { path: &path, defaults: &defaults, environment, remarks: &mut remarks };
    let services = resolver.resolve(raw.services)?;
    let section = root.key("dynamic_services");
    let dynamic = DynamicServices::resolve(raw.dynamic_services, &section, &defaults, environment)?;
    if services.is_empty() && dynamic.is_none() {
        let reason = "there is no service; write one below `services:`, or set `enabled: true` below `dynamic_services:`";
        return Err(KeyError::of_key(path, reason));
    }
    let path = root.key("server");
    Ok(CredentialsConfig {
        listen: listen::address(&raw.server, &path)?,
        socket: socket(&raw.server, &path, environment)?,
        metrics: metrics(&raw.metrics.prometheus),
        services,
        dynamic,
        timing: timing(&raw.credentials, &root.key("credentials"))?,
        log_health_checks: raw.server.log_health_checks.unwrap_or(false),
        log_level: log_level(&raw.server, names, flags, &mut remarks),
        remarks,
        read_files: Vec::new(),
    })
}

fn socket(raw: &Server, path: &KeyPath, environment: &Environment) -> Result<Option<PathBuf>, KeyError> {
    let Some(Parsed(text)) = &raw.socket else { return Ok(None) };
    let expanded = environment.path(&text.0);
    expanded.map(Some).map_err(|unset| KeyError::of_value(path.key("socket"), unset.reason()))
}

fn metrics(raw: &Prometheus) -> Option<HostPort> {
    let host = raw.host.as_ref().map_or(DEFAULT_METRICS_HOST, |host| &host.0.0);
    let port = raw.port.as_ref().map_or(DEFAULT_METRICS_PORT, |port| port.0);
    raw.enabled.unwrap_or(true).then(|| HostPort::new(host, port))
}

fn timing(raw: &Times, path: &KeyPath) -> Result<Timing, KeyError> {
    let default = Timing::default();
    let times = [
        ("refresh_buffer_seconds", &raw.refresh_buffer_seconds, 0..=3600, default.refresh_buffer),
        ("retry_delay", &raw.retry_delay, 1..=300, default.retry_delay),
        ("request_timeout", &raw.request_timeout, 1..=300, default.request_timeout),
    ];
    let [refresh_buffer, retry_delay, request_timeout] =
        times.map(|(key, raw, range, default)| seconds(&path.key(key), raw.as_ref(), range, default));
    Ok(Timing {
        refresh_buffer: refresh_buffer?,
        retry_delay: retry_delay?,
        request_timeout: request_timeout?,
    })
}

fn log_level(raw: &Server, names: &Names, flags: Flags, remarks: &mut Vec<Remark>) -> LevelFilter {
    let debug = |on: bool| on.then_some(LevelFilter::DEBUG);
    let variable = names.level(remarks);
    let level = flags.log_level.or_else(|| debug(flags.dev)).or(variable);
    level.or_else(|| debug(raw.debug.unwrap_or(false))).unwrap_or(LevelFilter::INFO)
}
