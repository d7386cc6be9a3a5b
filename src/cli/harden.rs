//! Keeps the memory of the process, where passwords and tokens live, to itself; and makes room for connections.

use crate::session::Limits;

/// Applies what the platform offers. Nothing here is worth not starting for, so what fails is only logged.
pub(super) fn harden() {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    forbid_tracing();
    #[cfg(unix)]
    {
        forbid_core_dumps();
        raise_file_limit();
    }
}

/// Other processes of the same user can no longer attach to this one or read its memory (prctl(2),
/// `PR_SET_DUMPABLE`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn forbid_tracing() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "other processes of this user can still read the memory of this one");
    }
}

/// Debuggers can no longer attach to this process (ptrace(2) of macOS, `PT_DENY_ATTACH`). One that is attached already is
/// a process that ends here, so builds for developers leave this out.
#[cfg(target_os = "macos")]
fn forbid_tracing() {
    if cfg!(debug_assertions) {
        return;
    }
    if let Err(error) = secmem_proc::components::disable_tracing_prctl() {
        tracing::debug!(%error, "other processes of this user can still read the memory of this one");
    }
}

#[cfg(unix)]
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::debug!(%error, "a crash can still leave a core dump behind");
    }
}

/// Two descriptors a session soon exceed the soft limit of 1,024 that is usual.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = if cfg!(target_vendor = "apple") { apple_files(current, maximum) } else { maximum };
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
}

/// macOS reports no hard limit and then refuses more than `OPEN_MAX` (setrlimit(2) there, "Compatibility"). What a shell
/// has raised beyond that stays.
#[cfg(unix)]
fn apple_files(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    const OPEN_MAX: u64 = 10_240;

    let most = maximum.unwrap_or(u64::MAX);
    current.map(|current| current.max(OPEN_MAX).min(most))
}

/// What else needs descriptors: the listeners, the runtime, AWS and the log.
const OTHER_FILES: u64 = 64;

/// Warns where the system allows fewer open files than connections within these limits may need. Then accepting pauses
/// while all are in use.
pub(super) fn check_file_limit(limits: &Limits) {
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn memory_is_private_and_files_are_many() {
        harden();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        let files = getrlimit(Resource::Nofile);
        assert_eq!(files.current, files.maximum);
    }

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
