//! The service file of the user (PostgreSQL manual, "The Connection Service File").

use std::env;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::service;
use super::service_block::{Malformed, other_services, with_services, without_services};
use super::settings::Settings;
use crate::cli::output;
use crate::process::CommandError;

/// Writes the services into the file; all other bytes and the mode of the file stay.
pub(super) fn write(settings: &[Settings]) -> Result<(), CommandError> {
    let services = service::render(settings)?;
    let path = path()?;
    let warn_of_same_names = |file: &[u8]| -> Result<(), Malformed> {
        let others = other_services(file)?;
        for Settings { name, .. } in settings.iter().filter(|settings| others.contains(&settings.name)) {
            warn!(name, file = %path.display(), "the file has another service of this name, which libpq may use instead");
        }
        Ok(())
    };
    change(&path, |file| {
        warn_of_same_names(file)?;
        with_services(file, &services)
    })?;
    output::remark(&format!("{} has {} services of rds-auth-proxy", path.display(), settings.len()));
    Ok(())
}

/// Takes the services out of the file.
pub(super) fn remove() -> Result<(), CommandError> {
    let path = path()?;
    change(&path, without_services)?;
    output::remark(&format!("{} has no services of rds-auth-proxy", path.display()));
    Ok(())
}

/// The file that libpq reads: that of `PGSERVICEFILE`, else that of the home directory, on Windows of the application data.
fn path() -> Result<PathBuf, CommandError> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable("PGSERVICEFILE") {
        return Ok(path);
    }
    let (directory, rest) =
        if cfg!(windows) { ("APPDATA", "postgresql/.pg_service.conf") } else { ("HOME", ".pg_service.conf") };
    let found = variable(directory).map(|directory| directory.join(rest));
    found.ok_or_else(|| {
        CommandError::usage(format_args!("{directory} is not set; name the service file with PGSERVICEFILE"))
    })
}

/// Replaces the file by what `change` makes of it, at once: a reader sees the old or the new one. A link stays, and the file
/// behind it changes.
fn change(path: &Path, change: impl FnOnce(&[u8]) -> Result<Vec<u8>, Malformed>) -> Result<(), CommandError> {
    let failed = |error: &io::Error| {
        CommandError::runtime(format_args!("the service file {} cannot be changed: {error}", path.display()))
    };
    let (real, before, metadata) = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), Vec::new(), None),
        Err(error) => return Err(failed(&error)),
        Ok(_) => {
            let real = fs::canonicalize(path).map_err(|error| failed(&error))?;
            let metadata = fs::metadata(&real).map_err(|error| failed(&error))?;
            (real.clone(), fs::read(&real).map_err(|error| failed(&error))?, Some(metadata))
        }
    };
    let after =
        change(&before).map_err(|error| CommandError::usage(format_args!("{}: {error}", path.display())))?;
    if after == before {
        return Ok(());
    }
    replace(&real, &after, metadata.as_ref()).map_err(|error| failed(&error))
}

fn replace(path: &Path, content: &[u8], metadata: Option<&Metadata>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", fastrand::u64(..)));
    let new = path.with_file_name(name);
    let written = write_new(&new, content, metadata).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The first error is the one that counts.
        let _removed = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, content: &[u8], metadata: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    if let Some(metadata) = metadata {
        keep_owner(&file, metadata)?;
        file.set_permissions(metadata.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()
}

/// A file that root changes for another user stays that user's.
#[cfg(unix)]
fn keep_owner(file: &File, metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    fchown(file, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}
