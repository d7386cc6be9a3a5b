//! Services in separate files, which come and go while the program runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::patterns::Patterns;
use super::raw::{Directory, Dynamic};
use super::seconds::seconds;
use super::service_file::{ServiceFile, services_of_file};
use super::variables::Names;
use crate::config::ConfigError;
use crate::config::environment::Environment;
use crate::config::key_error::KeyError;
use crate::config::key_path::{KeyPath, Step};
use crate::config::scalars::PathText;
use crate::services::SourceCredentials;

const DEFAULT_DIRECTORY: &str = "/credproxy/dynamic";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// The most files of a directory that are read.
const MAX_FILES: usize = 1000;

/// The endings of files that are read.
const FORMATS: [&str; 3] = ["yaml", "yml", "json"];

/// The directories with files of services.
pub struct DynamicServices {
    directories: Vec<Watched>,
    /// How long files have to be unchanged before they are read again.
    pub reload_interval: Duration,
    /// What services without source credentials use.
    defaults: SourceCredentials,
}

struct Watched {
    path: PathBuf,
    patterns: Patterns,
}

/// The files that the patterns admit, in the order of their names, and the directories that cannot be read.
#[derive(Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The directories, each with the cause.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

impl DynamicServices {
    /// Absent where they are not enabled. `path` is that of the section.
    pub(super) fn resolve(
        raw: Dynamic,
        path: &KeyPath,
        defaults: &SourceCredentials,
        environment: &Environment,
    ) -> Result<Option<Self>, KeyError> {
        let interval = path.key("reload_interval");
        let reload_interval = seconds(&interval, raw.reload_interval.as_ref(), 1..=60, DEFAULT_INTERVAL)?;
        let mut directories = Vec::new();
        for (index, directory) in raw.directories.into_iter().enumerate() {
            let mut at = path.key("directories");
            at.0.push(Step::Index(index));
            directories.push(watched(directory, &at, environment)?);
        }
        if directories.is_empty() {
            directories.push(Watched { path: DEFAULT_DIRECTORY.into(), patterns: Patterns::default() });
        }
        let dynamic = Self { directories, reload_interval, defaults: defaults.clone() };
        Ok(raw.enabled.unwrap_or(false).then_some(dynamic))
    }

    /// The files at this moment.
    #[must_use]
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for Watched { path, patterns } in &self.directories {
            match files(path, patterns) {
                Ok(files) => listing.files.extend(files),
                Err(error) => listing.unreadable.push((path.clone(), error)),
            }
        }
        listing
    }

    /// One of the files.
    pub fn read(&self, path: &Path, names: &Names) -> Result<ServiceFile, ConfigError> {
        services_of_file(path, names, &self.defaults)
    }
}

fn watched(raw: Directory, at: &KeyPath, environment: &Environment) -> Result<Watched, KeyError> {
    let PathText(text) = raw.path.0;
    let path = environment.path(&text).map_err(|unset| KeyError::of_value(at.key("path"), unset.reason()))?;
    let patterns = Patterns::compile(&raw.include_patterns, &raw.exclude_patterns, at)?;
    Ok(Watched { path, patterns })
}

fn files(directory: &Path, patterns: &Patterns) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let has_format = path.extension().and_then(|ending| ending.to_str());
        let has_format =
            has_format.is_some_and(|ending| FORMATS.contains(&ending.to_ascii_lowercase().as_str()));
        let (Some(name), Some(text)) = (path.file_name().and_then(|name| name.to_str()), path.to_str())
        else {
            continue;
        };
        // On Windows too, patterns have slashes.
        if has_format && patterns.admit(&text.replace('\\', "/"), name) && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other("it has more than 1000 files of services"));
        }
    }
    files.sort();
    Ok(files)
}
