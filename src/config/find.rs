//! Finds the configuration file.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::environment::Environment;
use super::format::{NAMES, other_format, other_names};

/// The directory of this program in the user's configuration directory.
const DIRECTORY: &str = "rds-auth-proxy";

/// The path of the configuration: `explicit` (from `--configfile`) if given, else the first of `config.yaml`, `config.yml`
/// and `config.json` in the working directory, `$XDG_CONFIG_HOME/rds-auth-proxy` and `~/.config/rds-auth-proxy`.
///
/// A file in another format that the Go program finds (`config.toml`) is found too, so that its owner reads why it cannot be
/// used: in the two directories of this program in its turn, in the working directory only if there is no other file,
/// because it may belong to another program. [`ConfigError::NotFound`] lists every path that was tried.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
    find_among(explicit, Path::new("."), &Environment::of_process())
}

fn find_among(
    explicit: Option<&Path>,
    working: &Path,
    environment: &Environment,
) -> Result<PathBuf, ConfigError> {
    let candidates = match explicit {
        // A shell does not expand the tilde of `--configfile=~/x`.
        Some(path) => vec![path.to_str().and_then(|text| environment.path(text).ok()).unwrap_or(path.into())],
        None => candidates(working, environment),
    };
    if let Some(found) =
        candidates.iter().find(|path| path.is_file() || (explicit.is_some() && path.exists()))
    {
        return Ok(found.clone());
    }
    let usable = |path: &PathBuf| explicit.is_some() || other_format(path).is_none();
    Err(ConfigError::NotFound { looked_at: candidates.into_iter().filter(usable).collect() })
}

fn candidates(working: &Path, environment: &Environment) -> Vec<PathBuf> {
    let xdg = environment.variable("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
    let home = environment.home().map(|home| home.join(".config").join(DIRECTORY));
    let own: Vec<_> =
        [xdg.map(|path| Path::new(&path).join(DIRECTORY)), home].into_iter().flatten().collect();
    let known = |directory: &Path| NAMES.map(|name| directory.join(name));
    let other = |directory: &Path| other_names().map(|name| directory.join(name)).collect::<Vec<_>>();
    let mut candidates = known(working).to_vec();
    candidates.extend(own.iter().flat_map(|directory| [&known(directory)[..], &other(directory)].concat()));
    candidates.extend(other(working));
    candidates.dedup();
    candidates
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(home: &Path, xdg: &Path) -> Environment {
        let leak = |path: &Path| -> &'static str { Box::leak(path.to_str().unwrap().to_owned().into()) };
        Environment::of(Box::leak(Box::new([("HOME", leak(home)), ("XDG_CONFIG_HOME", leak(xdg))])))
    }

    #[test]
    fn directories_are_searched_in_order_and_listed_if_none_has_a_file() {
        let root = tempfile::tempdir().unwrap();
        let [here, home, xdg] = ["here", "home", "xdg"].map(|name| root.path().join(name));
        let environment = environment(&home, &xdg);
        let (in_home, in_xdg) = (home.join(".config").join(DIRECTORY), xdg.join(DIRECTORY));
        let tried = [
            in_home.join("config.json"),
            in_home.join("config.yml"),
            in_home.join("config.yaml"),
            in_xdg.join("config.json"),
            in_xdg.join("config.yml"),
            in_xdg.join("config.yaml"),
            here.join("config.json"),
            here.join("config.yml"),
            here.join("config.yaml"),
        ];
        let error = find_among(None, &here, &environment).unwrap_err().to_string();
        for path in &tried {
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        for path in tried {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            assert_eq!(find_among(None, &here, &environment).unwrap(), path);
        }
    }

    #[test]
    fn a_file_in_another_format_is_found_last_in_the_working_directory() {
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
            assert_eq!(find_among(None, &here, &environment).unwrap(), path);
        }
    }

    #[test]
    fn an_explicit_path_is_the_only_candidate() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.yaml"), "").unwrap();
        fs::write(root.path().join("mine.yaml"), "").unwrap();
        let environment = environment(root.path(), root.path());
        let found = find_among(Some(Path::new("~/mine.yaml")), root.path(), &environment).unwrap();
        assert_eq!(found, root.path().join("mine.yaml"));
        let error = find_among(Some(Path::new("nowhere.yaml")), root.path(), &environment).unwrap_err();
        assert_eq!(error.to_string(), "no configuration file was found; looked for nowhere.yaml");
    }
}
