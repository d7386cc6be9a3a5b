//! Discovery, the target, and its IAM authentication.

use std::sync::Arc;

use super::check::Finding;
use crate::app::start;
use crate::aws::Accounts;
use crate::catalog::{Directory, Discover, LookupError, Target, nearest};
use crate::config::Config;

/// The most names in a text.
const MAX_NAMED: usize = 3;

/// Lists the databases of RDS and applies the access list. The value has at least the targets of the configuration.
pub(super) async fn discovery(config: &Config, aws: Option<&Accounts>) -> Finding<Arc<Directory>> {
    let directory = |discover| Arc::new(Directory::new(start::policy(config), discover));
    let discover: Arc<dyn Discover> = match aws.map(Accounts::discovery) {
        Some(Ok(discovery)) => discovery,
        Some(Err(error)) => return Finding::error(error).with(directory(None)),
        None => {
            let directory = directory(None);
            let reason =
                if config.rds.enabled { "it needs the check identity" } else { "rds.enabled is false" };
            return Finding::skipped(reason).with(directory);
        }
    };
    let directory = directory(Some(discover));
    if let Err(error) = directory.refresh().await {
        return Finding::error(error).with(directory);
    }
    let (detail, found) = listed(&directory);
    match directory.error() {
        Some(error) => Finding::warning(format_args!("{detail}; {error}"), None, directory),
        None if found == 0 => {
            let remedy = "see why with `rds-auth-proxy targets --hidden`".to_owned();
            Finding::warning(detail, Some(remedy), directory)
        }
        None => Finding::ok(detail, directory),
    }
}

/// A text about the list, and the number of targets.
fn listed(directory: &Directory) -> (String, usize) {
    let targets = directory.targets();
    let discovered = targets.iter().filter(|target| target.iam.is_some()).count();
    let mut text = format!("{discovered} with IAM authentication, {} without", targets.len() - discovered);
    let refused = directory.refused();
    let names: Vec<_> = refused.iter().filter_map(|(_, error)| refused_name(error)).take(MAX_NAMED).collect();
    if !names.is_empty() {
        let more = if refused.len() > names.len() { " and others" } else { "" };
        text = format!("{text}; target_acl hides {}{more}", names.join(", "));
    }
    (format!("targets: {text}"), targets.len())
}

fn refused_name(error: &LookupError) -> Option<&str> {
    match error {
        LookupError::Refused { name, .. } => Some(name),
        _ => None,
    }
}

/// The target of this name; without a name, the only one. `is_complete`: nothing is missing in the list.
pub(super) async fn target(
    config: &Config,
    directory: &Directory,
    wanted: Option<&str>,
    is_complete: bool,
) -> Finding<Target> {
    let found = match wanted {
        Some(name) => directory.by_name(name).await,
        None => match directory.targets().as_slice() {
            [only] => Ok(only.clone()),
            [] => return Finding::skipped("there is no target"),
            several => {
                let reason = format!("there are {} targets; name one with --target", several.len());
                return Finding::skipped(reason);
            }
        },
    };
    match found {
        Ok(target) => {
            let target = config.with_named(target);
            Finding::ok(format!("{} at {}", target.name, target.dialled()), target)
        }
        Err(LookupError::Unknown { .. }) if !is_complete => Finding::skipped("it needs the check discovery"),
        Err(LookupError::Unknown { wanted }) => unknown(directory, &wanted).await,
        Err(error) => Finding::error(error),
    }
}

async fn unknown(directory: &Directory, wanted: &str) -> Finding<Target> {
    if let Some(why) = directory.why_skipped(wanted).await {
        return Finding::error(format_args!("the target \"{wanted}\" cannot be used: RDS has it in {why}"));
    }
    let targets = directory.targets();
    let near = nearest(targets.iter().map(|target| target.name.as_str()), wanted, MAX_NAMED);
    let remedy = if near.is_empty() {
        "see the names with `rds-auth-proxy targets`, and check the region and the account".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Finding::failed(format_args!("no target is called \"{wanted}\""), Some(remedy))
}

/// Whether a token logs in at the target.
pub(super) fn iam(target: &Target) -> Finding<()> {
    match &target.iam {
        Some(iam) => Finding::ok(format_args!("{} in {} accepts IAM tokens", iam.service, iam.region), ()),
        None => Finding::warning(
            format_args!(
                "RDS lists no database with IAM authentication at {}, so a login needs a password",
                target.address
            ),
            Some(format!(
                "if that is another name of a database in RDS, set targets.{}.rds to the name in RDS",
                target.name
            )),
            (),
        ),
    }
}
