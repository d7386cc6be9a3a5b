//! The configuration: found, read, checked, and turned into what it means.
//!
//! | step | file | from what to what |
//! |---|---|---|
//! | find | `find` | places to look at → a path |
//! | parse | `parse` | YAML text → a `tree` of keys and scalars |
//! | expand | `expand` | `${fromEnv:…}`, `${fromFile:…}` → their values |
//! | decode | `decode`, `raw`, `scalars` | the tree → [`raw::RawConfig`], one field a key |
//! | resolve | `resolve`, `upstream`, `connectors`, `cert_pair`, `timeouts` | the raw configuration → [`Config`], with every default filled in |
//!
//! `load` takes these steps. An error of any step is a [`key_error::KeyError`] at a key path; `locate` finds its line.

mod cert_pair;
mod connectors;
mod decode;
mod environment;
mod error;
mod expand;
mod find;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod key_error;
mod key_path;
mod letters;
mod load;
mod locate;
mod parse;
mod raw;
mod resolve;
mod scalars;
mod settings;
mod timeouts;
mod tree;
mod upstream;

#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use find::find;
pub use load::{load, load_addresses, load_again};
pub use settings::{
    Addresses, Config, Drain, Mode, Rds, SELF_SIGNED_HOSTS, Stop, Upstream, UpstreamTransport,
};
