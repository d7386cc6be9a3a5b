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

/// The parts of the test world, without a proxy.
mod world;

// Logins.

/// Access control: RDS tags, `target_acl` and static targets.
mod access;
/// Targets that name a database in RDS, and have another address of it.
mod cname;
/// The newest libpq and PostgreSQL, and pgcli.
mod drivers;
/// Applications that connect to a server without a client.
mod front_door;
/// Compatibility with the other implementation of the contract between client and server.
mod interoperation;
/// IAM logins through client and server.
mod login;
/// Names of targets and upstream proxies.
mod names;
/// Password methods of databases without IAM.
mod passwords;
/// IAM logins that the database refuses, and the HINT.
mod refusals;
/// Logins that give away no more than configured.
mod strict_login;

// A client on a laptop.

/// The files with which a client runs in the background.
#[cfg(unix)]
mod background;
/// Colours, and the variables that decide on them.
mod colours;
/// A day of a client in the background.
#[cfg(target_os = "linux")]
mod day;
/// A client that serves several databases.
mod doors;
/// Guard rails from RDS tags, and the name of a session.
mod guard_rails;
/// What a client prints at its start, where it listens, and what it does with a changed configuration.
mod laptop;
/// A spinner, and the state of a client, in the last line of a terminal.
#[cfg(target_os = "linux")]
mod status_line;
/// Commands without a configuration file.
mod without_file;
/// A client that runs a command.
mod wrapped;

// The commands beside it.

/// `doctor`: every step to a database.
mod doctor;
/// `export`: settings for tools.
mod export;
/// `init`: a first configuration.
mod init;
/// The check of JSON against the schemas in `docs/schemas`.
mod schema;
/// `targets`: the databases that a client can reach, and those that it cannot.
mod targets;
/// `token`: an IAM token for scripts.
mod token_command;

// Sessions.

/// Cancel requests.
mod cancel;
/// The memory of a session.
mod memory;
/// Bulk data, notifications, idle sessions and half-closed connections.
mod session;
/// Lost peers and the shutdown of a proxy.
mod stop;
/// Paused databases and hops that are down.
mod unavailable;
/// Slow readers and lost peers.
mod unresponsive;

// TLS.

/// Client certificates of applications: who is asked for one, which are trusted, and which targets they may reach.
mod client_certificates;
/// Direct TLS towards hops, and names of certificates that are not dialled.
mod direct_tls;
/// Invalid bytes and renegotiation inside TLS.
mod inside_tls;
/// The certificate for a server name, versions and resumed sessions of TLS towards applications.
mod listener_tls;
/// Certificates that OpenSSL takes and webpki does not read.
mod old_certificates;
/// `proxy.ssl.required`.
mod required_tls;
/// TLS from the server to static targets at discovered hosts.
mod static_tls;
/// TLS from the server to the database.
mod tls;
/// Sessions of TLS 1.2 with more than 2^24 records.
mod tls12_records;
/// TLS from the client to the server.
mod upstream;

// AWS.

/// Several accounts in one list.
mod accounts;
/// Roles that client and server assume.
mod assume_role;
/// `credentials`: AWS credentials for containers.
#[cfg(unix)]
mod containers;
/// The sources of AWS credentials.
mod credential_sources;
/// AWS credentials that change or expire while the client runs.
mod credentials;
/// Discovery of databases, and failures of the AWS API.
mod discovery;
/// Clusters of Aurora DSQL.
#[cfg(feature = "dsql")]
mod dsql;
/// Logins to AWS for which a person is needed.
#[cfg(target_os = "linux")]
mod person_logins;
/// Endpoints of RDS Proxy.
mod rds_proxy;

// The tunnel.

/// A client that reaches the server through the Kubernetes API.
mod tunnel;

// Hostile peers and bad networks.

/// Delays, disruptions and stalls on every network link.
mod bad_network;
/// Peers that close in the middle of a packet.
mod cut_off;
/// A hop that sends invalid bytes, hangs or closes.
mod hostile;
/// Many connections, and the limits on them.
mod limits;
/// Other users of the machine that a client runs on.
#[cfg(target_os = "linux")]
mod local_users;
/// Many logins: those that never send a password, and those that guess one.
mod logins;
/// The prompt for a target on terminals of several sizes.
#[cfg(target_os = "linux")]
mod prompt;
/// Protocol violations by applications and clients.
mod protocol;
/// Secrets in outputs, process arguments and memory.
mod secrets;

// Operation.

/// The command line of the client.
mod commands;
/// Counters of refused connections and of cancel requests.
mod counters;
/// The dashboard and the alerts in a real Prometheus.
#[cfg(unix)]
mod dashboard;
/// Descriptors that run out, and the admin listener that reports it.
mod descriptors;
/// Log lines about certificates that expire.
mod expiry;
/// Metrics of sessions that run.
mod gauges;
/// What peers can write into the log.
mod log;
/// Probes, metrics, audit lines and the health check.
mod operations;
/// Changes of configuration, certificates and log level while a proxy runs.
mod reload;
/// The audit line at the end of a session: `ended_by` and `outcome`.
mod session_outcome;
/// The list of open sessions, and the end of one by an administrator.
#[cfg(unix)]
mod sessions;
/// A log without a reader, and one that cannot be written.
mod stopped_log;
/// Notifications to systemd.
mod systemd;
/// Files that the process may not read.
mod unreadable;
/// The version of a client, in the server's log and metrics.
mod versions;
