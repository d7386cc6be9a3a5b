//! The tunnel to an upstream proxy in a Kubernetes cluster: a port-forward without kubectl.
//!
//! Every connection opens a stream of its own, to a pod that is picked at that moment, as a websocket through the API
//! server (`GET …/pods/NAME/portforward`, subprotocol `v4.channel.k8s.io`). Nothing listens locally unless
//! [`forward`] is called, so no other local process can reach the tunnel.
//!
//! | file | what it does |
//! |---|---|
//! | `tunnel` | the entry: picks, tries, waits, tries again |
//! | `cluster` | the client, built when first needed and again when its credentials went bad |
//! | `kubeconfig` | where the cluster is and who we are, as kubectl finds it |
//! | `connector` | sockets, proxies, TLS |
//! | `pods` | which pods there are, and in which order they are tried |
//! | `open` | the websocket to one pod |
//! | `channel` | that websocket as a stream of bytes |
//! | `keepalive` | pings, and when silence means that the path is dead |
//! | `api_call` | calls of the Kubernetes API, and what a failed one means |
//! | `explain` | what the errors of other programs mean here |
//! | `error` | every reason why there is no stream, in a sentence with the remedy |
//! | `forward` | a local port in front of the tunnel, for other tools |
//! | `metrics` | what is counted |
//! | `timeouts` | how long each step may take |
//!
//! Imports go one way: `tunnel` → `open`, `pods` → `api_call` → `cluster` → `kubeconfig` → `connector`, and `open` →
//! `channel` → `keepalive`. Each of them may use `explain`, `error`, `metrics` and `timeouts`.

mod api_call;
mod channel;
mod cluster;
mod connector;
mod error;
mod explain;
mod forward;
mod keepalive;
mod kubeconfig;
mod metrics;
mod open;
mod pods;
mod timeouts;
mod tunnel;

pub use forward::forward;
pub use metrics::describe;
pub use timeouts::Timeouts;
pub use tunnel::Tunnel;
