//! Finds a target by its name without a prompt.

use std::sync::Arc;

use super::choose::{Choice, Kind, with_choices};
use crate::catalog::{Directory, LookupError, NamePattern, Target};
use crate::process::CommandError;

/// The target of this name, in any case, or at this address. The error has the reason, and the nearest names for an unknown
/// one. It is a usage error, unless the list of RDS databases may lack the name.
pub(super) async fn target(directory: &Directory, wanted: &str) -> Result<Target, CommandError> {
    match directory.by_name(wanted).await {
        Ok(target) => Ok(target),
        Err(LookupError::Unknown { .. }) => Err(unknown(directory, wanted).await),
        Err(error @ (LookupError::Stale { .. } | LookupError::TooOld { .. })) => {
            Err(CommandError::runtime(error))
        }
        Err(
            error @ (LookupError::Refused { .. }
            | LookupError::Ambiguous { .. }
            | LookupError::Unlisted { .. }
            | LookupError::OnlyCaseDiffers { .. }),
        ) => Err(CommandError::usage(error)),
    }
}

/// The error for a pattern that fits no target: for a name, why it is none.
pub(super) async fn without_match(directory: &Directory, pattern: &NamePattern) -> CommandError {
    if let Some(error) = unknown_account(directory, pattern) {
        return error;
    }
    let text = match pattern {
        NamePattern::Exact(name) => match target(directory, name).await {
            Ok(_) => name,
            Err(error) => return error,
        },
        NamePattern::Glob(text) => text,
    };
    let problem = format!("no target matches \"{text}\"");
    if let Some(error) = directory.error() {
        return CommandError::runtime(format_args!("{problem}, and the list is not complete: {error}"));
    }
    let choices: Vec<_> = directory.targets().iter().map(target_choice).collect();
    CommandError::Usage(with_choices(&problem, Kind::Target, &choices, Some(text)))
}

async fn unknown(directory: &Directory, wanted: &str) -> CommandError {
    if let Some(error) = unknown_account(directory, &NamePattern::Exact(wanted.into())) {
        return error;
    }
    if let Some(error) = why_unusable(directory, wanted).await {
        return error;
    }
    let choices: Vec<_> = directory.targets().iter().map(target_choice).collect();
    let problem = format!("no target is called \"{wanted}\"");
    CommandError::Usage(with_choices(&problem, Kind::Target, &choices, Some(wanted)))
}

/// The error for a name or pattern that begins with an account which the configuration does not have. Absent if it has it, or has
/// no accounts, and if a target begins like that.
pub(super) fn unknown_account(directory: &Directory, wanted: &NamePattern) -> Option<CommandError> {
    let (NamePattern::Exact(text) | NamePattern::Glob(text)) = wanted;
    let (account, _) = text.split_once('/')?;
    let accounts = directory.accounts();
    let is_known = accounts.iter().any(|known| NamePattern::of(account).matches(known));
    let beginning = NamePattern::of(&format!("{account}/*"));
    if accounts.is_empty()
        || is_known
        || directory.targets().iter().any(|target| beginning.matches(&target.name))
    {
        return None;
    }
    let choice = |name: &Arc<str>| Choice { name: name.to_string(), description: String::new() };
    let choices: Vec<_> = accounts.iter().map(choice).collect();
    let problem = format!("no account is called \"{account}\"");
    Some(CommandError::Usage(with_choices(&problem, Kind::Account, &choices, Some(account))))
}

/// The error for a name that RDS has and that is no target; absent if RDS does not have it.
pub(super) async fn why_unusable(directory: &Directory, wanted: &str) -> Option<CommandError> {
    let why = directory.why_skipped(wanted).await?;
    Some(CommandError::usage(format_args!("the target \"{wanted}\" cannot be used; RDS has it in {why}")))
}

/// A target among others, in a list or an error.
pub(super) fn target_choice(target: &Target) -> Choice {
    let region = target.iam.as_ref().map(|iam| format!(" in {}", iam.region)).unwrap_or_default();
    Choice { name: target.name.clone(), description: format!("{}{region}", target.address) }
}
