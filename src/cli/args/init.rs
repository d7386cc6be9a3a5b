//! The arguments of `init`.

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Args, ValueHint};

/// Arguments of `init`.
#[derive(Args)]
#[command(after_help = INIT_EXAMPLES)]
pub(in crate::cli) struct InitArguments {
    /// Print the configuration in place of writing it; asks nothing
    #[arg(long, env = "RDS_AUTH_PROXY_PRINT", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) print: bool,
    /// The AWS profile
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_PROFILE")]
    pub(in crate::cli) profile: Option<String>,
    /// An AWS region with databases. The flag can be repeated
    #[arg(long, value_name = "REGION", env = "RDS_AUTH_PROXY_REGION", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) region: Vec<String>,
    /// The address of the server: HOST:PORT
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "RDS_AUTH_PROXY_UPSTREAM",
        value_parser = NonEmptyStringValueParser::new(),
        group = "transport"
    )]
    pub(in crate::cli) upstream: Option<String>,
    /// The CA of the certificate of the server, or that certificate itself; without it, the CAs of the system count
    #[arg(long, value_name = "PATH", env = "RDS_AUTH_PROXY_ROOT_CERTIFICATE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) root_certificate: Option<PathBuf>,
    /// The context of the kubeconfig, in whose cluster the server runs
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_CONTEXT",
        value_parser = NonEmptyStringValueParser::new(),
        group = "transport"
    )]
    pub(in crate::cli) context: Option<String>,
    /// The namespace of the server [default: that of the context]
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_NAMESPACE",
        value_parser = NonEmptyStringValueParser::new(),
        requires = "context"
    )]
    pub(in crate::cli) namespace: Option<String>,
    /// Connect straight to the databases, without a server
    #[arg(long, env = "RDS_AUTH_PROXY_DIRECT", value_parser = BoolishValueParser::new(), group = "transport")]
    pub(in crate::cli) direct: bool,
}

const INIT_EXAMPLES: &str = "\
Examples:
  Search this machine and AWS, prompt, write the configuration, and check each step to the databases:
    rds-auth-proxy init
  The same without a question:
    rds-auth-proxy init --region eu-west-1 --context dev --namespace rds-auth-proxy
  Only print it:
    rds-auth-proxy init --print --region eu-west-1 --upstream proxy.example.com:8000";
