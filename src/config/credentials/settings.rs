//! The settings of `credentials`: resolved, with every default.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::dynamic::DynamicServices;
use crate::config::Remark;
use crate::net::HostPort;
use crate::services::{Service, Timing};

/// What `credentials` serves, and where.
pub struct CredentialsConfig {
    /// Where it serves.
    pub listen: HostPort,
    /// A Unix socket where it serves too, for the user of the process.
    pub socket: Option<PathBuf>,
    /// Where Prometheus reads metrics; absent: nowhere.
    pub metrics: Option<HostPort>,
    /// The services of the file, by name.
    pub services: Vec<Service>,
    /// Further services in other files; absent: there are none.
    pub dynamic: Option<DynamicServices>,
    /// When credentials are renewed.
    pub timing: Timing,
    /// Whether a health check that succeeds is logged.
    pub log_health_checks: bool,
    /// The level where no variable of our own sets one.
    pub log_level: LevelFilter,
    /// What the file should have differently.
    pub remarks: Vec<Remark>,
    /// The files of its references.
    pub read_files: Vec<PathBuf>,
}

/// The flags that override the file.
#[derive(Clone, Copy, Default)]
pub struct Flags {
    /// `--log-level`
    pub log_level: Option<LevelFilter>,
    /// `--dev`
    pub dev: bool,
}
