//! Where the configuration is.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::config::credentials::{self, CredentialsConfig, Flags, Names};

/// The configuration of the command `credentials`, with the flags that override it.
pub(crate) struct Source {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The names of the variables.
    pub(crate) names: Names,
    /// The flags.
    pub(crate) flags: Flags,
}

/// A file with a configuration.
pub(super) enum ConfigFile {
    /// The file is the configuration.
    Whole(Source),
    /// The file is that of a client, and the configuration its section `credentials`.
    Section { path: PathBuf, names: Names },
}

impl Source {
    pub(super) fn load(&self) -> Result<CredentialsConfig, ConfigError> {
        credentials::load(&self.path, &self.names, self.flags)
    }
}

impl ConfigFile {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Whole(Source { path, .. }) | Self::Section { path, .. } => path,
        }
    }

    pub(super) fn names(&self) -> &Names {
        match self {
            Self::Whole(Source { names, .. }) | Self::Section { names, .. } => names,
        }
    }

    /// The configuration; absent where the file has no section for it.
    pub(super) fn load(&self) -> Result<Option<CredentialsConfig>, ConfigError> {
        match self {
            Self::Whole(source) => source.load().map(Some),
            Self::Section { path, names } => credentials::load_section(path, names),
        }
    }
}
