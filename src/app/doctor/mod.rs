//! `doctor`: checks each step from the configuration to a query.
//!
//! | file | checks |
//! |---|---|
//! | `configuration` | `configuration` |
//! | `identity` | `identity`, `clock` |
//! | `targets` | `discovery`, `target`, `iam` |
//! | `policy` | `policy` |
//! | `cluster` | `kubernetes`, `rbac`, `pods`, for an upstream proxy behind a tunnel |
//! | `login`, `session` | `database`, `database_tls`, `login`, `rds_iam`, `query`, `round_trip` |
//! | `upstream`, `tls` | `upstream`, `upstream_tls`, `upstream_program`, except with `--direct` |
//!
//! A check that needs another one is skipped where that has failed. All others are made.

mod check;
mod cluster;
mod configuration;
mod identity;
mod login;
mod policy;
mod request;
mod session;
mod targets;
mod tls;
mod upstream;

use std::future::ready;

use crate::config::Config;

pub(crate) use check::{Check, Report, Status};
use login::{Found, Login};
pub(crate) use request::Request;

/// The checks before those of the upstream proxy.
const FIRST: [&str; 6] = ["identity", "clock", "discovery", "target", "iam", "policy"];

/// Makes all checks, in their order.
pub(crate) async fn examine(request: &Request, report: &mut Report<'_>) {
    let configuration = "configuration";
    let Some(config) = report.check(configuration, ready(configuration::check(request))).await else {
        report.skip(&FIRST, configuration);
        if !request.direct {
            report.skip(&upstream::CHECKS, configuration);
        }
        return report.skip(&login::CHECKS, configuration);
    };
    let found = examine_target(request, &config, report).await;
    let mode = if request.direct { None } else { upstream::examine(request, &config, report).await };
    let Some(target) = &found.target else { return report.skip(&login::CHECKS, "target") };
    let login = request.user.as_deref().map(|user| Login { config: &config, target, user, found: &found });
    if request.direct {
        return login::examine_direct(login.as_ref(), target, &config, report).await;
    }
    match (mode, login) {
        (None, _) => report.skip(&login::CHECKS, upstream::LAST),
        (Some(_), None) => login::without_user(&login::CHECKS, report),
        (Some(mode), Some(login)) => login::examine_through(mode, &login, report).await,
    }
}

async fn examine_target(request: &Request, config: &Config, report: &mut Report<'_>) -> Found {
    let [identity, clock, discovery, target, iam, policy] = FIRST;
    let aws = report.check(identity, identity::identity(config, request)).await;
    match &aws {
        Some(aws) => drop(report.check(clock, ready(identity::clock(aws))).await),
        None => report.skip(&[clock], identity),
    }
    let directory = report.check(discovery, targets::discovery(config, aws.as_ref())).await;
    let is_discovered = directory.as_ref().is_some_and(|directory| directory.is_discovered());
    let found = match &directory {
        Some(directory) => {
            let wanted = request.target.as_deref();
            report.check(target, targets::target(config, directory, wanted, is_discovered)).await
        }
        None => None,
    };
    match &found {
        Some(target) => {
            report.check(iam, ready(targets::iam(target))).await;
            let user = request.user.as_deref();
            report.check(policy, policy::login(target, user, aws.as_ref(), directory.as_deref())).await;
        }
        None => report.skip(&[iam, policy], target),
    }
    Found { aws, is_discovered, target: found }
}
