//! The metrics that every program with a Prometheus client has under these names
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). They exist on Linux.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, describe_gauge, gauge};

const OPEN: &str = "process_open_fds";
const MAX: &str = "process_max_fds";
const MEMORY: &str = "process_resident_memory_bytes";
const START: &str = "process_start_time_seconds";

/// Describes them, and records the start of the process: the recorder is installed as one of its first steps.
pub(super) fn describe() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    describe_gauge!(OPEN, "Open file descriptors.");
    describe_gauge!(MAX, "The limit of open file descriptors.");
    describe_gauge!(MEMORY, Unit::Bytes, "Resident memory.");
    describe_gauge!(START, Unit::Seconds, "When the process started, in seconds since 1970.");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(START).set(now.as_secs_f64());
}

/// Sets the gauges.
#[cfg(target_os = "linux")]
pub(super) fn measure() {
    use std::fs::{read_dir, read_to_string};

    use rustix::process::{Resource, getrlimit};

    #[expect(clippy::cast_precision_loss, reason = "a double holds sizes of memory exactly")]
    let set = |name: &'static str, value: u64| gauge!(name).set(value as f64);
    if let Ok(open) = read_dir("/proc/self/fd") {
        // One of them reads the directory.
        set(OPEN, (open.count() as u64).saturating_sub(1));
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        set(MAX, limit);
    }
    // The second number: resident pages (proc_pid_statm(5)).
    let statm = read_to_string("/proc/self/statm").unwrap_or_default();
    if let Some(pages) = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()) {
        set(MEMORY, pages * rustix::param::page_size() as u64);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn measure() {}
