//! The banner of a client: its target, and how to connect.

use std::borrow::Cow;

use crate::net::{Address, HostPort, SOCKET_PREFIX};
use crate::process::{Sanitized, Style};

/// A listener and its target.
#[derive(Clone, Copy)]
pub(super) struct Banner<'a> {
    /// The name of the target.
    pub(super) target: &'a str,
    /// The address of the target.
    pub(super) address: &'a HostPort,
    /// The name of the upstream proxy in between; absent with `--direct`.
    pub(super) upstream: Option<&'a str>,
    /// The address of the client, with the real port.
    pub(super) listen: &'a Address,
    /// The database to connect to, if it is known.
    pub(super) database: Option<&'a str>,
}

impl Banner<'_> {
    /// The text, with the command on a separate line.
    pub(super) fn render(&self, style: Style) -> String {
        let (listen, address) = (self.listen, Sanitized(self.address));
        let bold = |text: &str| style.bold(&Sanitized(text).to_string());
        let target = bold(self.target);
        let route = match self.upstream {
            Some(upstream) => format!("through the upstream proxy {}", bold(upstream)),
            None => "directly".to_owned(),
        };
        let ready = format!("Ready: connections to {listen} go to {target} ({address}) {route}.");
        let Some(flags) = psql_flags(listen) else {
            return format!(
                "{ready}\nFor psql to find the socket, its file name has to be {SOCKET_PREFIX} and a port, such as \
                 {SOCKET_PREFIX}5432.\n"
            );
        };
        let database = self.database.map_or(Cow::Borrowed("YOUR_DATABASE"), quoted);
        let command = bold(&format!("psql {flags} -d {database} -U YOUR_DATABASE_USER"));
        format!("{ready} In another terminal, type:\n\n\t{command}\n\n")
    }
}

/// The flags for psql to reach the listener; absent for a Unix socket whose file name psql does not look for.
pub(super) fn psql_flags(listen: &Address) -> Option<String> {
    let host = match listen {
        Address::Tcp(address) => Cow::Borrowed(address.reachable_host()),
        Address::Unix(path) => quoted(path.parent()?.to_str()?),
    };
    Some(format!("-h {host} -p {}", listen.port()?))
}

/// The text as one word for a shell.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { coloured: false };

    fn text(listen: &str, database: Option<&str>) -> String {
        let listen = listen.parse().unwrap();
        let address = HostPort::new("orders.example", 5432);
        Banner {
            target: "orders-db",
            address: &address,
            upstream: Some("staging"),
            listen: &listen,
            database,
        }
        .render(PLAIN)
    }

    fn has_line(text: &str, line: &str) -> bool {
        text.lines().any(|found| found.trim_start() == line && found != line)
    }

    #[test]
    fn the_command_stands_on_its_own_line() {
        for (listen, line) in [
            ("127.0.0.1:8001", "psql -h 127.0.0.1 -p 8001 -d app -U YOUR_DATABASE_USER"),
            ("0.0.0.0:8001", "psql -h 127.0.0.1 -p 8001 -d app -U YOUR_DATABASE_USER"),
            ("[::1]:54000", "psql -h ::1 -p 54000 -d app -U YOUR_DATABASE_USER"),
            ("[::]:54000", "psql -h ::1 -p 54000 -d app -U YOUR_DATABASE_USER"),
            ("unix:/run/my/.s.PGSQL.5433", "psql -h /run/my -p 5433 -d app -U YOUR_DATABASE_USER"),
            ("unix:/run/o k/.s.PGSQL.5433", "psql -h '/run/o k' -p 5433 -d app -U YOUR_DATABASE_USER"),
        ] {
            let text = text(listen, Some("app"));
            assert!(has_line(&text, line), "{text}");
        }
    }

    #[test]
    fn the_database_is_a_placeholder_or_one_word() {
        let unknown = text("127.0.0.1:8001", None);
        assert!(
            has_line(&unknown, "psql -h 127.0.0.1 -p 8001 -d YOUR_DATABASE -U YOUR_DATABASE_USER"),
            "{unknown}"
        );
        let odd = text("127.0.0.1:8001", Some("it's; rm"));
        assert!(odd.contains(r"-d 'it'\''s; rm' -U"), "{odd}");
    }

    #[test]
    fn no_name_adds_a_line_or_controls_the_terminal() {
        let usual = text("127.0.0.1:1", Some("app")).lines().count();
        let (hostile, listen) = ("x\n\u{1b}[31m$ rm\r", "127.0.0.1:1".parse().unwrap());
        let address = HostPort::new(hostile, 1);
        let banner = Banner {
            target: hostile,
            address: &address,
            upstream: Some(hostile),
            listen: &listen,
            database: Some(hostile),
        };
        let text = banner.render(PLAIN);
        assert_eq!(text.lines().count(), usual, "{text}");
        assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
        assert_eq!(text.matches(r"x\n\u{1b}[31m$ rm\r").count(), 4, "{text}");
    }

    #[test]
    fn the_route_is_named() {
        assert!(
            text("127.0.0.1:1", None).starts_with(
                "Ready: connections to 127.0.0.1:1 go to orders-db (orders.example:5432) through the upstream proxy staging."
            )
        );
        let (address, listen) = (HostPort::new("db", 1), "127.0.0.1:1".parse().unwrap());
        let direct =
            Banner { target: "db", address: &address, upstream: None, listen: &listen, database: None };
        assert!(direct.render(PLAIN).contains("db (db:1) directly"));
        assert!(direct.render(Style { coloured: true }).contains("\t\u{1b}[1mpsql -h 127.0.0.1"));
    }

    #[test]
    fn a_socket_that_psql_cannot_find_gets_an_explanation() {
        let text = text("unix:/run/proxy.sock", None);
        assert!(text.contains("/run/proxy.sock") && text.contains(".s.PGSQL.5432"), "{text}");
        assert!(!text.contains("psql -h"), "{text}");
    }
}
