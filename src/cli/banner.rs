//! The summary of a client at its start: a table of its targets, and how to connect.

use std::borrow::Cow;

use super::columns::aligned;
use crate::catalog::Target;
use crate::net::{Address, HostPort, SOCKET_PREFIX};
use crate::process::{Sanitized, Style};

const TITLES: [&str; 4] = ["TARGET", "ADDRESS", "PORT", "DATABASE"];

/// In place of a port that cannot be used; the log has the reason.
const NO_PORT: &str = "in use";

/// What a client serves, and where.
pub(super) struct Banner<'a> {
    pub(super) targets: Vec<Row<'a>>,
    /// At the address of the client the database names the target. Otherwise the address belongs to the only target.
    pub(super) shared: bool,
    /// The name of the upstream proxy in between; absent with `--direct`.
    pub(super) upstream: Option<&'a str>,
    /// The address of the client, with the real port.
    pub(super) listen: &'a Address,
}

/// A target of a client.
pub(super) struct Row<'a> {
    name: &'a str,
    address: &'a HostPort,
    /// Absent where its port cannot be used.
    port: Option<u16>,
    /// The database to connect to, if it is known.
    database: Option<&'a str>,
}

impl<'a> Row<'a> {
    /// The row of a target with this port.
    pub(super) fn new(target: &'a Target, port: Option<u16>) -> Self {
        Self { name: &target.name, address: &target.address, port, database: target.database.as_deref() }
    }

    /// In the order of [`TITLES`].
    fn cells(&self) -> Vec<String> {
        vec![
            Sanitized(self.name).to_string(),
            Sanitized(self.address).to_string(),
            self.port.map_or(NO_PORT.to_owned(), |port| port.to_string()),
            Sanitized(self.database.unwrap_or_default()).to_string(),
        ]
    }

    fn database(&self) -> &str {
        self.database.unwrap_or("YOUR_DATABASE")
    }
}

