//! The services of the configuration and of the files beside it, as one list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::credentials::ServiceFile;
use crate::services::Service;

/// A service that is not served.
pub(super) struct Ignored {
    /// The file with it.
    pub(super) path: PathBuf,
    /// Its name.
    pub(super) service: String,
    /// Why: a sentence.
    pub(super) reason: String,
}

/// The services that are served. One of the configuration counts more than one of the same name in another file, and so does
/// an earlier file.
pub(super) fn all_services(
    configured: &[Service],
    files: &BTreeMap<PathBuf, ServiceFile>,
) -> (Vec<Service>, Vec<Ignored>) {
    let (mut services, mut ignored) = (configured.to_vec(), Vec::new());
    for (path, file) in files {
        for service in &file.services {
            match ignored_beside(&services, path, service) {
                Some(reason) => ignored.push(reason),
                None => services.push(service.clone()),
            }
        }
    }
    (services, ignored)
}

fn ignored_beside(services: &[Service], path: &Path, service: &Service) -> Option<Ignored> {
    let same_name = services.iter().any(|known| known.name == service.name);
    let same_token = services.iter().find(|known| known.token == service.token);
    let name = &service.name;
    let reason = match (same_name, same_token) {
        (true, _) => format!("the service `{name}` is defined elsewhere, and this one is ignored"),
        (false, Some(known)) => {
            format!("the service `{name}` has the token of the service `{}`, and is ignored", known.name)
        }
        (false, None) => return None,
    };
    Some(Ignored { path: path.to_owned(), service: name.clone(), reason })
}
