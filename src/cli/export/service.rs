//! Services of libpq (PostgreSQL manual, "The Connection Service File").

use std::fmt::Write as _;

use super::settings::Settings;
use crate::process::CommandError;

/// A section for each target, with its name as the name of the service.
///
/// libpq ends a name at the first `]`, and ignores white space at both ends of a line (`parseServiceFile` in
/// `src/interfaces/libpq/fe-connect.c`). Nothing quotes them.
pub(super) fn render(settings: &[Settings]) -> Result<String, CommandError> {
    let mut text = String::new();
    for settings in settings {
        let Settings { name, host, port, database, user, ssl_mode } = settings;
        let is_name = !name.contains(']');
        let values = [("name", Some(name)), ("database", database.as_ref()), ("user", user.as_ref())];
        let odd = values.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
        let mut odd = odd.filter(|(kind, value)| value.trim() != *value || (*kind == "name" && !is_name));
        if let Some((kind, value)) = odd.next() {
            return Err(CommandError::usage(format_args!(
                "a service file cannot hold the {kind} \"{value}\" of the target \"{name}\"; leave the target out with --target"
            )));
        }
        let separator = if text.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}[{name}]\nhost={host}\nport={port}\n");
        for (key, value) in [("dbname", database), ("user", user)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key}={value}");
            }
        }
        let _ = writeln!(text, "sslmode={ssl_mode}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{odd, plain};
    use super::*;

    #[test]
    fn each_target_has_a_section() {
        assert_eq!(
            render(&[plain("orders"), odd()]).unwrap(),
            "[orders]\nhost=127.0.0.1\nport=29820\nsslmode=disable\n\n\
             [a:<b>&\"c']\nhost=::1\nport=20001\ndbname=d b/%'\nuser=u+v@w&x=y\nsslmode=require\n"
        );
    }

    #[test]
    fn what_libpq_would_read_differently_is_refused() {
        for settings in [
            plain("a]b"),
            plain(" a"),
            Settings { database: Some("app ".into()), ..plain("a") },
            Settings { user: Some(" x".into()), ..plain("a") },
        ] {
            let Err(CommandError::Usage(text)) = render(&[settings]) else { panic!("must be refused") };
            assert!(text.starts_with("a service file cannot hold the "), "{text}");
        }
    }
}
