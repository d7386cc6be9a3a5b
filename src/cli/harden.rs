//! Keeps the memory of the process, where passwords and tokens live, to itself; and makes room for connections.

/// Applies what the platform offers. Nothing here is worth not starting for, so what fails is only logged.
pub(super) fn harden() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
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

    let maximum = getrlimit(Resource::Nofile).maximum;
    // macOS reports no hard limit and then refuses more than OPEN_MAX.
    let wanted =
        if cfg!(target_vendor = "apple") { Some(maximum.unwrap_or(u64::MAX).min(10_240)) } else { maximum };
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
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
}
