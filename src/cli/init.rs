//! `init`: writes a first configuration.

mod document;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;

use super::args::{InitArguments, OutputFormat};
use super::menu::Entry;
use super::select::select;
use super::{doctor, output};
use crate::app::doctor::Request;
use crate::app::once_at;
use crate::app::survey;
use crate::catalog::nearest;
use crate::config;
use crate::process::{CommandError, Sanitized, can_prompt};
use crate::tls;
use document::{Choices, Transport};

/// The flags that name the transport, for errors.
const FLAGS: &str = "name the server with --upstream HOST:PORT or --context NAME, or use --direct";

/// Prints the configuration, or writes it, checks each step to the databases and names the next command.
pub(super) fn run(arguments: InitArguments) -> Result<(), CommandError> {
    // The checks at the end say it all.
    once_at(LevelFilter::OFF, init(arguments))
}

async fn init(arguments: InitArguments) -> Result<(), CommandError> {
    warn_of_unknown(&arguments.region);
    if arguments.print {
        return output::print(given(arguments)?.render());
    }
    let path = free_path()?;
    let mut choices = if can_prompt() { asked(arguments).await? } else { given(arguments)? };
    choices.root_certificate = choices.root_certificate.as_deref().map(readable).transpose()?;
    write(&path, &choices.render())?;
    let direct = matches!(choices.transport, Transport::Direct);
    output::print(format!("The configuration is in {}\n\n", Sanitized(path.display())))?;
    let request = Request {
        configfile: Some(path),
        profile: None,
        target: None,
        proxy_target: None,
        user: None,
        direct,
    };
    let examined = doctor::print(request, OutputFormat::Text).await;
    let next = if direct { "rds-auth-proxy client --direct" } else { "rds-auth-proxy client" };
    output::print(format!("\nNext, choose a database and connect to it:\n    {next}\n"))?;
    examined
}

/// The absolute path of the file: a relative one would depend on the directory in which a client starts.
fn readable(certificate: &Path) -> Result<PathBuf, CommandError> {
    certificate.canonicalize().map_err(|error| {
        let path = Sanitized(certificate.display());
        CommandError::usage(format_args!("--root-certificate: the file {path} cannot be read: {error}"))
    })
}

/// Warns of regions whose databases this version cannot verify.
fn warn_of_unknown(regions: &[String]) {
    let known = tls::rds_regions();
    for region in regions.iter().filter(|region| !known.contains(region)) {
        let near = nearest(known.iter().map(String::as_str), region, 1);
        let near = near.first().map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        output::remark(&format!(
            "warning: --region {region}: this version has no certificate of RDS for this region{near}"
        ));
    }
}

/// The choices of the flags.
fn given(arguments: InitArguments) -> Result<Choices, CommandError> {
    let transport = transport(&arguments)?.ok_or_else(|| {
        CommandError::usage(format_args!("init prompts on a terminal, and there is none; {FLAGS}"))
    })?;
    let InitArguments { profile, region: regions, root_certificate, .. } = arguments;
    Ok(Choices { profile, regions, transport, root_certificate })
}

/// The choices of the flags, and those of the user where something is left to choose.
async fn asked(arguments: InitArguments) -> Result<Choices, CommandError> {
    let transport = transport(&arguments)?;
    let InitArguments { profile, region: regions, root_certificate, .. } = arguments;
    let profile = match profile {
        None => choose_profile(survey::profiles().await)?,
        given => given,
    };
    let regions = if regions.is_empty() { choose_regions(profile.as_deref()).await? } else { regions };
    let transport = match transport {
        Some(transport) => transport,
        None => choose_transport().await?,
    };
    Ok(Choices { profile, regions, transport, root_certificate })
}

/// The transport that the flags name.
fn transport(arguments: &InitArguments) -> Result<Option<Transport>, CommandError> {
    if let Some(address) = &arguments.upstream {
        let address = address
            .parse()
            .map_err(|error| CommandError::usage(format_args!("--upstream is not usable: {error}")))?;
        return Ok(Some(Transport::Address(address)));
    }
    if let Some(context) = &arguments.context {
        let (context, namespace) = (context.clone(), arguments.namespace.clone());
        return Ok(Some(Transport::Cluster { context, namespace, deployment: survey::SERVER.into() }));
    }
    Ok(arguments.direct.then_some(Transport::Direct))
}

