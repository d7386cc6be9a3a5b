//! The tunnel through the Kubernetes API, against a stand-in for the API server over TLS.

#![expect(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has to fail, and its sockets are short-lived and local"
)]

/// The stand-in: certificates, pods, port-forward websockets.
mod api_server;
/// What listens in the pods.
mod backend;
/// Many bytes, many connections, how fast.
mod bytes;
/// Tokens, certificates, plugins that answer, fail, hang.
#[cfg(unix)]
mod credentials;
/// One test for each sentence the application may read.
mod faults;
/// A local port in front of the tunnel.
mod forward;
/// Paths that die, API servers that restart, proxies on the way.
mod path;
/// Certificates of the stand-in.
mod pki;
/// Ports that nobody else gets.
#[path = "../support/ports.rs"]
#[expect(unreachable_pub, reason = "the test world has it too")]
mod ports;
/// Which pod is picked, and rolling updates.
mod rollout;
/// Scripts that are run as programs of their own.
#[cfg(unix)]
#[path = "../support/script.rs"]
#[expect(unreachable_pub, reason = "the test world has it too")]
mod script;
/// A cluster with a kubeconfig, in one value.
mod world;
