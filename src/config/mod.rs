//! The configuration: finds the file, reads and checks it, and resolves it to settings.
//!
//! | step | file | input → output |
//! |---|---|---|
//! | find | `find`, `format` | directories → a path |
//! | read | `text` | bytes → text |
//! | parse | `parse`, `letters` | YAML text → a `tree` of keys and scalars |
//! | merge | `merge` | merge keys → their keys; without the sections `x-…` |
//! | expand | `expand` | references `${fromEnv:…}`, `${fromFile:…}` → their values |
//! | decode | `decode`, `suggestion`, `raw`, `scalars`, `aws_scalars`, `one_or_many`, `booleans` | the tree → [`raw::RawConfig`], one field per key |
//! | resolve | `resolve`, `other_mode`, `remote`, `proxy_protocol`, `targets`, `identity`, `accounts`, `upstream`, `connectors`, `cert_pair`, `timeouts` | the raw configuration → [`Config`], with every default |
//!
//! `credentials` reads the configuration of the command `credentials` with the same steps, and the section of that name in a client's
//! (`separate_section`).
//!
//! `load` runs the steps. A [`Remark`] reports what a usable configuration should have differently. Each step fails with a
//! [`key_error::KeyError`] at a key path; `locate` finds its line.

mod acceptor;
mod accounts;
mod allowed_clients;
mod aws_scalars;
mod booleans;
mod cert_pair;
mod client_auth;
mod connectors;
pub mod credentials;
mod decode;
mod environment;
mod error;
mod expand;
mod find;
mod format;
mod front_door;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod key_error;
mod key_path;
mod letters;
mod load;
mod locate;
mod merge;
mod mode;
mod one_or_many;
mod one_target;
mod other_mode;
mod parse;
mod proxy_protocol;
mod raw;
mod remark;
mod remote;
mod resolve;
mod scalars;
mod separate_section;
mod settings;
mod suggestion;
mod targets;
mod text;
mod timeouts;
mod tls_scalars;
mod tree;
mod upstream;

#[cfg(test)]
mod tests;

pub use environment::cache_directory;
pub use error::ConfigError;
pub use find::{Found, Origin, SearchOrder, find, user_file};
pub use load::{defaults, load, load_addresses, load_again};
pub use mode::Mode;
pub use one_target::{OneTarget, of_one_target};
pub use remark::Remark;
pub use scalars::log_level;
pub use settings::{
    Addresses, Config, Drain, Named, OnFull, Rds, SELF_SIGNED_HOSTS, Stop, Upstream, UpstreamTransport,
};
