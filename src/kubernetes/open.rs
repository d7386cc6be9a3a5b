//! Opens the websocket to one pod.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::core::Request;
use kube::{Error, Resource};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::access_review::missing_right;
use super::api_call::{ApiCall, response};
use super::channel::{Channel, websocket_config};
use super::cluster::Access;
use super::error::TunnelError;
use super::timeouts::Timeouts;

/// Opens a stream to `port` of `pod`. It is an error if the pod refuses the port within `late_refusal`.
pub(super) async fn open(
    access: &Access,
    pod: &str,
    port: u16,
    timeouts: &Timeouts,
) -> Result<Channel<TokioIo<Upgraded>>, TunnelError> {
    let request = async {
        let request = Request::new(Pod::url_path(&(), Some(&access.namespace)));
        let request = request.portforward(pod, &[port]).map_err(Error::BuildRequest)?;
        access.client.connect(request).await
    };
    let connection = match response(access, ApiCall::PortForward { pod }, timeouts.answer, request).await {
        Ok(connection) => connection,
        Err(denied @ TunnelError::Denied { .. }) => {
            // The list of the pods and this request may have taken two answers.
            return Err(missing_right(access, pod, timeouts.answer / 3, denied).await);
        }
        Err(error) => return Err(error),
    };
    // The websocket has read nothing yet, so it can be replaced by one with smaller buffers.
    let socket = connection.into_stream().into_inner();
    let socket = WebSocketStream::from_raw_socket(socket, Role::Client, Some(websocket_config())).await;
    let mut channel = Channel::new(socket, pod, port, timeouts);
    channel.await_refusal(timeouts.late_refusal).await.map_err(|error| refusal(pod, error))?;
    Ok(channel)
}

fn refusal(pod: &str, error: io::Error) -> TunnelError {
    let unreachable =
        |error: io::Error| TunnelError::PodUnreachable { pod: pod.to_owned(), reason: error.to_string() };
    error.downcast().unwrap_or_else(unreachable)
}
