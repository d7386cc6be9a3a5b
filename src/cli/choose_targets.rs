//! The targets of a client: one, by name or with a prompt, or several by names and patterns.

use super::args::ClientArguments;
use super::choose::{Choice, Kind, choose, require};
use super::pick::{target_choice, unknown_account, why_unusable};
use crate::app::client::Chosen;
use crate::catalog::{Directory, LookupError, NamePattern, Target};
use crate::config::Config;
use crate::process::CommandError;

/// The targets that the flags name. A single name without a pattern is one target at one address; without a name, prompts for one.
pub(super) async fn choose_targets(
    directory: &Directory,
    config: &Config,
    arguments: &ClientArguments,
) -> Result<Chosen, CommandError> {
    let wanted: Vec<_> = arguments.target.iter().map(|text| NamePattern::of(text)).collect();
    match wanted.as_slice() {
        // Targets that are not listed yet may become known later.
        _ if arguments.all && directory.error().is_some() => Ok(Chosen::Several(vec![NamePattern::all()])),
        _ if arguments.all => several(directory, &[NamePattern::all()]).await,
        [] => one(directory, config, None).await,
        [NamePattern::Exact(name)] => one(directory, config, Some(name)).await,
        [NamePattern::Glob(_)] | [_, _, ..] => several(directory, &wanted).await,
    }
}

async fn one(directory: &Directory, config: &Config, wanted: Option<&str>) -> Result<Chosen, CommandError> {
    let target = choose_target(directory, wanted).await?;
    Ok(Chosen::One(Box::new(config.with_named(target))))
}

/// Each name must be that of a target, and each pattern must match one. There is no prompt.
async fn several(directory: &Directory, wanted: &[NamePattern]) -> Result<Chosen, CommandError> {
    let mut patterns = Vec::new();
    for pattern in wanted {
        patterns.push(match pattern {
            NamePattern::Exact(name) => NamePattern::Exact(exact(directory, name).await?),
            NamePattern::Glob(text) => {
                let targets = directory.targets();
                if !targets.iter().any(|target| pattern.matches(&target.name)) {
                    unknown_account(directory, pattern).map_or(Ok(()), Err)?;
                    require(Kind::Target, &choices(directory, &targets), text)?;
                }
                pattern.clone()
            }
        });
    }
    Ok(Chosen::Several(patterns))
}

async fn exact(directory: &Directory, wanted: &str) -> Result<String, CommandError> {
    if let Some(target) = named(directory, wanted).await? {
        return Ok(target.name);
    }
    let targets = directory.targets();
    require(Kind::Target, &choices(directory, &targets), wanted).map(|choice| choice.name.clone())
}

/// The target of this name or address. The directory looks first: it knows addresses too, and why a database is not a
/// target.
async fn choose_target(directory: &Directory, wanted: Option<&str>) -> Result<Target, CommandError> {
    if let Some(wanted) = wanted
        && let Some(target) = named(directory, wanted).await?
    {
        return Ok(target);
    }
    let targets = directory.targets();
    let choices = choices(directory, &targets);
    let chosen = choose(Kind::Target, &choices, wanted)?;
    let index = choices.iter().position(|choice| choice == chosen).unwrap_or(choices.len());
    if let Some(target) = targets.get(index) {
        return Ok(target.clone());
    }
    directory.by_name(&chosen.name).await.map_err(CommandError::usage)
}

/// `None` if there is no database of this name or address.
async fn named(directory: &Directory, wanted: &str) -> Result<Option<Target>, CommandError> {
    match directory.by_name(wanted).await {
        Ok(target) => Ok(Some(target)),
        Err(LookupError::Unknown { .. }) => {
            unknown_account(directory, &NamePattern::Exact(wanted.into())).map_or(Ok(()), Err)?;
            why_unusable(directory, wanted).await.map_or(Ok(None), Err)
        }
        Err(error) => Err(CommandError::usage(error)),
    }
}

/// The targets, and behind them the databases that the `target_acl` refuses: a server with the same one refuses them too.
fn choices(directory: &Directory, targets: &[Target]) -> Vec<Choice> {
    let refused = directory.refused();
    targets.iter().map(target_choice).chain(refused.iter().filter_map(refused_choice)).collect()
}

fn refused_choice((place, error): &(String, LookupError)) -> Option<Choice> {
    let LookupError::Refused { name, refusal } = error else { return None };
    Some(Choice { name: name.clone(), description: format!("{place} (not allowed: {refusal})") })
}
