//! The names that complete the values of flags. No call to AWS: a person waits for the answer.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::app::known_names;
use crate::aws;
use crate::config::{self, Config, Mode, Origin, SearchOrder};

/// The targets of the last list that a command has made, and those of the configuration.
pub(super) fn targets() -> ArgValueCandidates {
    candidates(|| {
        let mut names = known_names::load();
        names.extend(
            config().into_iter().flat_map(|config| config.targets.into_iter().map(|target| target.name)),
        );
        names
    })
}

/// The upstream proxies of the configuration.
pub(super) fn upstream_proxies() -> ArgValueCandidates {
    candidates(|| config().into_iter().flat_map(|config| config.upstreams.into_keys()).collect())
}

/// The profiles of the AWS files.
pub(super) fn profiles() -> ArgValueCandidates {
    candidates(aws::profile_names)
}

fn candidates(names: impl Fn() -> Vec<String> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let mut names = names();
        names.sort();
        names.dedup();
        names.into_iter().map(CompletionCandidate::new).collect::<Vec<_>>()
    })
}

/// The configuration of the user; absent where there is none, or none that can be used. That of a working directory is not read:
/// it may belong to another user.
fn config() -> Option<Config> {
    let named = std::env::var_os("RDS_AUTH_PROXY_CONFIGFILE").filter(|path| !path.is_empty());
    let found = config::find(named.as_deref().map(AsRef::as_ref), SearchOrder::UserDirectoriesFirst).ok()?;
    if found.origin == Origin::WorkingDirectory || !found.path.is_file() {
        return None;
    }
    config::load(&found.path, Mode::Client).ok()
}
