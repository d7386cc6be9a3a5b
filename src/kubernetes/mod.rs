//! The tunnel to an upstream proxy in a Kubernetes cluster: a port-forward without kubectl.
//!
//! Each connection picks a pod and opens a separate stream to it: a websocket through the API server
//! (`GET …/pods/NAME/portforward`, subprotocol `v4.channel.k8s.io`). No port is open on this machine unless [`forward()`]
//! runs, so no other local process can reach the tunnel.
//!
//! | file | content |
//! |---|---|
//! | `tunnel` | opens a stream, with retries |
//! | `pod_dialer` | one attempt: picks pods and tries them |
//! | `pods` | the running pods and the order in which the tunnel tries them |
//! | `watch` | the running pods, kept up to date between connections |
//! | `spare_stream` | a stream for the next of several connections |
//! | `spare` | a connection to the API server for the next websocket |
//! | `open` | opens the websocket to one pod |
//! | `channel` | that websocket as a stream of bytes |
//! | `keepalive` | pings, and when silence means that the path is dead |
//! | `access_review` | which rights are missing |
//! | `facts` | cluster, rights and pods of a tunnel, for people |
//! | `api_call` | calls of the Kubernetes API, and what a failed one means |
//! | `cluster` | the client for the API, built when first needed and again when its credentials expire |
//! | `kubeconfig` | address and credentials of the cluster, found as kubectl does |
//! | `exec_plugin` | runs the credential plugin of the kubeconfig |
//! | `plugin_process` | the process of a plugin |
//! | `connector` | the HTTP client: sockets, proxies, TLS |
//! | `explain` | errors of other programs and libraries as errors of a tunnel |
//! | `error` | the reasons why there is no stream, each with its remedy |
//! | `forward` | a local port in front of the tunnel, for other tools |
//! | `metrics` | the metrics |
//! | `timeouts` | the time limits |
//!
//! Imports go one way: `tunnel` → `spare_stream` → `pod_dialer`; `tunnel` → `spare`; `pod_dialer` → `watch` → `pods`; `pod_dialer` →
//! `open`, `pods` → `api_call` → `cluster` → `kubeconfig` → `connector`, `exec_plugin` → `plugin_process`; `open` → `access_review` → `api_call`, and `open` → `channel` →
//! `keepalive`. Each of them may use `explain`, `error`, `metrics` and `timeouts`.

mod access_review;
mod api_call;
mod channel;
mod cluster;
mod connector;
mod error;
mod exec_plugin;
mod explain;
mod facts;
mod forward;
mod keepalive;
mod kubeconfig;
mod metrics;
mod open;
mod plugin_process;
mod pod_dialer;
mod pods;
mod spare;
mod spare_stream;
mod timeouts;
mod tunnel;
mod watch;

pub use facts::{ClusterFacts, MissingRight};
pub use forward::forward;
pub use kubeconfig::context_names;
pub use metrics::describe;
pub use timeouts::Timeouts;
pub use tunnel::Tunnel;
