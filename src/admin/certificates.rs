//! The certificate files in use: the gauge of their expiry, and the log lines before and after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Gauge, gauge};
use parking_lot::Mutex;
use tracing::{error, warn};

use crate::tls::CertificateExpiry;

/// When each certificate file expires, in seconds since 1970.
pub(super) const CERTIFICATE_END: &str = "rds_auth_proxy_certificate_expiry_timestamp_seconds";

const DAY: Duration = Duration::from_hours(24);

/// A certificate is reported when it has less time left than this.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Then the report is an error.
const URGENT: Duration = Duration::from_hours(3 * 24);

/// Certificate files whose expiry is measured and reported. Clones share them.
#[derive(Clone, Default)]
pub struct Certificates(Arc<Mutex<Vec<Watched>>>);

struct Watched {
    expiry: CertificateExpiry,
    /// The last log line about it.
    reported: Option<Report>,
}

/// A log line about a certificate that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    stage: Stage,
    expires: SystemTime,
    at: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Soon,
    Urgent,
    Expired,
}

impl Certificates {
    /// Replaces the files.
    pub fn watch(&self, files: Vec<PathBuf>) {
        let mut watched = self.0.lock();
        for before in watched.iter().filter(|before| !files.iter().any(|file| file == before.path())) {
            // A gauge cannot be removed, and its last value would keep raising alerts.
            expiry_gauge(before.path()).set(f64::NAN);
        }
        let mut before = std::mem::take(&mut *watched);
        *watched = files
            .into_iter()
            .map(|file| {
                let known = before.iter().position(|before| before.path() == file);
                known.map_or_else(|| Watched::new(file), |known| before.swap_remove(known))
            })
            .collect();
    }

    /// Logs each file that expires within 30 days, or has expired: at the first call, at each stage, and once a day. Reads the
    /// files that have changed, so it may block.
    pub fn report(&self) {
        let now = SystemTime::now();
        for watched in self.0.lock().iter_mut() {
            if let Some(report) = watched.due(now) {
                report.write(watched.path());
            }
        }
    }

    /// Sets the gauges. Reads the files that have changed, so it may block. An unreadable file keeps its last value; the log
    /// has the reason when it is loaded.
    pub(super) fn measure(&self) {
        for certificate in self.0.lock().iter_mut() {
            if let Some(seconds) = certificate.expiry.seconds() {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a double holds seconds since 1970 exactly for ages"
                )]
                expiry_gauge(certificate.path()).set(seconds as f64);
            }
        }
    }
}

impl Watched {
    fn new(file: PathBuf) -> Self {
        Self { expiry: CertificateExpiry::new(file), reported: None }
    }

    fn path(&self) -> &Path {
        self.expiry.path()
    }

    /// The line that is due now.
    fn due(&mut self, now: SystemTime) -> Option<Report> {
        let seconds = u64::try_from(self.expiry.seconds()?).unwrap_or_default();
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        let report = Stage::at(expires, now).map(|stage| Report { stage, expires, at: now });
        if let (Some(before), Some(report)) = (self.reported, report)
            && (before.stage, before.expires) == (report.stage, report.expires)
            && now.duration_since(before.at).is_ok_and(|passed| passed < DAY)
        {
            return None;
        }
        self.reported = report;
        report
    }
}

impl Stage {
    /// The stage of a certificate with this expiry date; absent if it has time.
    fn at(expires: SystemTime, now: SystemTime) -> Option<Self> {
        match expires.duration_since(now) {
            Err(_) => Some(Self::Expired),
            Ok(left) if left < URGENT => Some(Self::Urgent),
            Ok(left) if left < SOON => Some(Self::Soon),
            Ok(_) => None,
        }
    }
}

impl Report {
    fn write(self, file: &Path) {
        let (file, date) = (file.display(), humantime::format_rfc3339_seconds(self.expires));
        match self.stage {
            Stage::Soon => {
                warn!(%file, expires = %date, "a certificate expires within 30 days: replace the file");
            }
            Stage::Urgent => {
                error!(%file, expires = %date, "a certificate expires within 3 days: replace the file");
            }
            Stage::Expired => error!(
                %file, expired = %date,
                "a certificate has expired, and peers that verify it refuse the connection: replace the file"
            ),
        }
    }
}

fn expiry_gauge(file: &Path) -> Gauge {
    gauge!(CERTIFICATE_END, "file" => file.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn write(file: &Path, expires: SystemTime) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = expires.into();
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        fs::write(file, pem).unwrap();
    }

    #[test]
    fn a_certificate_is_reported_at_each_stage_and_once_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("certificate.pem");
        let start = UNIX_EPOCH + 1_000_000 * HOUR;
        let expires = start + 40 * DAY;
        write(&file, expires);
        let mut watched = Watched::new(file.clone());
        let mut stages = Vec::new();
        for hour in 0..42 * 24 {
            stages.extend(watched.due(start + hour * HOUR).map(|report| (hour / 24, report.stage)));
        }
        let mut expected: Vec<_> = (10..37).map(|day| (day, Stage::Soon)).collect();
        expected.extend((37..40).map(|day| (day, Stage::Urgent)));
        expected.extend((40..42).map(|day| (day, Stage::Expired)));
        // The first hour in which less than the limit is left.
        assert_eq!(stages, expected);

        write(&file, expires + 400 * DAY);
        assert_eq!(watched.due(expires + 3 * DAY), None, "it was replaced");
        assert_eq!(watched.reported, None);
    }

    #[test]
    fn a_file_that_stays_in_use_is_not_reported_again() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a.pem", "b.pem"].map(|name| directory.path().join(name));
        let certificates = Certificates::default();
        let reported = |certificates: &Certificates| -> Vec<_> {
            certificates.0.lock().iter().map(|watched| watched.reported.map(|report| report.stage)).collect()
        };
        for file in &files {
            write(file, SystemTime::now() + 2 * DAY);
        }
        certificates.watch(vec![files[0].clone()]);
        certificates.report();
        certificates.watch(files.to_vec());
        assert_eq!(reported(&certificates), [Some(Stage::Urgent), None]);
        certificates.report();
        certificates.watch(vec![files[1].clone()]);
        assert_eq!(reported(&certificates), [Some(Stage::Urgent)]);
    }
}
