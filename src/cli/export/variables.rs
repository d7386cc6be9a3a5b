//! Variables of libpq for a shell (PostgreSQL manual, "Environment Variables" of libpq).

use std::fmt::Write as _;

use super::settings::Settings;
use crate::cli::banner::quoted;
use crate::process::CommandError;

/// Variables that would lead elsewhere, or that the client makes needless.
const UNSET: [&str; 3] = ["PGHOSTADDR", "PGPASSWORD", "PGSERVICE"];

/// Commands that set the variables for one target.
pub(super) fn render(settings: &[Settings]) -> Result<String, CommandError> {
    let [settings] = settings else {
        let names: Vec<_> = settings.iter().map(|settings| settings.name.as_str()).collect();
        return Err(CommandError::usage(format_args!(
            "--format env describes one target; choose one with --target: {}",
            names.join(", ")
        )));
    };
    let Settings { name: _, host, port, database, user, ssl_mode } = settings;
    let mut unset = UNSET.to_vec();
    let mut text = format!("export PGHOST={} PGPORT={port} PGSSLMODE={ssl_mode}\n", quoted(host));
    for (variable, value) in [("PGDATABASE", database), ("PGUSER", user)] {
        match value {
            Some(value) => {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "export {variable}={}", quoted(value));
            }
            // That of another target would stay.
            None => unset.push(variable),
        }
    }
    let _ = writeln!(text, "unset {}", unset.join(" "));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{odd, plain};
    use super::*;

    #[test]
    fn values_are_words_of_a_shell() {
        assert_eq!(
            render(&[odd()]).unwrap(),
            "export PGHOST='::1' PGPORT=20001 PGSSLMODE=require\nexport PGDATABASE='d b/%'\\'''\n\
             export PGUSER='u+v@w&x=y'\nunset PGHOSTADDR PGPASSWORD PGSERVICE\n"
        );
        let text = render(&[plain("orders")]).unwrap();
        assert!(text.ends_with("unset PGHOSTADDR PGPASSWORD PGSERVICE PGDATABASE PGUSER\n"), "{text}");
    }

    #[test]
    fn several_targets_are_refused() {
        let Err(CommandError::Usage(text)) = render(&[plain("a"), plain("b")]) else {
            panic!("must be refused")
        };
        assert!(text.ends_with("choose one with --target: a, b"), "{text}");
    }
}
