//! The running pods, and the order in which the tunnel tries them.

use k8s_openapi::api::core::v1::{ContainerState, Pod, Service};
use kube::Api;
use kube::api::ListParams;

use super::api_call::{ApiCall, response};
use super::cluster::Access;
use super::error::TunnelError;
use super::metrics;
use super::timeouts::Timeouts;
use crate::catalog::Pods;

/// The most pods that an error text names.
const MAX_NAMED: usize = 4;

/// The label selector of the pods.
pub(super) async fn label_selector(
    access: &Access,
    pods: &Pods,
    timeouts: &Timeouts,
) -> Result<String, TunnelError> {
    match pods {
        Pods::Deployment(name) => Ok(format!("app.kubernetes.io/name={name}")),
        Pods::Selector(selector) => Ok(selector.clone()),
        Pods::Service(name) => {
            let services = Api::<Service>::namespaced(access.client.clone(), &access.namespace);
            let service =
                response(access, ApiCall::GetService(name), timeouts.answer, services.get(name)).await?;
            selector_of(&service).ok_or_else(|| TunnelError::ServiceWithoutSelector {
                service: name.clone(),
                namespace: access.namespace.clone(),
            })
        }
    }
}

/// A pod that a stream may lead to.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) ready: bool,
}

/// A list of the running pods.
pub(super) struct PodList {
    pub(super) pods: Vec<Pod>,
    /// Where a watch continues.
    pub(super) version: Option<String>,
}

/// The field selector of running pods.
pub(super) const RUNNING: &str = "status.phase=Running";

/// Lists the running pods.
pub(super) async fn list(access: &Access, labels: &str, timeouts: &Timeouts) -> Result<PodList, TunnelError> {
    let running = ListParams::default().labels(labels).fields(RUNNING);
    let pods = Api::<Pod>::namespaced(access.client.clone(), &access.namespace);
    let list = response(access, ApiCall::ListPods, timeouts.answer, pods.list(&running)).await?;
    record(list.items.iter());
    Ok(PodList { pods: list.items, version: list.metadata.resource_version })
}

/// Records the running pods in the metrics.
pub(super) fn record<'a>(pods: impl Iterator<Item = &'a Pod>) {
    let (ready, unready): (Vec<_>, Vec<_>) =
        pods.filter(|pod| is_staying(pod)).partition(|pod| is_ready(pod));
    metrics::record_pods(ready.len(), unready.len());
}

/// The pods that are not being deleted, in the order in which to dial them: the ready ones first, newest first,
/// rotated by `first`. That counts the attempts, so connections are spread over the pods. The others follow, because a pod
/// runs on where the control plane has lost its node and so marked it as not ready; `kubectl port-forward` reaches it too.
pub(super) fn candidates(pods: Vec<Pod>, first: usize) -> Vec<Candidate> {
    let (ready, unready): (Vec<_>, Vec<_>) = pods.into_iter().filter(is_staying).partition(is_ready);
    dial_order(ready, first, true).chain(dial_order(unready, first, false)).collect()
}

/// Why no pod is ready: there is none, or the states of those that exist.
pub(super) async fn diagnose(access: &Access, labels: &str, timeouts: &Timeouts) -> TunnelError {
    let all = ListParams::default().labels(labels);
    let pods = Api::<Pod>::namespaced(access.client.clone(), &access.namespace);
    let pods = match response(access, ApiCall::ListPods, timeouts.answer, pods.list(&all)).await {
        Ok(pods) => pods.items,
        Err(error) => return error,
    };
    let (labels, namespace) = (labels.to_owned(), access.namespace.clone());
    if pods.is_empty() {
        return TunnelError::NoPod { labels, namespace, server: access.server.clone() };
    }
    let mut states: Vec<_> = pods.iter().take(MAX_NAMED).map(state_of).collect();
    if pods.len() > MAX_NAMED {
        states.push(format!("and {} more", pods.len() - MAX_NAMED));
    }
    TunnelError::NotReady { labels, namespace, states: states.join(", ") }
}

fn selector_of(service: &Service) -> Option<String> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    let terms: Vec<_> = selector.iter().map(|(label, value)| format!("{label}={value}")).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Whether the pod is not being deleted. A pod that is being deleted still reports `Running`, and for a while `Ready`.
pub(super) fn is_staying(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn dial_order(mut pods: Vec<Pod>, first: usize, ready: bool) -> impl Iterator<Item = Candidate> {
    pods.sort_by(|one, other| other.metadata.creation_timestamp.cmp(&one.metadata.creation_timestamp));
    if !pods.is_empty() {
        let offset = first % pods.len();
        pods.rotate_left(offset);
    }
    pods.into_iter().filter_map(move |pod| Some(Candidate { name: pod.metadata.name?, ready }))
}

/// `NAME is STATE`, with the reason why its first waiting or terminated container does not run.
fn state_of(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or("?");
    if pod.metadata.deletion_timestamp.is_some() {
        return format!("{name} is terminating");
    }
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown");
    let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let reason = containers.iter().find_map(|container| reason_of(container.state.as_ref()?));
    let reason = reason.or_else(|| status?.reason.as_deref());
    match reason {
        Some(reason) => format!("{name} is {phase} ({reason})"),
        None if phase == "Running" => format!("{name} is Running but not ready"),
        None => format!("{name} is {phase}"),
    }
}

fn reason_of(state: &ContainerState) -> Option<&str> {
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
    waiting.or_else(|| state.terminated.as_ref().and_then(|terminated| terminated.reason.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, created: &str, ready: bool, terminating: bool) -> Pod {
        let mut value = serde_json::json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"phase": "Running", "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": if ready { "True" } else { "False" }},
            ]},
        });
        if terminating {
            value["metadata"]["deletionTimestamp"] = created.into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn world() -> Vec<Pod> {
        vec![
            pod("old", "2024-01-01T00:00:00Z", true, false),
            pod("leaving", "2024-01-04T00:00:00Z", true, true),
            pod("starting", "2024-01-05T00:00:00Z", false, false),
            pod("new", "2024-01-03T00:00:00Z", true, false),
        ]
    }

    fn found(first: usize) -> Vec<String> {
        let pods = world().into_iter().filter(is_staying).filter(is_ready).collect();
        dial_order(pods, first, true).map(|pod| pod.name).collect()
    }

    #[test]
    fn ready_pods_are_rotated_newest_first() {
        assert_eq!(found(0), ["new", "old"]);
        assert_eq!(found(1), ["old", "new"]);
        assert_eq!(found(2), ["new", "old"]);
        assert_eq!(dial_order(Vec::new(), 7, true).count(), 0);
    }

    #[test]
    fn the_state_of_a_pod_names_its_reason() {
        let states: Vec<_> = world().iter().map(state_of).collect();
        assert_eq!(states.get(1).unwrap(), "leaving is terminating");
        assert_eq!(states.get(2).unwrap(), "starting is Running but not ready");
        let stuck: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p"},
            "status": {"phase": "Pending", "containerStatuses": [{
                "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff"}},
            }]},
        }))
        .unwrap();
        assert_eq!(state_of(&stuck), "p is Pending (ImagePullBackOff)");
    }

    #[test]
    fn the_selector_of_a_service_becomes_a_label_selector() {
        let service = |selector: serde_json::Value| -> Service {
            serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {"selector": selector}}))
                .unwrap()
        };
        let both = service(serde_json::json!({"app": "proxy", "tier": "db"}));
        assert_eq!(selector_of(&both).as_deref(), Some("app=proxy,tier=db"));
        assert_eq!(selector_of(&service(serde_json::json!({}))), None);
    }
}
