//! The tags of an RDS resource, and those that this proxy reads.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_rds::types::Tag as RdsTag;

use super::skipped::Remark;
use crate::catalog::{GuardRails, Tag};

/// The name of the database to suggest.
const DATABASE: &str = "rds-auth-proxy:db-name";

/// The port on which the client listens for the database.
const LOCAL_PORT: &str = "rds-auth-proxy:local-port";

/// Whether transactions are read-only by default: `true` or `false`.
const READ_ONLY: &str = "rds-auth-proxy:read-only";

/// How long a statement may run: a duration as in the configuration.
const STATEMENT_TIMEOUT: &str = "rds-auth-proxy:statement-timeout";

/// What an application reads at its login.
const NOTICE: &str = "rds-auth-proxy:notice";

/// The remarks of a discovery, by the name of the database.
type Remarks = BTreeMap<String, Remark>;

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
pub(super) fn local_port(name: &str, tags: &[Tag], remarks: &mut Remarks) -> Option<u16> {
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    read(name, tags, LOCAL_PORT, "is not a port between 1 and 65535", remarks, port)
}

/// The tags with guard rails. An invalid value adds a remark and is ignored.
pub(super) fn guard_rails(name: &str, tags: &[Tag], remarks: &mut Remarks) -> GuardRails {
    let duration = "is not a duration between 1ms and 24 days, such as 30s";
    GuardRails {
        read_only: read(name, tags, READ_ONLY, "is neither true nor false", remarks, boolean)
            .unwrap_or(false),
        statement_timeout: read(name, tags, STATEMENT_TIMEOUT, duration, remarks, statement_timeout),
        notice: read(name, tags, NOTICE, "has no text", remarks, notice),
    }
}

/// The value of the tag with this name.
pub(super) fn value<'a>(tags: &'a [Tag], name: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
}

/// The tag as `meaning` reads it, without blanks at its ends. A value without a meaning adds `problem` to the remark about the
/// database.
fn read<T>(
    name: &str,
    tags: &[Tag],
    tag: &str,
    problem: &str,
    remarks: &mut Remarks,
    meaning: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = value(tags, tag)?;
    let meant = meaning(text.trim());
    if meant.is_none() {
        let problem = format!("{tag} is {text:?}, which {problem}");
        match remarks.get_mut(name) {
            Some(Remark::Tags(problems)) => problems.push(problem),
            _ => drop(remarks.insert(name.to_owned(), Remark::Tags(vec![problem]))),
        }
    }
    meant
}

/// In any case: templates in Python write `True`.
fn boolean(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn statement_timeout(text: &str) -> Option<Duration> {
    let limits = GuardRails::SHORTEST..=GuardRails::LONGEST;
    humantime::parse_duration(text).ok().filter(|timeout| limits.contains(timeout))
}

/// The text for a terminal: no control characters, and not more than a tag may have.
fn notice(text: &str) -> Option<String> {
    let shown: String = text.chars().filter(|char| !char.is_control()).take(GuardRails::MAX_NOTICE).collect();
    Some(shown.trim().to_owned()).filter(|shown| !shown.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard_rails_of(tags: &[(&str, &str)]) -> (GuardRails, String) {
        let tags: Vec<_> = tags
            .iter()
            .map(|(name, value)| Tag { name: format!("rds-auth-proxy:{name}"), value: (*value).to_owned() })
            .collect();
        let mut remarks = Remarks::new();
        let rails = guard_rails("db-1", &tags, &mut remarks);
        local_port("db-1", &tags, &mut remarks);
        assert!(remarks.keys().all(|name| name == "db-1"), "{remarks:?}");
        (rails, remarks.remove("db-1").map(|remark| remark.to_string()).unwrap_or_default())
    }

    #[test]
    fn guard_rails_are_read() {
        assert_eq!(guard_rails_of(&[]), (GuardRails::default(), String::new()));
        assert_eq!(guard_rails_of(&[("read-only", "false")]), (GuardRails::default(), String::new()));
        let tags = [("read-only", " True "), ("statement-timeout", "1m 30s"), ("notice", "PRODUCTION")];
        let expected = GuardRails {
            read_only: true,
            statement_timeout: Some(Duration::from_secs(90)),
            notice: Some("PRODUCTION".into()),
        };
        assert_eq!(guard_rails_of(&tags), (expected, String::new()));
    }

    #[test]
    fn limits_of_a_statement_timeout() {
        for (text, expected) in [
            ("1ms", Some(1)),
            ("2147483647ms", Some(2_147_483_647)),
            ("2147483648ms", None),
            ("999us", None),
            ("0", None),
            ("0s", None),
            ("30", None),
            ("-1s", None),
            ("", None),
            ("99999999999999999999s", None),
        ] {
            let (rails, remark) = guard_rails_of(&[("statement-timeout", text)]);
            assert_eq!(rails.statement_timeout, expected.map(Duration::from_millis), "{text}");
            assert_eq!(remark.is_empty(), expected.is_some(), "{text}: {remark}");
        }
    }

    #[test]
    fn a_notice_is_one_line_of_bounded_length() {
        let of = |text: &str| guard_rails_of(&[("notice", text)]).0.notice;
        assert_eq!(of("\u{1b}[31mPROD\r\n\0UCTION\u{9b} \t"), Some("[31mPRODUCTION".into()));
        assert_eq!(of(&"é".repeat(300)), Some("é".repeat(256)));
        assert_eq!((of(""), of(" \n\u{7f} ")), (None, None));
    }

    #[test]
    fn all_unreadable_tags_of_a_database_are_in_one_remark() {
        let tags = [("read-only", "yes"), ("statement-timeout", "soon"), ("notice", ""), ("local-port", "0")];
        let (rails, remark) = guard_rails_of(&tags);
        assert_eq!(rails, GuardRails::default());
        assert_eq!(
            remark,
            "rds-auth-proxy:read-only is \"yes\", which is neither true nor false; \
             rds-auth-proxy:statement-timeout is \"soon\", which is not a duration between 1ms and 24 days, such as 30s; \
             rds-auth-proxy:notice is \"\", which has no text; \
             rds-auth-proxy:local-port is \"0\", which is not a port between 1 and 65535"
        );
    }
}
