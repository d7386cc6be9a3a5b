//! A file of `dynamic_services`.

use std::path::{Path, PathBuf};

use super::free_keys::parse;
use super::raw::RawServiceFile;
use super::service::Resolver;
use super::variables::Names;
use crate::config::key_path::KeyPath;
use crate::config::load::{read, with_position};
use crate::config::tree::Tree;
use crate::config::{ConfigError, Remark, decode, expand};
use crate::services::{Service, SourceCredentials};

/// The section with the services.
const SERVICES: &str = "services";

/// A file of `dynamic_services`.
pub struct ServiceFile {
    /// Its services.
    pub services: Vec<Service>,
    /// What it should have differently.
    pub remarks: Vec<Remark>,
    /// The files of its references.
    pub read_files: Vec<PathBuf>,
}

/// The services of a file of `dynamic_services`. As in CredProxy, its other sections do not count.
pub(super) fn services_of_file(
    path: &Path,
    names: &Names,
    defaults: &SourceCredentials,
) -> Result<ServiceFile, ConfigError> {
    let text = read(path)?;
    with_position(path, &text, |substitutions| {
        let mut remarks = Vec::new();
        let mut tree = parse(&text, &mut remarks)?;
        if let Tree::Section(entries) = &mut tree {
            entries.retain(|(key, _)| key == SERVICES);
        }
        expand::expand(&mut tree, &names.references(), names.environment(), substitutions)?;
        let raw: RawServiceFile = decode::decode(&tree, &mut remarks)?;
        let (path, environment) = (KeyPath::of(&[SERVICES]), names.environment());
        let mut resolver = Resolver { path: &path, defaults, environment, remarks: &mut remarks };
        let services = resolver.resolve(raw.services)?;
        Ok(ServiceFile { services, remarks, read_files: substitutions.files() })
    })
}
