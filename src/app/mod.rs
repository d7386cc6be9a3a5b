//! The two modes and the command `credentials`, put together from their parts. `cli` resolves the arguments and calls this; nothing here prompts or
//! prints.
//!
//! | file | what it does |
//! |---|---|
//! | `client`, `server` | put one mode together |
//! | `credentials` | puts the command `credentials` together, or serves credentials beside databases; follows the files |
//! | `start` | the steps of both: configuration, discovery, listeners |
//! | `run` | serves until a signal, and until the last session has ended |
//! | `reload`, `restart_keys` | applies a changed configuration while it runs; which keys need a restart |
//! | `admin_socket` | the list of sessions for `rds-auth-proxy sessions` |
//! | `observe`, `admin_thread` | metrics, probes and the expiry of certificates; the thread that answers |
//! | `catalog` | the targets that a client can choose from |
//! | `overview` | the targets for commands that end by themselves |
//! | `bind` | binds listeners |
//! | `known_names` | the names of the targets, for the completion in shells |
//! | `listen` | where a client listens |
//! | `doors`, `plan` | the listeners of a client with several targets; which target has which port |
//! | `command`, `private_address` | the command that a client runs, and where it connects |
//! | `doctor` | checks each step from the configuration to a query |
//! | `reach` | whether a client can reach its upstream proxy |
//! | `status` | the state of a client, for the last line of its terminal |
//! | `tunnel` | the tunnel to an upstream proxy |
//! | `upstream` | which upstream proxy a client uses |
//! | `survey` | what a first configuration can name |
//! | `supervise`, `blocking` | tasks beside the connections; work that may block |

mod admin_socket;
mod admin_thread;
mod bind;
mod blocking;
mod catalog;
pub(crate) mod client;
mod command;
pub(crate) mod credentials;
pub(crate) mod doctor;
mod doors;
pub(crate) mod known_names;
mod listen;
mod observe;
mod overview;
mod plan;
mod private_address;
mod reach;
mod reload;
mod reload_metrics;
mod restart_keys;
mod run;
pub(crate) mod server;
pub(crate) mod start;
mod status;
mod supervise;
pub(crate) mod survey;
mod tunnel;
pub(crate) mod upstream;

pub(crate) use catalog::Catalog;
pub(crate) use command::Wrapped;
pub(crate) use listen::ListenFlags;
pub(crate) use overview::{Overview, Reachable, fits, once, once_at};
pub(crate) use private_address::PrivateAddress;
pub(crate) use run::{Prepared, run};
pub(crate) use server::Source as ServerSource;
