//! Integration tests: the real binary, in both modes, against real PostgreSQL.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends with a panic, and the world's sockets need no policy"
)]

#[path = "../support/mod.rs"]
mod support;

/// The test world itself: its parts must be right before they can judge a proxy.
mod world;

/// Readers that take their time, and peers that are gone.
mod absence;

/// What operators see and do.
mod admin;
mod counters;
mod endings;
mod operations;

/// Who gets in with an IAM identity, and what the database sees of it.
mod login;

/// IAM logins that the database refuses.
mod refusals;
mod reload;

/// Databases without IAM: each password method.
mod passwords;

/// Which databases may be reached.
mod access;

/// TLS from the server to the database.
mod tls;

/// TLS from the client to the server.
mod upstream;

/// Which databases are found, and what happens when AWS does not answer.
mod discovery;

/// AWS credentials that change or end while the client runs.
mod credentials;

/// Where AWS credentials can come from.
mod sources;

/// The command line of the client.
mod commands;

/// Through a Kubernetes API to a server in a pod.
mod tunnel;

/// On the wire with the other implementation of the contract.
mod interoperation;

/// Ctrl-C.
mod cancel;

/// What passes through a session.
mod session;

/// How proxies stop, and what a session hears when a side of it is gone.
mod stop;
mod systemd;

/// What breaks naive implementations of the protocol.
mod protocol;

/// A next hop that lies, hangs or breaks.
mod hostile;

/// Peers that hang up in the middle of a packet.
mod cut_off;

/// Peers that break TLS once it is up.
mod inside_tls;

/// What many connections do to a proxy.
mod limits;

/// What a session may take.
mod memory;

/// Failures with a secret at hand.
mod secrets;

/// Drivers of other languages.
mod drivers;

/// A network that is late, breaks and falls silent, on every leg.
mod bad_network;
