//! Finds out which rights of a tunnel are missing: before it is used, and where a refused port-forward does not name one.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use tokio::time::timeout;

use super::api_call::{GET_SERVICE, LIST_PODS, PORT_FORWARD};
use super::cluster::Access;
use super::error::{Rule, TunnelError};
use crate::catalog::Pods;

/// The reason why the API server refused a port-forward to `pod` with a message that names no verb. Kubernetes 1.35 and
/// later do so where `create` is missing (`ensureAuthorizedForVerb` in pkg/registry/core/pod/rest of kubernetes), and so do
/// admission policies. `denied` is the error for the latter. The reviews take at most `limit`.
pub(super) async fn missing_right(
    access: &Access,
    pod: &str,
    limit: Duration,
    denied: TunnelError,
) -> TunnelError {
    let is_allowed = |verb| is_allowed(access, PORT_FORWARD, verb, Some(pod), limit);
    let (get, create) = tokio::join!(is_allowed("get"), is_allowed("create"));
    let verb = match (get, create) {
        (Some(true), Some(true)) if !gives_no_reason(&denied) => return denied,
        (Some(false), Some(false)) => "get and create",
        (Some(false), _) => "get",
        (_, Some(false)) => "create",
        // An admission policy gives its reason. Without one, the role has changed since, or the review was about another user.
        (_, None) | (None | Some(true), Some(true)) => "get or create",
    };
    forbidden(access, verb, PORT_FORWARD)
}

/// Whether Kubernetes has refused with nothing behind `pods "NAME" is forbidden: `, as its second check does.
fn gives_no_reason(denied: &TunnelError) -> bool {
    match denied {
        TunnelError::Denied { reason, .. } => reason.trim_end().ends_with("is forbidden:"),
        _ => false,
    }
}

/// The rights of a tunnel to these pods that the user of the kubeconfig lacks; `None` if the API server gives no answer.
pub(super) async fn missing_rights(
    access: &Access,
    pods: &Pods,
    limit: Duration,
) -> Option<Vec<(TunnelError, Need)>> {
    let mut needed = vec![(LIST_PODS, "list", None, Need::Always)];
    if let Pods::Service(name) = pods {
        needed.push((GET_SERVICE, "get", Some(name.as_str()), Need::Always));
    }
    needed.push((PORT_FORWARD, "get", None, Need::Always));
    needed.push((PORT_FORWARD, "create", None, Need::Newer));
    let mut missing = Vec::new();
    for (rule, verb, name, need) in needed {
        if !is_allowed(access, rule, verb, name, limit).await? {
            missing.push((forbidden(access, verb, rule), need));
        }
    }
    Some(missing)
}

/// Which clusters check a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// All of them.
    Always,
    /// Those of Kubernetes 1.35 and later.
    Newer,
}

fn forbidden(access: &Access, verb: &str, rule: Rule) -> TunnelError {
    let namespace = access.namespace.clone();
    TunnelError::Forbidden { user: "you".to_owned(), verb: verb.to_owned(), namespace, rule }
}

/// Whether the user of the kubeconfig may do this with the resource of a rule; `None` if the API server gives no answer.
/// Every user may create such reviews (the role `system:basic-user` of every cluster).
async fn is_allowed(
    access: &Access,
    rule: Rule,
    verb: &str,
    name: Option<&str>,
    limit: Duration,
) -> Option<bool> {
    let (resource, subresource) = match rule.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (rule.resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: Some(access.namespace.clone()),
        verb: Some(verb.to_owned()),
        version: Some("v1".to_owned()),
        resource: Some(resource.to_owned()),
        subresource: subresource.map(str::to_owned),
        name: name.map(str::to_owned),
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
