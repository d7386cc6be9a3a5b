//! Loads the file.

use std::io::ErrorKind;
use std::path::Path;

use super::free_keys::parse;
use super::listen;
use super::raw::{RawFile, RawSection};
use super::resolve;
use super::settings::{CredentialsConfig, Flags};
use super::variables::Names;
use super::without_effect;
use crate::config::expand::{self, Substitutions};
use crate::config::key_error::KeyError;
use crate::config::key_path::KeyPath;
use crate::config::load::{read, with_position};
use crate::config::separate_section::{self, SECTION};
use crate::config::tree::Tree;
use crate::config::{ConfigError, decode};
use crate::net::HostPort;

/// The section with the address.
const SERVER: &str = "server";

/// The configuration of the file, with the values of the variables. Errors name file, line and key.
pub fn load(path: &Path, names: &Names, flags: Flags) -> Result<CredentialsConfig, ConfigError> {
    from_text(path, &read_named(path)?, names, flags)
}

/// The text of the file. One that does not exist has its own remedy.
fn read_named(path: &Path) -> Result<String, ConfigError> {
    if let Err(error) = path.symlink_metadata()
        && error.kind() == ErrorKind::NotFound
    {
        let remedy = "name another one with --config or CREDPROXY_CONFIG_FILE";
        return Err(ConfigError::Missing { path: path.to_owned(), remedy });
    }
    read(path)
}

/// The section `credentials` of our own configuration file, without a listener for metrics. Absent if the file has no such
/// section, or nothing in it. Errors are those of [`load`].
pub fn load_section(path: &Path, names: &Names) -> Result<Option<CredentialsConfig>, ConfigError> {
    section_from_text(path, &read(path)?, names)
}

/// Where the program of this configuration listens, for commands that only connect to it. Reads the section `server` and no other,
/// so that an error in another one does not count.
pub fn load_address(path: &Path, names: &Names) -> Result<HostPort, ConfigError> {
    let text = read_named(path)?;
    with_position(path, &text, |substitutions| {
        let mut tree = parse(&text, &mut Vec::new())?;
        if let Tree::Section(sections) = &mut tree {
            sections.retain(|(key, _)| key == SERVER);
        }
        let root = KeyPath::default();
        fill_in(&mut tree, &root, names, substitutions)?;
        let raw: RawFile = decode::decode(&tree, &mut Vec::new())?;
        listen::address(&raw.server, &root.key(SERVER))
    })
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
        let mut tree = parse(text, &mut remarks)?;
        let root = KeyPath::default();
        fill_in(&mut tree, &root, names, substitutions)?;
        let raw: RawFile = decode::decode(&tree, &mut remarks)?;
        let config = resolve::resolve(raw, &root, names, flags, remarks)?;
        Ok(CredentialsConfig { read_files: substitutions.files(), ..config })
    })
}

/// As [`load_section`], with the text of the file.
pub(super) fn section_from_text(
    path: &Path,
    text: &str,
    names: &Names,
) -> Result<Option<CredentialsConfig>, ConfigError> {
    with_position(path, text, |substitutions| {
        let mut remarks = Vec::new();
        let mut tree = parse(text, &mut Vec::new())?;
        if !separate_section::keep_only(&mut tree) {
            return Ok(None);
        }
        let root = KeyPath::of(&[SECTION]);
        fill_in(&mut tree, &root, names, substitutions)?;
        let RawSection { credentials: raw } = decode::decode(&tree, &mut remarks)?;
        remarks.extend(without_effect::remarks(&raw, &root));
        let config = resolve::resolve(raw, &root, names, Flags::default(), remarks)?;
        Ok(Some(CredentialsConfig { read_files: substitutions.files(), metrics: None, ..config }))
    })
}

/// Puts the values of references and variables in their places. `root` is the path of CredProxy's sections.
fn fill_in(
    tree: &mut Tree,
    root: &KeyPath,
    names: &Names,
    substitutions: &mut Substitutions,
) -> Result<(), KeyError> {
    expand::expand(tree, &names.references(), names.environment(), substitutions)?;
    names.apply(tree, root, substitutions);
    Ok(())
}
