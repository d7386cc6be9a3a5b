//! Arguments of `gen-cert`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `gen-cert`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct GenCertArguments {
    /// The path of the certificate; the file must not exist yet
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CERTIFICATE",
        value_hint = ValueHint::FilePath,
        required_unless_present = "ca"
    )]
    pub(in crate::cli) certificate: Option<PathBuf>,
    /// The path of the private key, which only its owner can read; the file must not exist yet
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_KEY",
        value_hint = ValueHint::FilePath,
        required_unless_present = "ca"
    )]
    pub(in crate::cli) key: Option<PathBuf>,
    /// The DNS names and IP addresses in the certificate
    #[arg(
        long,
        value_name = "HOST",
        env = "RDS_AUTH_PROXY_HOSTS",
        default_value = "rds-auth-proxy",
        value_delimiter = ','
    )]
    pub(in crate::cli) hosts: Vec<String>,
    /// Make a CA, and certificates of it for a server and for clients, in this directory, to try mutual TLS
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "RDS_AUTH_PROXY_CA",
        value_hint = ValueHint::DirPath,
        conflicts_with_all = ["certificate", "key"]
    )]
    pub(in crate::cli) ca: Option<PathBuf>,
    /// The names of the clients, each with a certificate
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_CLIENTS",
        default_value = "client",
        value_delimiter = ',',
        conflicts_with_all = ["certificate", "key"]
    )]
    pub(in crate::cli) clients: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  A certificate for a server that clients reach by its service name or through a port-forward:
    rds-auth-proxy gen-cert --certificate server.pem --key server.key --hosts rds-auth-proxy,localhost,127.0.0.1
  A certificate that a client presents to the server:
    rds-auth-proxy gen-cert --certificate client.pem --key client.key
  A CA with certificates for a server and two clients:
    rds-auth-proxy gen-cert --ca mutual-tls --clients alice,orders";
