//! CPU time and resource usage of a process (proc(5)).

use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// Ticks in a second in `/proc/PID/stat`: `USER_HZ`, 100 on all platforms of Rust.
const TICKS: u32 = 100;

/// A process, by its id.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// The resource usage of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResourceUsage {
    /// Resident memory in bytes.
    pub(crate) resident: i64,
    pub(crate) descriptors: i64,
    pub(crate) threads: i64,
}

impl Process {
    /// User and system CPU time so far of all threads, ended ones included.
    pub(crate) fn cpu(self) -> Duration {
        let stat = self.read("stat");
        // The second field is the name in parentheses, which may contain anything.
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u32>().unwrap();
        Duration::from_secs(1) * (ticks(11) + ticks(12)) / TICKS
    }

    /// The current resource usage.
    pub(crate) fn resource_usage(self) -> ResourceUsage {
        let status = self.read("status");
        let field = |name: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap().count();
        ResourceUsage {
            resident: field("VmRSS:") * 1024,
            descriptors: i64::try_from(descriptors).unwrap(),
            threads: field("Threads:"),
        }
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).unwrap()
    }
}

impl Sub for ResourceUsage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            resident: self.resident - before.resident,
            descriptors: self.descriptors - before.descriptors,
            threads: self.threads - before.threads,
        }
    }
}
