//! Where a client listens.

use tracing::{info, warn};

use super::bind;
use crate::catalog::Target;
use crate::config::Config;
use crate::net::{Address, HostPort, Listener};
use crate::process::CommandError;

/// The flags that decide where a client listens. They override the configuration and the target.
#[derive(Debug, Default)]
pub(crate) struct ListenFlags {
    /// `--listen`.
    pub(crate) address: Option<Address>,
    /// `--port`.
    pub(crate) port: Option<u16>,
}

/// An address to listen on, and what sets it.
struct Chosen {
    address: Address,
    /// For a refusal.
    setting: &'static str,
    /// The setting to change where the address is in use.
    remedy: &'static str,
}

/// Binds the listener of the only target, or that of several where there is none, unless the configuration forbids that other
/// machines reach it.
pub(super) async fn listen(
    flags: &ListenFlags,
    config: &Config,
    only: Option<&Target>,
) -> Result<(Listener, Address), CommandError> {
    let chosen = match only {
        Some(target) => choose(flags, config, target),
        None => with_port(flags, config, None),
    };
    let Chosen { address, setting, remedy } = chosen?;
    let (listener, bound) = bind::bind(&address, remedy).await?;
    let needs_certificate =
        config.acceptor.as_ref().is_some_and(|acceptor| acceptor.settings().requires_client_certificates());
    let is_remote = config.check_bound(setting, &address, &bound).map_err(CommandError::Usage)?;
    match (is_remote, needs_certificate) {
        (true, true) => {
            info!(address = %bound, "other machines can connect to this client with a client certificate");
        }
        (true, false) => {
            warn!(address = %bound, "other machines can connect to this client and log in with your AWS identity");
        }
        (false, _) => {}
    }
    info!(address = %bound, "listening");
    Ok((listener, bound))
}

/// `--port` before `--listen` before the `local_port` of the target before `proxy.listen_addr`.
fn choose(flags: &ListenFlags, config: &Config, target: &Target) -> Result<Chosen, CommandError> {
    with_port(flags, config, target.local_port.filter(|_| flags.address.is_none()))
}

fn with_port(flags: &ListenFlags, config: &Config, local_port: Option<u16>) -> Result<Chosen, CommandError> {
    let port = flags.port.or(local_port);
    let (setting, base) = match &flags.address {
        Some(address) => ("--listen", address),
        None => ("proxy.listen_addr", &config.listen),
    };
    let address = match (base, port) {
        (Address::Tcp(address), Some(port)) => Address::Tcp(HostPort { host: address.host.clone(), port }),
        (Address::Unix(_), Some(port)) if flags.port.is_some() => {
            return Err(CommandError::Usage(format!(
                "--port {port} has no effect, because {setting} is {base}; use --listen 127.0.0.1:{port}"
            )));
        }
        _ => base.clone(),
    };
    let remedy = match base {
        Address::Tcp(_) => "choose another port with --port",
        Address::Unix(_) => "choose another address with --listen",
    };
    Ok(Chosen { address, setting, remedy })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::catalog::GuardRails;
    use crate::config::{Mode, load};
    use crate::tls::{Connector, SslMode};

    fn chosen(
        listen_addr: &str,
        local_port: Option<u16>,
        flags: &ListenFlags,
    ) -> Result<String, CommandError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.yaml");
        let text = format!("proxy: {{listen_addr: '{listen_addr}'}}\nrds: {{enabled: false}}\n");
        fs::write(&path, text).unwrap();
        let config = load(&path, Mode::DirectClient).unwrap();
        let mut settings = config.default_tls.fixed.clone();
        settings.mode = SslMode::Disable;
        let target = Target {
            name: "t".into(),
            identifier: None,
            address: HostPort::new("t", 5432),
            dial: None,
            database: None,
            local_port,
            guard_rails: GuardRails::default(),
            tls: Arc::new(Connector::new(settings)),
            tls_open: false,
            iam: None,
            require_auth: None,
            allowed_clients: None,
            listed_at: None,
        };
        choose(flags, &config, &target).map(|chosen| chosen.address.to_string())
    }

    #[test]
    fn a_flag_counts_more_than_the_target_and_that_more_than_the_configuration() {
        let flags = |address: Option<&str>, port| ListenFlags {
            address: address.map(|address| address.parse().unwrap()),
            port,
        };
        for (local_port, flags, expected) in [
            (None, flags(None, None), "127.0.0.1:8001"),
            (Some(5), flags(None, None), "127.0.0.1:5"),
            (Some(5), flags(None, Some(6)), "127.0.0.1:6"),
            (Some(5), flags(Some("127.0.0.2:7"), None), "127.0.0.2:7"),
            (Some(5), flags(Some("127.0.0.2:7"), Some(6)), "127.0.0.2:6"),
            (Some(5), flags(Some("unix:/run/s"), None), "unix:/run/s"),
        ] {
            assert_eq!(chosen("127.0.0.1:8001", local_port, &flags).unwrap(), expected, "{flags:?}");
        }
        assert_eq!(chosen("unix:/run/s", Some(5), &flags(None, None)).unwrap(), "unix:/run/s");
        let Err(CommandError::Usage(text)) = chosen("unix:/run/s", None, &flags(None, Some(6))) else {
            panic!("a Unix socket has no port")
        };
        assert!(text.contains("use --listen 127.0.0.1:6"), "{text}");
    }
}
