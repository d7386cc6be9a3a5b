//! The tunnel through the Kubernetes API, against a fake API server over TLS.

#![expect(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails on anything unexpected, and its sockets are short-lived and local"
)]

/// The fake API server: authentication, pods, port-forward websockets.
mod api_server;
/// The server in the pods.
mod backend;
/// Large transfers, backpressure, the latency of a new connection.
mod bytes;
/// Tokens, certificates, and plugins that answer, fail or hang.
#[cfg(unix)]
mod credentials;
/// One test for each error text that the application may read.
mod errors;
/// A local port in front of the tunnel.
mod forward;
/// Fields of the kubeconfig as kubectl reads them.
mod kubeconfig;
/// Dead network paths, proxies, kubeconfigs of the environment.
mod path;
/// Certificates of the fake API server.
mod pki;
/// Ports that no other test gets.
#[path = "../support/ports.rs"]
#[expect(unreachable_pub, reason = "the test world has it too")]
mod ports;
/// The choice of a pod, and rolling updates.
mod rollout;
/// Scripts that run as separate programs.
#[cfg(unix)]
#[path = "../support/script.rs"]
#[expect(unreachable_pub, reason = "the test world has it too")]
mod script;
/// The stream that is opened in advance.
mod spare_stream;
/// The watch of the pods, and the spare connection.
mod watch;
/// A cluster with a kubeconfig.
mod world;