impl Banner<'_> {
    /// The text, with the command on a separate line.
    pub(super) fn render(&self, style: Style) -> String {
        let flags = psql_flags(self.listen);
        // A socket without a port in its name has nothing to show in that column.
        let table = if self.targets.is_empty() || (flags.is_none() && !self.shared) {
            String::new()
        } else {
            let rows: Vec<_> = self.targets.iter().map(Row::cells).collect();
            aligned(&TITLES, &rows, style) + "\n"
        };
        let (ready, rule, database) = (style.bold_green("Ready:"), self.rule(style), self.database());
        let command = match (flags, self.shared) {
            (Some(flags), _) => format!("psql {flags} -d {} -U YOUR_DATABASE_USER", quoted(&database)),
            (None, true) => format!("database {database}"),
            (None, false) => {
                return format!(
                    "{ready} {rule}.\nFor psql to find the socket, its file name has to be {SOCKET_PREFIX} and a port, such as \
                     {SOCKET_PREFIX}5432.\n"
                );
            }
        };
        let end = if self.shared { ":" } else { ". In another terminal, type:" };
        format!("{table}{ready} {rule}{end}\n\n\t{}\n\n", style.bold(&Sanitized(&command).to_string()))
    }

    /// Where connections go: a sentence without its end.
    fn rule(&self, style: Style) -> String {
        let listen = self.listen;
        let bold = |text: &str| style.bold(&Sanitized(text).to_string());
        let route = match self.upstream {
            Some(upstream) => format!("through the upstream proxy {}", bold(upstream)),
            None => "directly".to_owned(),
        };
        let state = match self.targets.as_slice() {
            [only, ..] if !self.shared => {
                return format!("connections to {listen} go to {} {route}", bold(only.name));
            }
            [] => "no target is known yet; each gets its port when AWS lists it",
            [..] => "each target has its port",
        };
        format!("{state}, {route}. At {listen} the database names the target")
    }

    /// The database to connect to at the address of the client.
    fn database(&self) -> Cow<'_, str> {
        match self.targets.first() {
            Some(target) if self.shared => format!("{}/{}", target.name, target.database()).into(),
            Some(target) => target.database().into(),
            None => "TARGET/DATABASE".into(),
        }
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
    const COLOURED: Style = Style { coloured: true };

    /// The summary of one target.
    fn text(listen: &str, database: Option<&str>) -> String {
        let (listen, address) = (listen.parse::<Address>().unwrap(), HostPort::new("orders.example", 5432));
        let target = Row { name: "orders-db", address: &address, port: listen.port(), database };
        let (targets, upstream) = (vec![target], Some("staging"));
        Banner { targets, shared: false, upstream, listen: &listen }.render(PLAIN)
    }

    /// That of two, the second of which has no port.
    fn text_of_two(listen: &str, style: Style) -> String {
        let (listen, address) = (listen.parse().unwrap(), HostPort::new("orders.example", 5432));
        let row = |name, port, database| Row { name, address: &address, port, database };
        let targets = vec![row("orders", Some(54001), Some("app")), row("people-of-all", None, None)];
        Banner { targets, shared: true, upstream: None, listen: &listen }.render(style)
    }

    fn has_line(text: &str, line: &str) -> bool {
        text.lines().any(|found| found.trim_start() == line && found != line)
    }

    #[test]
    fn the_columns_are_aligned_for_one_target_and_for_several() {
        assert_eq!(
            text("127.0.0.1:8001", Some("app")),
            "TARGET     ADDRESS              PORT  DATABASE\n\
             orders-db  orders.example:5432  8001  app\n\
             \n\
             Ready: connections to 127.0.0.1:8001 go to orders-db through the upstream proxy staging. In another terminal, type:\n\
             \n\
             \tpsql -h 127.0.0.1 -p 8001 -d app -U YOUR_DATABASE_USER\n\n"
        );
        assert_eq!(
            text_of_two("127.0.0.1:8001", PLAIN),
            "TARGET         ADDRESS              PORT    DATABASE\n\
             orders         orders.example:5432  54001   app\n\
             people-of-all  orders.example:5432  in use\n\
             \n\
             Ready: each target has its port, directly. At 127.0.0.1:8001 the database names the target:\n\
             \n\
             \tpsql -h 127.0.0.1 -p 8001 -d orders/app -U YOUR_DATABASE_USER\n\n"
        );
    }

    #[test]
    fn colours_change_no_letter() {
        let plain = text_of_two("127.0.0.1:8001", PLAIN);
        let coloured = text_of_two("127.0.0.1:8001", COLOURED);
        assert!(coloured.contains("\t\u{1b}[1mpsql -h 127.0.0.1"), "{coloured:?}");
        assert!(coloured.contains("\u{1b}[1;32mReady:\u{1b}[0m"), "{coloured:?}");
        let mut parser = vt100::Parser::new(24, 200, 0);
        parser.process(coloured.replace('\n', "\r\n").as_bytes());
        let shown = parser.screen().contents().replace("        psql", "\tpsql");
        assert_eq!(shown.trim_end(), plain.trim_end());
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
        let shared = text_of_two("unix:/run/proxy.sock", PLAIN);
        assert!(has_line(&shared, "database orders/app"), "{shared}");
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
        let targets = vec![Row { name: hostile, address: &address, port: Some(1), database: Some(hostile) }];
        let text = Banner { targets, shared: false, upstream: Some(hostile), listen: &listen }.render(PLAIN);
        assert_eq!(text.lines().count(), usual, "{text}");
        assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
        assert_eq!(text.matches(r"x\n\u{1b}[31m$ rm\r").count(), 6, "{text}");
    }

    #[test]
    fn a_socket_that_psql_cannot_find_gets_an_explanation() {
        let text = text("unix:/run/proxy.sock", None);
        assert!(text.contains("/run/proxy.sock") && text.contains(".s.PGSQL.5432"), "{text}");
        assert!(!text.contains("psql -h"), "{text}");
    }
}
