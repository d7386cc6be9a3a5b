//! `token`: an IAM token for a script.

use serde::Serialize;
use zeroize::Zeroizing;

use super::args::{OutputFormat, TokenArguments};
use super::{output, pick};
use crate::app::{Overview, once};
use crate::aws::SignedToken;
use crate::process::CommandError;

/// The output as JSON, which `docs/schemas/token.json` describes. It lives until it is printed.
#[derive(Serialize)]
struct Document<'a> {
    token: &'a str,
    /// UTC, RFC 3339 with whole seconds.
    expires: String,
}

/// Prints a token, and nothing else.
pub(super) fn run(arguments: &TokenArguments) -> Result<(), CommandError> {
    once(print(arguments))
}

async fn print(arguments: &TokenArguments) -> Result<(), CommandError> {
    let overview =
        Overview::load(arguments.source.configfile.as_deref(), arguments.source.profile.as_deref()).await?;
    let target = pick::target(&overview.directory, &arguments.target).await?;
    let signed = overview.token(&target, &arguments.user).await?;
    output::print(text(&signed, arguments.output)?)
}

fn text(signed: &SignedToken, format: OutputFormat) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let token = signed.token.expose();
    let mut text = Zeroizing::new(Vec::with_capacity(2 * token.len() + 100));
    match format {
        OutputFormat::Text => text.extend_from_slice(token),
        OutputFormat::Json => {
            let token = str::from_utf8(token).map_err(CommandError::runtime)?;
            let expires = humantime::format_rfc3339_seconds(signed.expires).to_string();
            serde_json::to_writer(&mut *text, &Document { token, expires }).map_err(CommandError::runtime)?;
        }
    }
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_token_is_alone_on_its_line() {
        let expires = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        let signed = SignedToken { token: Secret::new("h:1/?a=b&c=%2F"), expires };
        let printed = |format| String::from_utf8(text(&signed, format).unwrap().to_vec()).unwrap();
        assert_eq!(printed(OutputFormat::Text), "h:1/?a=b&c=%2F\n");
        assert_eq!(
            printed(OutputFormat::Json),
            "{\"token\":\"h:1/?a=b&c=%2F\",\"expires\":\"2023-11-14T22:13:20Z\"}\n"
        );
    }
}
