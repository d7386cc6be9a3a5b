//! TLS towards others: modes, roots and the certificate to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Fault, KeyPath};
use super::scalars::{Parsed, PathText};
use super::settings::SELF_SIGNED_HOSTS;
use super::surroundings::Surroundings;
use super::written::Ssl;
use crate::tls::{ClientIdentity, Connector, Mode, Roots, SelfSigned, Settings, TlsError};

/// Makes connectors that share what `proxy.ssl` says.
pub(super) struct Connectors<'a> {
    pub(super) around: &'a Surroundings,
    inherited: Identity,
}

/// A certificate to show, and where it was configured.
#[derive(Clone)]
struct Identity {
    identity: ClientIdentity,
    /// The section that names it.
    section: KeyPath,
}

/// A certificate and its key, as paths.
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
}

/// The two keys of a pair, and their values.
pub(super) struct WrittenPair<'a> {
    pub(super) certificate: (&'static str, Option<&'a Parsed<PathText>>),
    pub(super) private_key: (&'static str, Option<&'a Parsed<PathText>>),
}

impl<'a> Connectors<'a> {
    /// With the certificate of `section` (`proxy.ssl`), or one that is made now.
    pub(super) fn new(
        around: &'a Surroundings,
        section: KeyPath,
        written: &WrittenPair<'_>,
    ) -> Result<Self, Fault> {
        let identity = match pair(around, &section, written)? {
            Some(pair) => files(pair),
            None => {
                let made = SelfSigned::generate(&SELF_SIGNED_HOSTS.map(String::from))
                    .map_err(|error| Fault::of_key(section.clone(), error.to_string()))?;
                ClientIdentity::Generated(Arc::new(made))
            }
        };
        Ok(Self { around, inherited: Identity { identity, section } })
    }

    /// From an `ssl` section; what it lacks is `mode`, no roots, and the inherited certificate.
    pub(super) fn from_section(
        &self,
        section: &KeyPath,
        ssl: &Ssl,
        mode: Mode,
    ) -> Result<Arc<Connector>, Fault> {
        let written = WrittenPair {
            certificate: ("client_certificate", ssl.client_certificate.as_ref()),
            private_key: ("client_private_key", ssl.client_private_key.as_ref()),
        };
        let identity = match pair(self.around, section, &written)? {
            Some(pair) => Identity { identity: files(pair), section: section.clone() },
            None => self.inherited.clone(),
        };
        let root = section.key("root_certificate");
        let roots = path(self.around, &root, ssl.root_certificate.as_ref())?;
        if roots.is_some() && ssl.mode.is_none() && mode == Mode::Disable {
            return Err(Fault::of_key(
                root,
                "TLS is off here unless `mode` says otherwise, so this would count for nothing; \
                 set `mode: verify-full` or `mode: verify-ca` beside it",
            ));
        }
        let mode = ssl.mode.as_ref().map_or(mode, |mode| mode.0);
        self.connector(mode, roots.map(Roots::Path), &identity, &root)
    }

    /// With these roots and the inherited certificate; `root` is the key that an error about the roots is at.
    pub(super) fn with_roots(
        &self,
        mode: Mode,
        roots: Option<Roots>,
        root: &KeyPath,
    ) -> Result<Arc<Connector>, Fault> {
        self.connector(mode, roots, &self.inherited, root)
    }

    fn connector(
        &self,
        mode: Mode,
        roots: Option<Roots>,
        identity: &Identity,
        root: &KeyPath,
    ) -> Result<Arc<Connector>, Fault> {
        let settings = Settings { mode, roots: roots.clone(), identity: identity.identity.clone() };
        Connector::new(settings).map(Arc::new).map_err(|error| {
            let key = match (&identity.identity, culprit(&error)) {
                (ClientIdentity::Files { certificate, .. }, Some(path)) if path == certificate => {
                    identity.section.key("client_certificate")
                }
                (ClientIdentity::Files { private_key, .. }, Some(path)) if path == private_key => {
                    identity.section.key("client_private_key")
                }
                _ => root.clone(),
            };
            Fault::of_value(key, error.to_string())
        })
    }
}

/// The certificate and key of a section, both or neither.
pub(super) fn pair(
    around: &Surroundings,
    section: &KeyPath,
    written: &WrittenPair<'_>,
) -> Result<Option<Pair>, Fault> {
    let (certificate, private_key) = (written.certificate, written.private_key);
    let lonely = |there: &str, missing: &str| {
        Fault::of_key(section.key(there), format!("`{there}` needs `{missing}` beside it, which is missing"))
    };
    let both = (
        path(around, &section.key(certificate.0), certificate.1)?,
        path(around, &section.key(private_key.0), private_key.1)?,
    );
    match both {
        (Some(certificate), Some(private_key)) => Ok(Some(Pair { certificate, private_key })),
        (Some(_), None) => Err(lonely(certificate.0, private_key.0)),
        (None, Some(_)) => Err(lonely(private_key.0, certificate.0)),
        (None, None) => Ok(None),
    }
}

/// A path with its variables replaced.
pub(super) fn path(
    around: &Surroundings,
    key: &KeyPath,
    written: Option<&Parsed<PathText>>,
) -> Result<Option<PathBuf>, Fault> {
    let expanded = written.map(|Parsed(PathText(text))| around.path(text)).transpose();
    expanded.map_err(|unset| Fault::of_value(key.clone(), unset.reason()))
}

/// The file that an error is about.
pub(super) fn culprit(error: &TlsError) -> Option<&Path> {
    match error {
        TlsError::Unreadable { path, .. }
        | TlsError::Empty { path, .. }
        | TlsError::Unusable { path, .. } => Some(path),
        TlsError::NoSystemRoots { .. } | TlsError::Setup(_) | TlsError::Handshake(_) => None,
    }
}

fn files(pair: Pair) -> ClientIdentity {
    ClientIdentity::Files { certificate: pair.certificate, private_key: pair.private_key }
}
