//! URLs of libpq and of the JDBC driver.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::settings::Settings;
use crate::net::HostPort;
use crate::process::Sanitized;

/// All but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One URL a line. Those of several targets have a line with the name before them.
pub(super) fn render(settings: &[Settings], url: fn(&Settings) -> String) -> String {
    let name = |settings: &Settings| format!("# {}\n", Sanitized(&settings.name));
    let several = settings.len() > 1;
    settings
        .iter()
        .map(|settings| if several { name(settings) } else { String::new() } + &url(settings) + "\n")
        .collect()
}

/// PostgreSQL manual, "Connection URIs".
pub(super) fn postgresql(settings: &Settings) -> String {
    let user = settings.user.as_deref().map(|user| encoded(user) + "@").unwrap_or_default();
    let address = if settings.host.starts_with('/') {
        format!("{}:{}", encoded(&settings.host), settings.port)
    } else {
        address(settings).to_string()
    };
    format!("postgresql://{user}{address}/{}?sslmode={}", database(settings), settings.ssl_mode)
}

/// The manual of the PostgreSQL JDBC driver, "Connecting to the Database"
/// (<https://jdbc.postgresql.org/documentation/use/>).
pub(super) fn jdbc(settings: &Settings) -> String {
    let user = settings.user.as_deref().map(|user| format!("user={}&", encoded(user))).unwrap_or_default();
    format!("{}?{user}sslmode={}", jdbc_of_database(settings), settings.ssl_mode)
}

/// The same without parameters.
pub(super) fn jdbc_of_database(settings: &Settings) -> String {
    format!("jdbc:postgresql://{}/{}", address(settings), database(settings))
}

fn address(settings: &Settings) -> HostPort {
    HostPort::new(&settings.host, settings.port)
}

fn database(settings: &Settings) -> String {
    settings.database.as_deref().map(encoded).unwrap_or_default()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{odd, plain};
    use super::*;

    #[test]
    fn a_directory_of_sockets_is_encoded() {
        let settings = Settings { host: "/run/o k".into(), ..plain("a") };
        assert_eq!(postgresql(&settings), "postgresql://%2Frun%2Fo%20k:29820/?sslmode=disable");
    }

    #[test]
    fn one_url_stands_alone_and_several_have_names() {
        assert_eq!(render(&[plain("a")], postgresql), "postgresql://127.0.0.1:29820/?sslmode=disable\n");
        assert_eq!(
            render(&[plain("a"), odd()], jdbc),
            "# a\njdbc:postgresql://127.0.0.1:29820/?sslmode=disable\n# a:<b>&\"c'\n\
             jdbc:postgresql://[::1]:20001/d%20b%2F%25%27?user=u%2Bv%40w%26x%3Dy&sslmode=require\n"
        );
        assert_eq!(
            postgresql(&odd()),
            "postgresql://u%2Bv%40w%26x%3Dy@[::1]:20001/d%20b%2F%25%27?sslmode=require"
        );
    }
}
