//! Takes a password out of the argument list, which every user of the machine may read, and out of the environment,
//! which every program inherits that this one starts: credential plugins of AWS and Kubernetes.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use super::password::LONGEST;
use crate::secret::Secret;

/// The flag and the variable that hold a password, and the variable that names a file with one.
const FLAG: &str = "--password";
const VARIABLE: &str = "RDS_AUTH_PROXY_PASSWORD";
const FILE_VARIABLE: &str = "RDS_AUTH_PROXY_PASSWORD_FILE";

/// Begins again, in the same process and with the same arguments but for the password, which waits in a pipe that is given
/// as the password file. Neither place can be overwritten otherwise without `unsafe`. Returns only if that fails; then
/// the password is used from where it is.
pub(super) fn hide(password: &Secret, arguments: &[OsString]) -> Option<io::Error> {
    // What a file cannot hold is refused later on, or reads otherwise: it loses one line end.
    if password.is_empty() || password.len() > LONGEST || password.expose().ends_with(b"\r") {
        return None;
    }
    let begin_again = || -> io::Result<Infallible> {
        let pipe = OwnedFd::from(filled_pipe(password)?);
        fcntl_setfd(&pipe, FdFlags::empty())?;
        let mut command = Command::new(env::current_exe()?);
        let mut kept = without_password(arguments).into_iter();
        if let Some(name) = kept.next() {
            command.arg0(name);
        }
        command.args(kept).env_remove(VARIABLE);
        command.env(FILE_VARIABLE, format!("/dev/fd/{}", pipe.as_raw_fd()));
        Err(command.exec())
    };
    begin_again().err()
}

/// A pipe takes 4 KiB at the least (pipe(7)), and 64 KiB wherever nothing is short; what does not fit must not block.
fn filled_pipe(password: &Secret) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    writer.write_all(password.expose())?;
    writer.write_all(b"\n")?;
    Ok(reader)
}

fn without_password(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == FLAG {
            arguments.next();
        } else if !text.starts_with(&format!("{FLAG}=")) {
            kept.push(argument.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_cut_out_of_the_arguments_in_either_form() {
        let cut = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            without_password(&arguments).join(OsString::from(" ").as_os_str()).into_string().unwrap()
        };
        assert_eq!(cut("p client --password x --target db"), "p client --target db");
        assert_eq!(cut("p client --password=x --direct"), "p client --direct");
        assert_eq!(cut("p client --password-file f"), "p client --password-file f");
    }
}
