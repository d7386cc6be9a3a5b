//! The Kubernetes cluster of an upstream proxy: kubeconfig, rights, pods.

use std::time::SystemTime;

use super::check::{Finding, Report};
use crate::catalog::PortForward;
use crate::kubernetes::Tunnel;

/// The checks of a tunnel.
const CHECKS: [&str; 3] = ["kubernetes", "rbac", "pods"];

/// Examines the cluster. The error is the check that failed and that a connection needs.
pub(super) async fn examine(
    tunnel: &Tunnel,
    settings: &PortForward,
    report: &mut Report<'_>,
) -> Result<(), &'static str> {
    let [context, rights, pods] = CHECKS;
    if report.check(context, cluster(tunnel, settings)).await.is_none() {
        report.skip(&[rights, pods], context);
        return Err(context);
    }
    report.check(rights, rbac(tunnel)).await;
    report.check(pods, ready_pods(tunnel)).await.ok_or(pods)
}

async fn cluster(tunnel: &Tunnel, settings: &PortForward) -> Finding<()> {
    let facts = match tunnel.cluster_facts().await {
        Ok(facts) => facts,
        Err(error) => return Finding::error(error),
    };
    let context = settings.context.as_deref().unwrap_or("the current one");
    let mut detail = format!("context {context}, namespace {} of {}", facts.namespace, facts.server);
    if let Some(plugin) = facts.plugin {
        detail = format!("{detail}, credentials from {plugin}");
    }
    if let Some(expires) = facts.certificate_expires {
        detail = format!("{detail}, client certificate until {}", humantime::format_rfc3339_seconds(expires));
        if expires <= SystemTime::now() {
            return Finding::failed(
                detail,
                Some("renew the client certificate, or log in to the cluster".into()),
            );
        }
    }
    if facts.verified {
        return Finding::ok(detail, ());
    }
    let remedy = "give the kubeconfig the CA of the cluster in place of insecure-skip-tls-verify or http://";
    Finding::warning(format_args!("{detail}; the API server is not verified"), Some(remedy.into()), ())
}

async fn rbac(tunnel: &Tunnel) -> Finding<()> {
    let missing = match tunnel.missing_rights().await {
        Ok(Some(missing)) => missing,
        Ok(None) => return Finding::skipped("the API server does not say which rights this user has"),
        Err(error) => return Finding::error(error),
    };
    match missing.iter().find(|right| !right.is_new).or(missing.first()) {
        None => Finding::ok("the role has every rule of a port-forward", ()),
        Some(right) if right.is_new => Finding::warning(
            format_args!("{}; Kubernetes 1.35 and later need that rule", right.error),
            None,
            (),
        ),
        Some(right) => Finding::error(&right.error),
    }
}

async fn ready_pods(tunnel: &Tunnel) -> Finding<()> {
    match tunnel.ready_pods().await {
        Ok(pods) => Finding::ok(format_args!("ready: {}", pods.join(", ")), ()),
        Err(error) => Finding::error(error),
    }
}
