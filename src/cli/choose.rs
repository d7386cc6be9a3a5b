//! Chooses one of several by name or with a prompt.

use std::fmt;

use super::menu::Entry;
use super::output;
use super::select::select;
use crate::catalog::{NamePattern, named, nearest, only_case_differs};
use crate::process::{CommandError, Sanitized, can_prompt};

/// The kind of thing to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A database.
    Target,
    /// The server to go through.
    UpstreamProxy,
    /// An account of the configuration, with whose name targets begin.
    Account,
}

/// One of the things to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The name to type.
    pub(super) name: String,
    /// Its address and region.
    pub(super) description: String,
}

/// The choice called `wanted`, in any case. Without such a choice, or without a name, prompts if a prompt is possible; else
/// that is a usage error which lists the names.
pub(super) fn choose<'a>(
    kind: Kind,
    choices: &'a [Choice],
    wanted: Option<&str>,
) -> Result<&'a Choice, CommandError> {
    match find(kind, choices, wanted)? {
        Some(found) => Ok(found),
        None if !choices.is_empty() && can_prompt() => prompt(kind, choices, wanted),
        None => Err(CommandError::Usage(refusal(kind, choices, wanted))),
    }
}

/// The choice called `wanted`, in any case. Without such a choice, a usage error which lists the names.
pub(super) fn require<'a>(
    kind: Kind,
    choices: &'a [Choice],
    wanted: &str,
) -> Result<&'a Choice, CommandError> {
    let refusal = || CommandError::Usage(refusal(kind, choices, Some(wanted)));
    find(kind, choices, Some(wanted))?.ok_or_else(refusal)
}

fn find<'a>(
    kind: Kind,
    choices: &'a [Choice],
    wanted: Option<&str>,
) -> Result<Option<&'a Choice>, CommandError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = named(choices.iter(), wanted, |choice| &choice.name);
    match only_case_differs(found.iter().map(|choice| choice.name.as_str())) {
        Some(names) => {
            Err(CommandError::Usage(format!("the {} \"{wanted}\" is not unique: {names}", kind.noun())))
        }
        None => Ok(found.first().copied()),
    }
}

fn prompt<'a>(kind: Kind, choices: &'a [Choice], wanted: Option<&str>) -> Result<&'a Choice, CommandError> {
    let noun = kind.noun();
    let question = match wanted {
        Some(name) => format!("No {noun} is called \"{name}\". Which one do you mean?"),
        None => format!("Which {noun}?"),
    };
    let question = Sanitized(&question).to_string();
    let entries: Vec<_> = choices.iter().map(entry).collect();
    let chosen = select(&question, &entries).map_err(|error| {
        CommandError::Runtime(format!(
            "the prompt for the {noun} failed on this terminal ({error}); name it with {}",
            kind.flag()
        ))
    })?;
    let choice = chosen.and_then(|index| choices.get(index)).ok_or(CommandError::Interrupted)?;
    output::remark(&format!("{question} {}", choice.name));
    Ok(choice)
}

fn entry(choice: &Choice) -> Entry {
    Entry {
        name: Sanitized(&choice.name).to_string(),
        description: Sanitized(&choice.description).to_string(),
    }
}

fn refusal(kind: Kind, choices: &[Choice], wanted: Option<&str>) -> String {
    let noun = kind.noun();
    let problem = match wanted {
        Some(name) => match NamePattern::of(name) {
            NamePattern::Exact(name) => format!("no {noun} is called \"{name}\""),
            NamePattern::Glob(pattern) => format!("no {noun} matches \"{pattern}\""),
        },
        None => format!("no {noun} was named, and there is no terminal for a prompt"),
    };
    with_choices(&problem, kind, choices, wanted)
}

