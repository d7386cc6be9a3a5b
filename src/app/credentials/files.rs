//! The configuration and the files of `dynamic_services`: their last valid content. A file with an error keeps its services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::all_services::{Ignored, all_services};
use crate::config::credentials::{self, CredentialsConfig, Flags, Names, ServiceFile};
use crate::config::{ConfigError, Remark};
use crate::services::Service;
use crate::stamp::Stamp;

/// A configuration file with the flags that override it.
pub(crate) struct Source {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The names of the variables.
    pub(crate) names: Names,
    /// The flags.
    pub(crate) flags: Flags,
}

/// The services of the files as of the last read without an error.
pub(super) struct Files {
    source: Source,
    pub(super) config: CredentialsConfig,
    dynamic: BTreeMap<PathBuf, ServiceFile>,
    /// The error of each file or directory, so that the log has it once.
    errors: BTreeMap<PathBuf, String>,
}

/// Every file with its stamp.
pub(super) type Stamps = Vec<(PathBuf, Stamp)>;

impl Files {
    /// Reads the configuration for the first time, and the files of services.
    pub(super) fn load(source: Source) -> Result<Self, ConfigError> {
        let config = credentials::load(&source.path, &source.names, source.flags)?;
        let mut files = Self { source, config, dynamic: BTreeMap::new(), errors: BTreeMap::new() };
        warn_of(&files.config.remarks);
        files.read_dynamic();
        Ok(files)
    }

    /// The path of the configuration.
    pub(super) fn path(&self) -> &Path {
        &self.source.path
    }

    /// Reads everything again.
    pub(super) fn reload(&mut self) {
        match credentials::load(&self.source.path, &self.source.names, self.source.flags) {
            Ok(config) => {
                if config.listen != self.config.listen
                    || config.socket != self.config.socket
                    || config.metrics != self.config.metrics
                {
                    warn!("addresses in the configuration changed; they need a restart");
                }
                warn_of(&config.remarks);
                let kept =
                    (self.config.listen.clone(), self.config.socket.take(), self.config.metrics.take());
                let (listen, socket, metrics) = kept;
                self.config = CredentialsConfig { listen, socket, metrics, ..config };
                self.errors.remove(&self.source.path);
            }
            Err(error) => self.report(self.source.path.clone(), &error),
        }
        self.read_dynamic();
    }

    /// The services of all files. The log names those that are ignored once.
    pub(super) fn services(&mut self) -> Vec<Service> {
        let (services, ignored) = all_services(&self.config.services, &self.dynamic);
        for Ignored { path, service, reason } in ignored {
            if self.errors.insert(path.join(&service), reason.clone()).as_ref() != Some(&reason) {
                warn!(file = %path.display(), "{reason}");
            }
        }
        services
    }

    /// The stamps of all files now.
    pub(super) fn stamps(&self) -> Stamps {
        let mut paths = vec![self.source.path.clone()];
        paths.extend(self.config.read_files.iter().cloned());
        if let Some(dynamic) = &self.config.dynamic {
            paths.extend(dynamic.list().files);
            paths.extend(self.dynamic.values().flat_map(|file| file.read_files.iter().cloned()));
        }
        paths.into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect()
    }

    fn read_dynamic(&mut self) {
        let Some(dynamic) = &self.config.dynamic else {
            self.dynamic.clear();
            return;
        };
        let listing = dynamic.list();
        let read: Vec<_> =
            listing.files.into_iter().map(|path| (dynamic.read(&path, &self.source.names), path)).collect();
        if listing.unreadable.is_empty() {
            // A directory that cannot be read keeps its services.
            self.dynamic.retain(|known, _| read.iter().any(|(_, path)| path == known));
        }
        for (directory, error) in listing.unreadable {
            self.report(directory, &format!("this directory of services cannot be read: {error}"));
        }
        for (file, path) in read {
            match file {
                Ok(file) => {
                    warn_of(&file.remarks);
                    self.errors.remove(&path);
                    self.dynamic.insert(path, file);
                }
                Err(error) => self.report(path, &error),
            }
        }
    }

    /// Logs the error, if the file did not have it before.
    fn report(&mut self, path: PathBuf, error: &dyn std::fmt::Display) {
        let text = error.to_string();
        if self.errors.get(&path) != Some(&text) {
            warn!(file = %path.display(), error = text, "a file of services has an error; its last valid content stays");
            self.errors.insert(path, text);
        }
    }
}

fn warn_of(remarks: &[Remark]) {
    for Remark { key, text } in remarks {
        warn!(key, "{text}");
    }
}
