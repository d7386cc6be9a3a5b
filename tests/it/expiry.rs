//! Log lines about certificates that expire.

use std::time::{Duration, SystemTime};

use crate::operations::lines;
use crate::support::builder::World;
use crate::support::certificates::{Authority, Certificate, Validity};

const DAY: Duration = Duration::from_hours(24);

const SOON: &str = "a certificate expires within 30 days: replace the file";
const URGENT: &str = "a certificate expires within 3 days: replace the file";
const EXPIRED: &str =
    "a certificate has expired, and peers that verify it refuse the connection: replace the file";

fn certificate(validity: Validity) -> Certificate {
    Authority::trusted().issue(&["localhost"], validity)
}

fn in_days(days: u32) -> Certificate {
    certificate(Validity::Until(days * DAY))
}

#[tokio::test]
async fn a_server_names_certificates_that_expire_soon_or_have_expired() {
    let day = |days: u32| humantime::format_rfc3339_seconds(SystemTime::now() + days * DAY).to_string();
    for (certificate, message, level, field, date) in [
        (in_days(29), SOON, "WARN", "expires", day(29)),
        (in_days(2), URGENT, "ERROR", "expires", day(2)),
        (certificate(Validity::Expired), EXPIRED, "ERROR", "expired", "2021-01-01".to_owned()),
    ] {
        let [file, key] = [&certificate.path, &certificate.key_path].map(|path| path.display().to_string());
        let yaml = format!("proxy: {{ssl: {{enabled: true, certificate: {file}, private_key: {key}}}}}");
        let world = World::new().with_server(&yaml).without_client().start().await;
        world.server().wait_for_log(message).await;
        let lines = lines(world.server(), message);
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        assert_eq!((&line["level"], &line["file"]), (&level.into(), &file.as_str().into()), "{line}");
        assert_eq!(line[field].as_str().unwrap()[..10], date[..10], "{line}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_names_them_too_and_no_others() {
    let (soon, later) = (in_days(20), in_days(40));
    let ssl = format!(
        "ssl: {{client_certificate: {}, client_private_key: {}}}",
        soon.path.display(),
        soon.key_path.display()
    );
    let own = format!(
        "proxy: {{ssl: {{enabled: true, certificate: {}, private_key: {}}}}}",
        later.path.display(),
        later.key_path.display()
    );
    let upstream = format!("upstream_proxies: {{default: {{{ssl}}}}}");
    let world = World::new().with_client(&own).with_client(&upstream).start().await;
    world.client().wait_for_log(SOON).await;
    let log = world.client().log();
    let named: Vec<_> = log.lines().filter(|line| line.contains("a certificate ")).collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains(&soon.path.display().to_string()) && named[0].contains("WARN"), "{named:?}");
    world.stop().await;
}
