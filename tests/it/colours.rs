//! The variables that decide on colours, for a pipe and for a terminal.

use crate::support::proxy::Launch;
#[cfg(target_os = "linux")]
use crate::support::terminal::Terminal;

/// The first letters of an error: with and without colours.
const COLOURED: &str = "\u{1b}[1;31merror:\u{1b}[0m ";
const PLAIN: &str = "error: ";

/// A command that ends with an error, with these variables.
fn launch(variables: &[(&str, &str)]) -> Launch {
    let launch = Launch::new("healthcheck", &["healthcheck", "--configfile", "/nonexistent.yaml"]);
    variables.iter().fold(launch, |launch, (name, value)| launch.env(name, *value))
}

#[tokio::test]
async fn a_pipe_has_colours_only_where_they_are_forced() {
    for (variables, expected) in [
        (&[][..], PLAIN),
        (&[("CLICOLOR", "1")], PLAIN),
        (&[("CLICOLOR_FORCE", "")], PLAIN),
        (&[("CLICOLOR_FORCE", "1")], COLOURED),
        (&[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")], COLOURED),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], PLAIN),
    ] {
        let ended = launch(variables).run().await;
        assert!(ended.stderr.starts_with(expected), "{variables:?}: {ended:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_has_colours_unless_they_are_refused() {
    for (variables, expected) in [
        (&[][..], COLOURED),
        (&[("CLICOLOR", "1")], COLOURED),
        (&[("NO_COLOR", "")], COLOURED),
        (&[("NO_COLOR", "1")], PLAIN),
        (&[("CLICOLOR", "0")], PLAIN),
        (&[("TERM", "dumb")], PLAIN),
        (&[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")], COLOURED),
    ] {
        let mut terminal = Terminal::launch(&launch(variables)).await;
        terminal.ended().await;
        terminal.expect("error:").await;
        let text = terminal.text();
        assert!(text.starts_with(expected), "{variables:?}: {text:?}");
    }
}

/// A collector of logs reads JSON, whatever the variables say.
#[tokio::test]
async fn json_has_no_colours() {
    let config = crate::support::scratch::new_directory("colours").join("server.yaml");
    std::fs::write(&config, "proxy: {listen_addr: '127.0.0.1:0'}\nrds: {enabled: false}\n").unwrap();
    let launch = Launch::mode("server", "server", &config).env("CLICOLOR_FORCE", "1");
    let mut server = launch.start().await.unwrap();
    server.stop().await;
    assert!(!server.log().contains('\u{1b}'), "{}", server.log());
}
