//! The configuration.

use super::check::Finding;
use super::request::Request;
use crate::app::start::{ConfigFile, find_and_read};
use crate::config::{self, Config, Mode};
use crate::process::CommandError;

/// Reads the configuration as a client does. Where there is no file and the client needs one, the value is the defaults, with which
/// AWS can be examined.
pub(super) fn check(request: &Request) -> Finding<Config> {
    let mode = if request.direct { Mode::DirectClient } else { Mode::Client };
    let found = config::find(request.configfile.as_deref(), mode.into());
    if let Err(config::ConfigError::NotFound { .. }) = &found {
        return without_file(request);
    }
    let read = find_and_read(request.configfile.as_deref(), mode.into(), |path| config::load(path, mode));
    match read {
        Ok((file, config)) => usable(&file, config),
        Err(error) => error.into(),
    }
}

fn without_file(request: &Request) -> Finding<Config> {
    match (config::defaults(Mode::DirectClient), request.direct) {
        (Ok(defaults), true) => Finding::ok("no configuration file was found; the defaults apply", defaults),
        (Ok(defaults), false) => {
            let error = find_and_read::<()>(None, Mode::Client.into(), |_| Ok(()));
            let text = error.err().map(|error| error.text().to_owned()).unwrap_or_default();
            Finding::error(text).with(defaults)
        }
        (Err(error), _) => CommandError::usage(error).into(),
    }
}

fn usable(file: &ConfigFile, config: Config) -> Finding<Config> {
    let path = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
    let remarks: Vec<_> =
        config.remarks.iter().map(|remark| format!("{}: {}", remark.key, remark.text)).collect();
    if remarks.is_empty() {
        return Finding::ok(path.display(), config);
    }
    Finding::warning(format_args!("{}: {}", path.display(), remarks.join("; ")), None, config)
}
