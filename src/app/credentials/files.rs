//! The configuration and the files of `dynamic_services`: their last valid content. A file with an error keeps its services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::all_services::{Ignored, all_services};
use super::source::ConfigFile;
use crate::config::Remark;
use crate::config::credentials::{CredentialsConfig, ServiceFile};
use crate::services::Service;
use crate::stamp::Stamp;

/// The services of the files as of the last read without an error.
pub(super) struct Files {
    file: ConfigFile,
    pub(super) config: CredentialsConfig,
    dynamic: BTreeMap<PathBuf, ServiceFile>,
    /// The error of each file or directory, so that the log has it once.
    errors: BTreeMap<PathBuf, String>,
    /// The stamps of all files when they were last read.
    pub(super) read: Stamps,
}

/// Every file with its stamp.
pub(super) type Stamps = Vec<(PathBuf, Stamp)>;

impl Files {
    /// A configuration that was read for the first time, and the files that it names.
    pub(super) fn new(file: ConfigFile, config: CredentialsConfig) -> Self {
        let read = Stamps::new();
        let mut files = Self { file, config, dynamic: BTreeMap::new(), errors: BTreeMap::new(), read };
        // The configuration again: it may have changed before its files were known.
        files.reload();
        files
    }

    /// The path of the configuration.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads everything again.
    pub(super) fn reload(&mut self) {
        // Before the files are read, so that a change meanwhile is noticed.
        self.read = self.stamps();
        match self.file.load() {
            Ok(Some(config)) => self.replace(config),
            Ok(None) => {
                self.config.services.clear();
                self.config.dynamic = None;
            }
            Err(error) => self.report(self.path().to_owned(), &error),
        }
        self.read_dynamic();
    }

    fn replace(&mut self, config: CredentialsConfig) {
        let CredentialsConfig { listen, socket, metrics, .. } = &config;
        if *listen != self.config.listen || *socket != self.config.socket || *metrics != self.config.metrics {
            warn!("addresses in the configuration changed; they need a restart");
        }
        warn_of(&config.remarks);
        let (socket, metrics) = (self.config.socket.take(), self.config.metrics.take());
        self.config = CredentialsConfig { listen: self.config.listen.clone(), socket, metrics, ..config };
        self.errors.remove(self.file.path());
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
        let mut paths = vec![self.path().to_owned()];
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
            listing.files.into_iter().map(|path| (dynamic.read(&path, self.file.names()), path)).collect();
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::credentials::Names;

    fn service(name: &str) -> String {
        format!(
            "services: {{{name}: {{auth_token: token-of-the-service-{name}-0123456789, \
             assumed_role: {{RoleArn: 'arn:aws:iam::123456789012:role/A'}}}}}}\n"
        )
    }

    /// A file that comes after the stamps were taken is not in them, whether the read finds it or not.
    #[test]
    fn each_change_since_the_last_read_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, dynamic) = (directory.path().join("config.yaml"), directory.path().join("dynamic"));
        fs::create_dir(&dynamic).unwrap();
        let dynamic_services =
            format!("dynamic_services: {{enabled: true, directories: [{{path: {}}}]}}\n", dynamic.display());
        let section = format!("{}{dynamic_services}", service("a")).replace('\n', "\n  ");
        fs::write(&path, format!("credentials:\n  {section}")).unwrap();
        let file = ConfigFile::Section { path: path.clone(), names: Names::of_process() };
        let config = file.load().unwrap().unwrap();
        fs::write(dynamic.join("b.yaml"), service("b")).unwrap();
        let mut files = Files::new(file, config);
        let names =
            |files: &mut Files| files.services().into_iter().map(|service| service.name).collect::<Vec<_>>();
        assert_eq!(names(&mut files), ["a", "b"]);
        assert!(files.stamps() == files.read, "all was read");
        fs::write(dynamic.join("c.yaml"), service("c")).unwrap();
        assert!(files.stamps() != files.read);
        files.reload();
        assert_eq!(names(&mut files), ["a", "b", "c"]);
        fs::remove_file(dynamic.join("b.yaml")).unwrap();
        fs::write(&path, "x-credentials: {}\n").unwrap();
        assert!(files.stamps() != files.read);
        files.reload();
        assert_eq!(names(&mut files).len(), 0, "without the section there is no service");
    }
}
