//! The tags of an RDS resource, and the two that this proxy understands.

use std::collections::BTreeMap;

use aws_sdk_rds::types::Tag as RdsTag;

use super::skipped::Remark;
use crate::catalog::Tag;

/// The database to suggest.
const DATABASE: &str = "rds-auth-proxy:db-name";

/// The port that the client listens on for the database.
const LOCAL_PORT: &str = "rds-auth-proxy:local-port";

/// All tags. One without a key, which RDS does not allow, is left out.
pub(super) fn tags(list: &[RdsTag]) -> Vec<Tag> {
    let tag = |tag: &RdsTag| {
        Some(Tag { name: tag.key()?.to_owned(), value: tag.value().unwrap_or_default().to_owned() })
    };
    list.iter().filter_map(tag).collect()
}

/// The tag for the database name, else the name of the database it was created with.
pub(super) fn database(tags: &[Tag], created_with: Option<&str>) -> Option<String> {
    value(tags, DATABASE).or(created_with).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The tag for the local port. One that is no port is reported and counts as absent.
pub(super) fn local_port(name: &str, tags: &[Tag], remarks: &mut BTreeMap<String, Remark>) -> Option<u16> {
    let written = value(tags, LOCAL_PORT)?;
    let port = written.trim().parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        remarks.insert(name.to_owned(), Remark::LocalPort(written.to_owned()));
    }
    port
}

fn value<'a>(tags: &'a [Tag], name: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
}
