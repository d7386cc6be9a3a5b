//! Reads everything once, for commands that end by themselves.

use std::collections::BTreeMap;

use super::all_services::{Ignored, all_services};
use super::source::Source;
use crate::config::{ConfigError, Remark};
use crate::services::Service;

/// What a configuration and its files have.
pub(crate) struct Survey {
    /// The services that would be served.
    pub(crate) services: Vec<Service>,
    /// What should be different: a line each.
    pub(crate) warnings: Vec<String>,
}

/// Reads the configuration and the files of services. Here an error in one of these is an error too.
pub(crate) fn survey(source: &Source) -> Result<Survey, ConfigError> {
    let config = source.load()?;
    let (mut warnings, mut remarks, mut files) = (Vec::new(), config.remarks, BTreeMap::new());
    if let Some(dynamic) = config.dynamic {
        let listing = dynamic.list();
        for (directory, error) in listing.unreadable {
            warnings.push(format!("{} cannot be read: {error}", directory.display()));
        }
        for path in listing.files {
            let mut file = dynamic.read(&path, &source.names)?;
            remarks.append(&mut file.remarks);
            files.insert(path, file);
        }
    }
    warnings.extend(remarks.into_iter().map(|Remark { key, text }| format!("{key}: {text}")));
    let (services, ignored) = all_services(&config.services, &files);
    for Ignored { path, reason, .. } in ignored {
        warnings.push(format!("{}: {reason}", path.display()));
    }
    Ok(Survey { services, warnings })
}
