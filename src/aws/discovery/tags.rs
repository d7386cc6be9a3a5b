//! The tags of an RDS resource, and the two that this proxy reads.

use std::collections::BTreeMap;

use aws_sdk_rds::types::Tag as RdsTag;

use super::skipped::Remark;
use crate::catalog::Tag;

/// The name of the database to suggest.
const DATABASE: &str = "rds-auth-proxy:db-name";

/// The port on which the client listens for the database.
const LOCAL_PORT: &str = "rds-auth-proxy:local-port";

/// All tags. A tag without a key, which RDS does not allow, is left out.
pub(super) fn tags(list: &[RdsTag]) -> Vec<Tag> {
    let tag = |tag: &RdsTag| {
        Some(Tag { name: tag.key()?.to_owned(), value: tag.value().unwrap_or_default().to_owned() })
    };
    list.iter().filter_map(tag).collect()
}

/// The tag with the database's name, else `created_with`, the name of the database that RDS created.
pub(super) fn database(tags: &[Tag], created_with: Option<&str>) -> Option<String> {
    value(tags, DATABASE).or(created_with).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The tag with the local port. An invalid value adds a remark and is ignored.
pub(super) fn local_port(name: &str, tags: &[Tag], remarks: &mut BTreeMap<String, Remark>) -> Option<u16> {
    let text = value(tags, LOCAL_PORT)?;
    let port = text.trim().parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        remarks.insert(name.to_owned(), Remark::LocalPort(text.to_owned()));
    }
    port
}

/// The value of the tag with this name.
pub(super) fn value<'a>(tags: &'a [Tag], name: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
}
