//! Finds the configuration file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::format::{NAMES, other_format, other_names};
use super::{ConfigError, Mode};

/// The directory of this program in the user's configuration directory.
const DIRECTORY: &str = "rds-auth-proxy";

/// A configuration file, which need not be readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub path: PathBuf,
    /// How it was found.
    pub origin: Origin,
}

impl Found {
    /// Whether it may belong to another program: it is in the working directory, and its name says that it is neither YAML nor
    /// JSON.
    #[must_use]
    pub fn may_be_foreign(&self) -> bool {
        self.origin == Origin::WorkingDirectory && other_format(&self.path).is_some()
    }
}

/// How a configuration file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--configfile` names it.
    Named,
    /// It is in the working directory, where another user or a cloned repository may have put it.
    WorkingDirectory,
    /// It is in the user's configuration directory.
    UserDirectory,
}

/// The directories that are searched first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchOrder {
    /// The working directory, as in the Go program.
    WorkingDirectoryFirst,
    /// The user's directories. A file in the working directory decides which server gets the user's tokens, and which
    /// program makes the credentials of the tunnel, so it must not replace the user's own.
    UserDirectoriesFirst,
}

impl From<Mode> for SearchOrder {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Client | Mode::DirectClient => Self::UserDirectoriesFirst,
            Mode::Server => Self::WorkingDirectoryFirst,
        }
    }
}

/// The configuration: `explicit` (from `--configfile`) if given, else the first of `config.yaml`, `config.yml` and
/// `config.json` in the working directory, `$XDG_CONFIG_HOME/rds-auth-proxy` and `~/.config/rds-auth-proxy`. `order` says
/// whether the working directory is the first or the last of them.
///
/// An entry of that name ends the search even if it cannot be read (no permission, a link to nothing, a directory): another
/// file must not replace it silently.
///
/// A file in another format that the Go program finds (`config.toml`) is found too, so that its owner reads why it cannot be
/// used: in the user's directories in its turn, in the working directory only if there is no other file, because it may
/// belong to another program. [`ConfigError::NotFound`] lists every path that was tried.
pub fn find(explicit: Option<&Path>, order: SearchOrder) -> Result<Found, ConfigError> {
    find_among(explicit, order, Path::new("."), &Environment::of_process())
}

/// Where the configuration of this user belongs: `config.yaml` in the first of the user's directories that are searched. Absent
/// where the environment names no such directory.
#[must_use]
pub fn user_file() -> Option<PathBuf> {
    Some(user_directories(&Environment::of_process()).next()?.join(NAMES.first()?))
}

fn find_among(
    explicit: Option<&Path>,
    order: SearchOrder,
    working: &Path,
    environment: &Environment,
) -> Result<Found, ConfigError> {
    if let Some(path) = explicit {
        return named(path, environment);
    }
    let candidates = candidates(order, working, environment);
    if let Some(found) = candidates.iter().find(|candidate| is_found(&candidate.path)) {
        return Ok(found.clone());
    }
    let paths = candidates.into_iter().map(|candidate| candidate.path);
    Err(ConfigError::NotFound { looked_at: paths.filter(|path| other_format(path).is_none()).collect() })
}

fn named(path: &Path, environment: &Environment) -> Result<Found, ConfigError> {
    // A shell does not expand the tilde of `--configfile=~/x`.
    let path = path.to_str().and_then(|text| environment.path(text).ok()).unwrap_or(path.into());
    if exists(&path) {
        Ok(Found { path, origin: Origin::Named })
    } else {
        Err(ConfigError::Missing {
            path,
            remedy: "correct --configfile, or leave it out for the usual places",
        })
    }
}

fn candidates(order: SearchOrder, working: &Path, environment: &Environment) -> Vec<Found> {
    let known = NAMES.map(str::to_owned).to_vec();
    let other: Vec<_> = other_names().collect();
    let all = [known.as_slice(), other.as_slice()].concat();
    let found = |directory: &Path, names: &[String], origin: Origin| -> Vec<_> {
        names.iter().map(|name| Found { path: directory.join(name), origin }).collect()
    };
    let user = user_directories(environment)
        .flat_map(|directory| found(&directory, &all, Origin::UserDirectory))
        .collect();
    let here = found(working, &known, Origin::WorkingDirectory);
    let mut candidates = match order {
        SearchOrder::WorkingDirectoryFirst => [here, user].concat(),
        SearchOrder::UserDirectoriesFirst => [user, here].concat(),
    };
    candidates.extend(found(working, &other, Origin::WorkingDirectory));
    candidates.dedup();
    candidates
}

/// `$XDG_CONFIG_HOME/rds-auth-proxy` and `~/.config/rds-auth-proxy`. A relative path has no meaning in `XDG_CONFIG_HOME`
/// (XDG Base Directory Specification, "Basics"), and would lead to the working directory.
fn user_directories(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let xdg = environment.variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = environment.home().map(|home| home.join(".config"));
    [xdg, home].into_iter().flatten().filter(|path| path.is_absolute()).map(|path| path.join(DIRECTORY))
}

