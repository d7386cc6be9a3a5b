//! Finds out which right is missing where a refused port-forward does not name it.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use tokio::time::timeout;

use super::api_call::PORT_FORWARD;
use super::cluster::Access;
use super::error::TunnelError;

/// The reason why the API server refused a port-forward to `pod` with a message that names no verb. Kubernetes 1.35 and
/// later do so where `create` is missing (`ensureAuthorizedForVerb` in pkg/registry/core/pod/rest of kubernetes), and so do
/// admission policies. `denied` is the error for the latter. The reviews take at most `limit`.
pub(super) async fn missing_right(
    access: &Access,
    pod: &str,
    limit: Duration,
    denied: TunnelError,
) -> TunnelError {
    let (get, create) =
        tokio::join!(is_allowed(access, pod, "get", limit), is_allowed(access, pod, "create", limit));
    let verb = match (get, create) {
        (Some(true), Some(true)) if !gives_no_reason(&denied) => return denied,
        (Some(false), Some(false)) => "get and create",
        (Some(false), _) => "get",
        (_, Some(false)) => "create",
        // An admission policy gives its reason. Without one, the role has changed since, or the review was about another user.
        (_, None) | (None | Some(true), Some(true)) => "get or create",
    };
    TunnelError::Forbidden {
        user: "you".to_owned(),
        verb: verb.to_owned(),
        namespace: access.namespace.clone(),
        rule: PORT_FORWARD,
    }
}

/// Whether Kubernetes has refused with nothing behind `pods "NAME" is forbidden: `, as its second check does.
fn gives_no_reason(denied: &TunnelError) -> bool {
    match denied {
        TunnelError::Denied { reason, .. } => reason.trim_end().ends_with("is forbidden:"),
        _ => false,
    }
}

/// Whether the user of the kubeconfig may do this with the port-forward of a pod; `None` if the API server gives no answer.
/// Every user may create such reviews (the role `system:basic-user` of every cluster).
async fn is_allowed(access: &Access, pod: &str, verb: &str, limit: Duration) -> Option<bool> {
    let attributes = ResourceAttributes {
        namespace: Some(access.namespace.clone()),
        verb: Some(verb.to_owned()),
        version: Some("v1".to_owned()),
        resource: Some("pods".to_owned()),
        subresource: Some("portforward".to_owned()),
        name: Some(pod.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviews = Api::<SelfSubjectAccessReview>::all(access.client.clone());
    let answer = timeout(limit, reviews.create(&PostParams::default(), &review)).await;
    Some(answer.ok()?.ok()?.status?.allowed)
}
