//! Finds a target by its name without a prompt.

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
    if let Some(error) = why_unusable(directory, wanted).await {
        return error;
    }
    let choices: Vec<_> = directory.targets().iter().map(target_choice).collect();
    let problem = format!("no target is called \"{wanted}\"");
    CommandError::Usage(with_choices(&problem, Kind::Target, &choices, Some(wanted)))
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