/// Whether the search ends at `path`.
fn is_found(path: &Path) -> bool {
    if other_format(path).is_some() { path.is_file() } else { exists(path) }
}

/// Whether there is an entry at `path`, of any kind. An error other than "there is none" counts as one, such as a directory
/// that may not be searched.
fn exists(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(home: &Path, xdg: &Path) -> Environment {
        let leak = |path: &Path| -> &'static str { Box::leak(path.to_str().unwrap().to_owned().into()) };
        Environment::of(Box::leak(Box::new([("HOME", leak(home)), ("XDG_CONFIG_HOME", leak(xdg))])))
    }

    #[test]
    fn directories_are_searched_in_order_and_listed_if_none_has_a_file() {
        for order in [SearchOrder::WorkingDirectoryFirst, SearchOrder::UserDirectoriesFirst] {
            let root = tempfile::tempdir().unwrap();
            let [here, home, xdg] = ["here", "home", "xdg"].map(|name| root.path().join(name));
            let environment = environment(&home, &xdg);
            let (in_home, in_xdg) = (home.join(".config").join(DIRECTORY), xdg.join(DIRECTORY));
            let mut directories = match order {
                SearchOrder::WorkingDirectoryFirst => [&here, &in_xdg, &in_home],
                SearchOrder::UserDirectoriesFirst => [&in_xdg, &in_home, &here],
            };
            directories.reverse();
            let tried = directories
                .map(|directory| {
                    ["config.json", "config.yml", "config.yaml"].map(|name| directory.join(name))
                })
                .concat();
            let error = find_among(None, order, &here, &environment).unwrap_err().to_string();
            for path in &tried {
                assert!(error.contains(path.to_str().unwrap()), "{error}");
            }
            for path in tried {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
                let origin =
                    if path.starts_with(&here) { Origin::WorkingDirectory } else { Origin::UserDirectory };
                assert_eq!(find_among(None, order, &here, &environment).unwrap(), Found { path, origin });
            }
        }
    }

    #[test]
    fn a_file_in_another_format_is_found_last_in_the_working_directory() {
        for order in [SearchOrder::WorkingDirectoryFirst, SearchOrder::UserDirectoriesFirst] {
            let root = tempfile::tempdir().unwrap();
            let [here, home, xdg] = ["here", "home", "xdg"].map(|name| root.path().join(name));
            let environment = environment(&home, &xdg);
            let in_home = home.join(".config").join(DIRECTORY);
            for path in [
                here.join("config.toml"),
                in_home.join("config.env"),
                in_home.join("config.toml"),
                in_home.join("config.json"),
                xdg.join(DIRECTORY).join("config.properties"),
            ] {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
                assert_eq!(find_among(None, order, &here, &environment).unwrap().path, path);
            }
        }
    }

    #[test]
    fn a_client_searches_the_directories_of_the_user_first() {
        for mode in [Mode::Client, Mode::DirectClient] {
            assert_eq!(SearchOrder::from(mode), SearchOrder::UserDirectoriesFirst);
        }
        assert_eq!(SearchOrder::from(Mode::Server), SearchOrder::WorkingDirectoryFirst);
    }

    /// A file in the working directory must not take its place.
    #[cfg(unix)]
    #[test]
    fn an_entry_that_cannot_be_read_ends_the_search() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let [here, home] = ["here", "home"].map(|name| root.path().join(name));
        let own = home.join(".config").join(DIRECTORY);
        fs::create_dir_all(&here).unwrap();
        fs::create_dir_all(&own).unwrap();
        fs::write(here.join("config.yaml"), "").unwrap();
        let environment = environment(&home, Path::new(""));
        let found = || find_among(None, SearchOrder::UserDirectoriesFirst, &here, &environment).unwrap().path;

        let path = own.join("config.yaml");
        symlink("nowhere", &path).unwrap();
        assert_eq!(found(), path);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(found(), path);
        fs::remove_dir_all(&own).unwrap();
        // A loop of links is no missing file: opening the directory fails, for root too.
        symlink(&own, &own).unwrap();
        assert_eq!(found(), path);
        fs::remove_file(&own).unwrap();
        fs::write(&own, "a file in place of the directory").unwrap();
        assert_eq!(found(), here.join("config.yaml"));
    }

    #[test]
    fn a_relative_directory_is_not_the_users() {
        for relative in ["", ".", "config"] {
            let (home, xdg) = (Path::new(relative), Path::new(relative));
            assert_eq!(user_directories(&environment(home, xdg)).count(), 0, "{relative}");
        }
    }

    #[test]
    fn an_explicit_path_is_the_only_candidate() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.yaml"), "").unwrap();
        fs::write(root.path().join("mine.yaml"), "").unwrap();
        let environment = environment(root.path(), root.path());
        let find = |path: &str| {
            find_among(Some(Path::new(path)), SearchOrder::UserDirectoriesFirst, root.path(), &environment)
        };
        let found = Found { path: root.path().join("mine.yaml"), origin: Origin::Named };
        assert_eq!(find("~/mine.yaml").unwrap(), found);
        let error = find("nowhere.yaml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration file nowhere.yaml does not exist; correct --configfile, or leave it out for the usual places"
        );
    }
}
