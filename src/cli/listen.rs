//! The address of `--listen` and `--port`.

use super::args::ClientArguments;
use crate::app::ListenFlags;
use crate::net::Address;
use crate::process::CommandError;

/// What the flags say about the address to listen on. An unusable value is a usage error.
pub(super) fn flags(arguments: &ClientArguments) -> Result<ListenFlags, CommandError> {
    let address = arguments.listen.as_deref().map(address).transpose()?;
    let port = arguments.port.as_deref().map(port).transpose()?;
    if let (Some(socket @ Address::Unix(_)), Some(port)) = (&address, port) {
        return Err(CommandError::Usage(format!(
            "--port {port} and --listen {socket} exclude each other; a Unix socket has no port"
        )));
    }
    Ok(ListenFlags { address, port })
}

fn address(text: &str) -> Result<Address, CommandError> {
    // As in `proxy.listen_addr`. The address is refused later, with the reason.
    let everywhere = text.starts_with(':').then(|| format!("0.0.0.0{text}"));
    everywhere.as_deref().unwrap_or(text).parse().map_err(|error| {
        CommandError::usage(format_args!("--listen: {error}; write it as in --listen 127.0.0.1:8002"))
    })
}

fn port(text: &str) -> Result<u16, CommandError> {
    let reason = || {
        CommandError::usage(format_args!("\"{text}\" in --port is not a port; use a number from 0 to 65535"))
    };
    text.parse().map_err(|_| reason())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::args::Command;
    use super::super::read::read;
    use super::*;

    fn given(line: &str) -> Result<ListenFlags, String> {
        let words = format!("p client {line}").split(' ').map(OsString::from).collect();
        let Ok(Command::Client(arguments)) = read(words) else { panic!("{line}") };
        flags(&arguments).map_err(|error| match error {
            CommandError::Usage(text) => text,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn addresses_are_written_as_in_the_configuration() {
        for (line, address, port) in [
            ("--listen 127.0.0.1:1", Some("127.0.0.1:1"), None),
            ("--listen [::1]:0 --port 7", Some("[::1]:0"), Some(7)),
            ("--listen :8001", Some("0.0.0.0:8001"), None),
            ("--listen unix:/run/me/.s.PGSQL.5432", Some("unix:/run/me/.s.PGSQL.5432"), None),
            ("--port 0", None, Some(0)),
        ] {
            let flags = given(line).unwrap();
            assert_eq!(
                (flags.address.map(|address| address.to_string()).as_deref(), flags.port),
                (address, port)
            );
        }
    }

    #[test]
    fn unusable_values_are_refused_with_an_example() {
        for (line, parts) in [
            ("--listen 8002", ["--listen: `8002` is not an address", "--listen 127.0.0.1:8002"]),
            ("--port 65536", ["\"65536\" in --port", "from 0 to 65535"]),
            ("--port x", ["\"x\" in --port", "from 0 to 65535"]),
            ("--listen unix:/run/s --port 1", ["--port 1 and --listen unix:/run/s", "exclude each other"]),
        ] {
            let text = given(line).err().unwrap();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