/// The problem with its remedy and all choices, the nearest one first.
pub(super) fn with_choices(problem: &str, kind: Kind, choices: &[Choice], wanted: Option<&str>) -> String {
    if choices.is_empty() {
        return format!("{problem}, and there is none to choose from; {}", kind.remedy());
    }
    let names = || choices.iter().map(|choice| choice.name.as_str());
    let near = wanted.map(|name| nearest(names(), name, 1)).unwrap_or_default();
    let advice = match (near.first(), wanted) {
        (Some(name), _) => format!("did you mean \"{}\"?", Sanitized(name)),
        (None, Some(_)) => "use one of the names below".to_owned(),
        (None, None) => format!("use {} with one of the names below", kind.flag()),
    };
    let width = width(choices);
    let mut text = format!("{problem}; {advice}");
    for choice in choices {
        text.push_str("\n  ");
        text.push_str(Line { choice, width }.to_string().trim_end());
    }
    text
}

/// A choice as a line of a text.
struct Line<'a> {
    choice: &'a Choice,
    width: usize,
}

fn width(choices: &[Choice]) -> usize {
    choices.iter().map(|choice| choice.name.chars().count()).max().unwrap_or_default()
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Sanitized(&self.choice.name).to_string();
        write!(formatter, "{name:width$}  {}", Sanitized(&self.choice.description), width = self.width)
    }
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::UpstreamProxy => "upstream proxy",
            Self::Account => "account",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Target | Self::Account => "--target",
            Self::UpstreamProxy => "--proxy-target",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Target => {
                "add one to `targets` in the configuration, or use an AWS identity and region in which RDS lists databases"
            }
            Self::Account => "add one to `accounts` in the configuration",
            Self::UpstreamProxy => "add one to `upstream_proxies` in the configuration, or use --direct",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_named_where_no_name_was_typed() {
        let text = |wanted| with_choices("x", Kind::UpstreamProxy, &choices(), wanted);
        assert!(text(None).starts_with("x; use --proxy-target with one of the names below\n"));
        assert!(text(Some("zzz")).starts_with("x; use one of the names below\n"));
        assert!(text(Some("usres")).starts_with("x; did you mean \"users\"?\n"));
    }

    fn choices() -> Vec<Choice> {
        [("orders-db", "orders.example:5432 (us-east-1)"), ("users", "users.example:5432")]
            .map(|(name, description)| Choice { name: name.into(), description: description.into() })
            .to_vec()
    }

    #[test]
    fn a_name_is_found_in_any_case() {
        let choices = choices();
        assert_eq!(choose(Kind::Target, &choices, Some("users")).unwrap(), &choices[1]);
        assert_eq!(choose(Kind::Target, &choices, Some("Users")).unwrap(), &choices[1]);
        assert_eq!(find(Kind::Target, &choices, Some("user")).unwrap(), None);
        assert_eq!(find(Kind::Target, &choices, None).unwrap(), None);
    }

    #[test]
    fn without_a_name_the_names_are_listed() {
        let text = refusal(Kind::Target, &choices(), None);
        assert!(text.contains("no target was named") && text.contains("--target"), "{text}");
        assert!(
            text.contains("\n  orders-db  orders.example:5432 (us-east-1)\n  users      users"),
            "{text}"
        );
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        for misspelt in ["order-db", "Order-DB", "odrers-db"] {
            let text = refusal(Kind::Target, &choices(), Some(misspelt));
            assert!(text.contains("did you mean \"orders-db\"?"), "{text}");
        }
        let text = refusal(Kind::UpstreamProxy, &choices(), Some("zzz"));
        assert!(!text.contains("did you mean"), "{text}");
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let choice = Choice { name: "db\nother\u{1b}[2J".into(), description: "\u{9b}31m\r".into() };
        let text = refusal(Kind::Target, &[choice], Some("db\nother\u{1b}[2"));
        assert_eq!(text.lines().count(), 3, "{text}");
        let listed = text.lines().last().unwrap();
        assert!(listed.ends_with(r"  db\nother\u{1b}[2J  \u{9b}31m\r"), "{text}");
        assert!(text.contains(r#"did you mean "db\nother\u{1b}[2J"?"#), "{text}");
    }

    #[test]
    fn an_empty_list_is_refused_with_the_remedy() {
        let refused = choose(Kind::UpstreamProxy, &[], Some("default"));
        let Err(CommandError::Usage(text)) = refused else { panic!("must be refused") };
        assert!(text.contains("\"default\"") && text.contains("`upstream_proxies`"), "{text}");
    }
}
