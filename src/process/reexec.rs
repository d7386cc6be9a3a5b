//! Takes a password out of the argument list, which every user of the machine may read, and out of the environment,
//! which every program that this one starts inherits: credential plugins of AWS and Kubernetes.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use crate::secret::Secret;

/// The flag and the variable that hold a password, and the variable that names a file with one.
const FLAG: &str = "--password";
const VARIABLE: &str = "RDS_AUTH_PROXY_PASSWORD";
const FILE_VARIABLE: &str = "RDS_AUTH_PROXY_PASSWORD_FILE";

/// Executes this program again in the same process, with the same arguments except the password, which a pipe holds that
/// the new run reads as its password file. Without `unsafe`, neither argument list nor environment can be overwritten in
/// place. Returns only the error of a failed attempt.
pub(crate) fn without_visible_password(password: &Secret, arguments: &[OsString]) -> io::Error {
    let execute = || -> io::Result<Infallible> {
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
    match execute() {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

/// A pipe holds at least 4 KiB (pipe(7)), usually 64 KiB; a password that does not fit must not block.
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
        if text == "--" {
            // The command of a client has arguments that are not ours.
            kept.push(argument.clone());
            kept.extend(arguments.by_ref().cloned());
        } else if text == FLAG {
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
    fn both_forms_of_the_password_argument_are_removed() {
        let kept = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            without_password(&arguments).join(OsString::from(" ").as_os_str()).into_string().unwrap()
        };
        assert_eq!(kept("p client --password x --target db"), "p client --target db");
        assert_eq!(kept("p client --password=x --direct"), "p client --direct");
        assert_eq!(kept("p client --password-file f"), "p client --password-file f");
        assert_eq!(kept("p client --password x -- psql --password y"), "p client -- psql --password y");
    }
}
