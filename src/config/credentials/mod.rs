//! The configuration of `rds-auth-proxy credentials`, in the form of CredProxy's `config.yaml`.
//!
//! | file | what it does |
//! |---|---|
//! | `load` | runs the steps of a file: the same as for our own configuration, with the additions below |
//! | `variables` | puts the values of `CREDPROXY_…` in place of those of the file |
//! | `free_keys` | parses the text, and drops the keys `x-…` |
//! | `raw`, `scalars` | the configuration as typed |
//! | `resolve`, `service`, `source`, `listen`, `seconds` | the settings, with every default |
//! | `without_effect` | keys that have no effect in a client's configuration |
//! | `token` | how hard a token is to guess, and new ones |
//! | `dynamic`, `patterns`, `service_file` | the files of `dynamic_services` |

mod dynamic;
mod free_keys;
mod listen;
mod load;
mod patterns;
mod raw;
mod resolve;
mod scalars;
mod seconds;
mod service;
mod service_file;
mod settings;
mod source;
mod token;
mod variables;
mod without_effect;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use dynamic::{DynamicServices, Listing};
pub use load::{load, load_address, load_section};
pub use service_file::ServiceFile;
pub use settings::{CredentialsConfig, Flags};
pub use token::new_token;
pub use variables::{Names, log_level};
