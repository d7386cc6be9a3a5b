//! The text of a first configuration.

use std::path::PathBuf;

use serde_json::Value;

use crate::net::HostPort;

/// What a configuration says.
pub(super) struct Choices {
    /// Absent: that of the environment.
    pub(super) profile: Option<String>,
    /// Empty: that of the AWS configuration.
    pub(super) regions: Vec<String>,
    pub(super) transport: Transport,
    /// Absent: the CAs of the system.
    pub(super) root_certificate: Option<PathBuf>,
}

/// How the databases are reached.
pub(super) enum Transport {
    /// Through a server at this address.
    Address(HostPort),
    /// Through a server in a cluster.
    Cluster { context: String, namespace: Option<String>, deployment: String },
    /// Without a server.
    Direct,
}

const HEAD: &str = "\
# The configuration of `rds-auth-proxy client`. `rds-auth-proxy doctor` checks whether it leads to the databases.
";

const PROFILE: &str = "
# The AWS identity: a profile of the AWS CLI. Without it, AWS_PROFILE or the keys of the environment count.
";

const REGIONS: &str = "
# Where the databases of RDS are.
";

const UPSTREAM: &str = "
# The server beside the databases.
";

const TUNNEL: &str = "\
    # Through the Kubernetes API, as `kubectl port-forward` does.
";

const DIRECT: &str = "
# There is no server: start the client with --direct, from a machine that reaches the databases.
# For a server, add upstream_proxies.
";

impl Choices {
    /// The configuration as YAML, with comments.
    pub(super) fn render(&self) -> String {
        let mut text = HEAD.to_owned();
        if let Some(profile) = &self.profile {
            text = format!("{text}{PROFILE}aws:\n  profile: {}\n", quoted(profile));
        }
        if !self.regions.is_empty() {
            let regions: Vec<_> = self.regions.iter().map(|region| quoted(region)).collect();
            text = format!("{text}{REGIONS}rds:\n  regions: [{}]\n", regions.join(", "));
        }
        text + &self.upstream()
    }

    fn upstream(&self) -> String {
        let transport = match &self.transport {
            Transport::Direct => return DIRECT.to_owned(),
            Transport::Address(address) => format!("    host: {}\n", quoted(&address.to_string())),
            Transport::Cluster { context, namespace, deployment } => {
                let namespace =
                    namespace.as_deref().map(|name| format!("      namespace: {}\n", quoted(name)));
                format!(
                    "{TUNNEL}    port_forward:\n      context: {}\n{}      deployment: {}\n",
                    quoted(context),
                    namespace.unwrap_or_default(),
                    quoted(deployment)
                )
            }
        };
        format!("{UPSTREAM}upstream_proxies:\n  default:\n{transport}{}", self.tls())
    }

    /// A tunnel encrypts and its server needs no certificate, so only a certificate that is named is verified there.
    fn tls(&self) -> String {
        let root = self
            .root_certificate
            .as_ref()
            .map(|path| format!("      root_certificate: {}\n", quoted(&path.display().to_string())));
        match (&self.transport, root) {
            (Transport::Cluster { .. } | Transport::Direct, None) => String::new(),
            (_, root) => format!(
                "    # The certificate of the server is verified, and has to be for its host.\n    ssl:\n      mode: verify-full\n{}",
                root.unwrap_or_default()
            ),
        }
    }
}

/// A text as YAML: every JSON string is one.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mode, UpstreamTransport, load};

    fn loaded(choices: &Choices, mode: Mode) -> crate::config::Config {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, choices.render()).unwrap();
        load(&path, mode).unwrap_or_else(|error| panic!("{error}\n{}", choices.render()))
    }

    #[test]
    fn every_choice_is_a_configuration() {
        let strange = "it's: a \"name\" #1";
        let choices = Choices {
            profile: Some(strange.into()),
            regions: vec!["eu-west-1".into(), "us-east-1".into()],
            transport: Transport::Cluster {
                context: strange.into(),
                namespace: Some("apps".into()),
                deployment: "proxy".into(),
            },
            root_certificate: None,
        };
        let config = loaded(&choices, Mode::Client);
        assert_eq!(config.aws.profile.as_deref(), Some(strange));
        assert_eq!(config.rds.regions, ["eu-west-1", "us-east-1"]);
        let UpstreamTransport::PortForward(forward) = &config.upstreams["default"].transport else {
            panic!("no tunnel")
        };
        assert_eq!(forward.context.as_deref(), Some(strange));
        assert_eq!((forward.namespace.as_deref(), forward.remote_port), (Some("apps"), 8000));

        let address = Transport::Address(HostPort::new("proxy.example.com", 8000));
        let choices =
            Choices { transport: address, profile: None, regions: Vec::new(), root_certificate: None };
        let config = loaded(&choices, Mode::Client);
        let upstream = &config.upstreams["default"];
        assert!(upstream.connector().unwrap().verifies(), "{}", choices.render());
        let direct = Choices { transport: Transport::Direct, ..choices };
        assert!(loaded(&direct, Mode::DirectClient).upstreams.is_empty());
    }
}
