//! Loads the file.

use std::io::ErrorKind;
use std::path::Path;

use super::free_keys::parse;
use super::raw::RawFile;
use super::resolve;
use super::settings::{CredentialsConfig, Flags};
use super::variables::Names;
use crate::config::expand::{self, Substitutions};
use crate::config::key_error::KeyError;
use crate::config::load::{read, with_position};
use crate::config::tree::Tree;
use crate::config::{ConfigError, Remark, decode};

/// The configuration of the file, with the values of the variables. Errors name file, line and key.
pub fn load(path: &Path, names: &Names, flags: Flags) -> Result<CredentialsConfig, ConfigError> {
    if let Err(error) = path.symlink_metadata()
        && error.kind() == ErrorKind::NotFound
    {
        let remedy = "name another one with --config or CREDPROXY_CONFIG_FILE";
        return Err(ConfigError::Missing { path: path.to_owned(), remedy });
    }
    from_text(path, &read(path)?, names, flags)
}

/// As [`load`], with the text of the file.
pub(super) fn from_text(
    path: &Path,
    text: &str,
    names: &Names,
    flags: Flags,
) -> Result<CredentialsConfig, ConfigError> {
    with_position(path, text, |substitutions| {
        let mut remarks = Vec::new();
        let tree = tree(text, names, substitutions, &mut remarks)?;
        let raw: RawFile = decode::decode(&tree, &mut remarks)?;
        let config = resolve::resolve(raw, names, flags, remarks)?;
        Ok(CredentialsConfig { read_files: substitutions.files(), ..config })
    })
}

fn tree(
    text: &str,
    names: &Names,
    substitutions: &mut Substitutions,
    remarks: &mut Vec<Remark>,
) -> Result<Tree, KeyError> {
    let mut tree = parse(text, remarks)?;
    expand::expand(&mut tree, &names.references(), names.environment(), substitutions)?;
    names.apply(&mut tree, substitutions);
    Ok(tree)
}