fn choose_profile(mut profiles: Vec<String>) -> Result<Option<String>, CommandError> {
    if profiles.len() < 2 {
        return Ok(None);
    }
    let entries: Vec<_> = profiles.iter().map(|name| entry(name, "")).collect();
    let index = ask("Which AWS profile?", &entries)?;
    Ok(Some(profiles.swap_remove(index)))
}

async fn choose_regions(profile: Option<&str>) -> Result<Vec<String>, CommandError> {
    output::remark("Looking for databases in all regions …");
    let found = survey::regions(profile).await?;
    let mut names: Vec<_> = found.keys().cloned().collect();
    match names.len() {
        0 => Err(CommandError::runtime(
            "no region has a database that this AWS identity can see and that a client can use; name the region with --region",
        )),
        1 => {
            output::remark(&format!("The databases are in {}.", names.concat()));
            Ok(names)
        }
        count => {
            let all = entry("all of them", &format!("{count} regions"));
            let each = found.iter().map(|(name, count)| entry(name, &databases(*count)));
            let entries: Vec<_> = std::iter::once(all).chain(each).collect();
            match ask("Which region?", &entries)?.checked_sub(1) {
                Some(index) => Ok(vec![names.swap_remove(index)]),
                None => Ok(names),
            }
        }
    }
}

async fn choose_transport() -> Result<Transport, CommandError> {
    output::remark("Looking for a server in the clusters of the kubeconfig …");
    let found = survey::clusters().await;
    let ways = found.into_iter().map(|forward| {
        let context = forward.context.unwrap_or_default();
        let place = forward.namespace.as_deref().unwrap_or("its own namespace");
        let entry = entry(&context, &format!("a server in the cluster of this context, in {place}"));
        (
            entry,
            Transport::Cluster { context, namespace: forward.namespace, deployment: survey::SERVER.into() },
        )
    });
    let direct = (entry("no server", "this machine reaches the databases itself"), Transport::Direct);
    let (entries, mut ways): (Vec<_>, Vec<_>) = ways.chain([direct]).unzip();
    if ways.len() == 1 {
        output::remark(&format!("There is none; {FLAGS}."));
    }
    let index = ask("How does a client reach the databases?", &entries)?;
    Ok(ways.swap_remove(index))
}

fn databases(count: usize) -> String {
    if count == 1 { "1 database".into() } else { format!("{count} databases") }
}

fn entry(name: &str, description: &str) -> Entry {
    Entry { name: Sanitized(name).to_string(), description: Sanitized(description).to_string() }
}

/// The index of the chosen entry.
fn ask(question: &str, entries: &[Entry]) -> Result<usize, CommandError> {
    let chosen = select(question, entries).map_err(|error| {
        CommandError::runtime(format_args!("the prompt failed on this terminal ({error})"))
    })?;
    let index = chosen.ok_or(CommandError::Interrupted)?;
    let name = entries.get(index).map(|entry| entry.name.as_str()).unwrap_or_default();
    output::remark(&format!("{question} {name}"));
    Ok(index)
}

/// Where the configuration is written. It is an error if the user has one.
fn free_path() -> Result<PathBuf, CommandError> {
    let path = config::user_file().ok_or_else(|| {
        CommandError::usage("there is no directory for the configuration; set HOME, or use --print")
    })?;
    match config::find(None, config::SearchOrder::UserDirectoriesFirst) {
        Ok(found) if found.origin == config::Origin::UserDirectory => Err(exists(&found.path)),
        Ok(_) | Err(_) => Ok(path),
    }
}

fn exists(path: &Path) -> CommandError {
    CommandError::usage(format_args!(
        "there is a configuration already, {}, and init overwrites none; examine it with `rds-auth-proxy doctor`, or use --print",
        path.display()
    ))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let written = || -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    };
    written().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => CommandError::runtime(format_args!(
            "the configuration {} cannot be written: {error}",
            path.display()
        )),
    })
}
