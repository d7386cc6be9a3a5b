//! Keeps the memory of the process, where passwords and tokens live, private.

/// Applies every protection of the platform, and raises the limit of open files. A step that fails is logged and does not
/// stop the program.
pub(crate) fn harden() {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    forbid_tracing();
    #[cfg(unix)]
    {
        forbid_core_dumps();
        super::file_limit::raise();
    }
}

/// Keeps other processes of the same user from attaching to this one and from reading its memory (prctl(2),
/// `PR_SET_DUMPABLE`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn forbid_tracing() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "other processes of this user can still read the memory of this one");
    }
}

/// Keeps debuggers from attaching to this process (ptrace(2) of macOS, `PT_DENY_ATTACH`). The call ends a process that a
/// debugger is attached to already, so debug builds leave it out.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn memory_is_private_and_the_file_limit_is_the_highest() {
        harden();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        let files = getrlimit(Resource::Nofile);
        assert_eq!(files.current, files.maximum);
    }
}
