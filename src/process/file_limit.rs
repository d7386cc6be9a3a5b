//! The limit of open files: raised at start, and compared with the needs of connections.

use crate::session::Limits;

/// Descriptors beside those of connections: the listeners, the runtime, AWS and the log.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit, which is usually 1,024 and low for two descriptors a session, to the hard limit.
#[cfg(unix)]
pub(super) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = if cfg!(target_vendor = "apple") { apple_files(current, maximum) } else { maximum };
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
}

/// The soft limit for macOS, which reports no hard limit and then refuses more than `OPEN_MAX` (setrlimit(2) there,
/// "Compatibility"). A higher limit that the shell has set stays.
#[cfg(unix)]
fn apple_files(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    const OPEN_MAX: u64 = 10_240;

    let most = maximum.unwrap_or(u64::MAX);
    current.map(|current| current.max(OPEN_MAX).min(most))
}

/// Warns where the system allows fewer open files than connections within these limits may need. Accepting pauses while
/// all descriptors are in use.
pub(crate) fn check(limits: &Limits) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};

        let needed = (limits.files() as u64).saturating_add(OTHER_FILES);
        if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
            tracing::warn!(
                limit,
                needed,
                "the limit of open files is too low for max_connections; raise it or lower max_connections"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (limits, OTHER_FILES);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_mac_is_raised_and_never_lowered() {
        for (current, maximum, wanted) in [
            (Some(256), None, Some(10_240)),
            (Some(65_536), None, Some(65_536)),
            (None, None, None),
            (Some(256), Some(4_096), Some(4_096)),
        ] {
            assert_eq!(apple_files(current, maximum), wanted, "{current:?} of {maximum:?}");
        }
    }
}
