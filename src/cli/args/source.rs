//! The arguments that say where a client finds its targets.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::values::path_or_empty;
use crate::cli::candidates;

// No docstring: clap would show it in place of the command's own.
#[derive(Args)]
pub(in crate::cli) struct SourceArguments {
    /// The configuration of the client [default: config.yaml in the user's configuration directory, then here]
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CONFIGFILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) configfile: Option<PathBuf>,
    /// The AWS profile, in place of `AWS_PROFILE` and of keys in the environment
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_PROFILE", add = candidates::profiles())]
    pub(in crate::cli) profile: Option<String>,
}

impl SourceArguments {
    /// An empty text counts as not given.
    pub(in crate::cli) fn drop_empty_values(&mut self) {
        self.configfile.take_if(|path| path.as_os_str().is_empty());
        self.profile.take_if(|name| name.is_empty());
    }
}
