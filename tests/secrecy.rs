//! The Debug output of every type: a table gives the reason why it contains no secret.
//!
//! `Secret` has no Debug, so a type that derives Debug cannot contain one. The test finds all other types with text, bytes
//! or a value of another crate in a field, and those with a manual Debug, and fails for one that is not in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::rust_files;

/// Why the Debug output of a type contains no secret.
enum Proof {
    /// The content of its text.
    Words(&'static str),
    /// The unit test that formats values made of a secret with Debug.
    Test(&'static str),
}
use Proof::{Test, Words};

/// File, type, and the reason why its Debug output contains no secret.
const KNOWN: &[(&str, &str, Proof)] = &[
    ("src/services/role_source.rs", "AssumeError", Words("an error text for the log, without secrets")),
    ("src/aws/credentials/chain.rs", "Chain", Test("no_debug_output_shows_the_credentials")),
    ("src/aws/credentials/no_credentials.rs", "NoCredentials", Test("no_error_about_credentials_shows_them")),
    ("src/aws/credentials/files.rs", "Files", Words("paths and the name of a profile")),
    ("src/aws/credentials/files.rs", "Denied", Words("a path, and the owner and mode of its file")),
    ("src/aws/error.rs", "AwsError", Words("names of a profile, a region and an account")),
    ("src/aws/login.rs", "Login", Words("the name of a profile or of a device")),
    ("src/aws/credentials/shared_config.rs", "BrokenFile", Test("no_error_about_credentials_shows_them")),
    (
        "src/aws/environment.rs",
        "Environment",
        Test("empty_variables_are_unset_and_older_names_are_fallbacks"),
    ),
    ("src/aws/http_client.rs", "ByProxy", Test("no_debug_output_shows_the_proxy")),
    ("src/aws/simulation.rs", "Decision", Words("names of conditions in policies")),
    ("src/aws/region.rs", "NamedRegion", Words("a region and the name of a variable or profile")),
    ("src/aws/credentials/credential_source.rs", "CredentialSource", Words("names of profiles")),
    (
        "src/aws/credentials/credential_source.rs",
        "AssumedRole",
        Words("names of profiles and the ARN of a role"),
    ),
    ("src/aws/discovery/call_error.rs", "CallError", Words("an error text for the log")),
    ("src/aws/discovery/skipped.rs", "Remark", Words("a region and a port, as RDS wrote them")),
    ("src/aws/token.rs", "SignError", Test("no_debug_output_shows_the_credentials")),
    ("src/cli/choose.rs", "Choice", Words("names and addresses to choose from")),
    ("src/cli/menu.rs", "Entry", Words("names and addresses to choose from")),
    ("src/process/error.rs", "CommandError", Test("no_usage_error_shows_the_password")),
    ("src/process/logging/filter.rs", "InvalidVariable", Words("what LOG_LEVEL, RUST_LOG and DEBUG say")),
    ("src/process/logging/filter.rs", "Variables", Words("what LOG_LEVEL, RUST_LOG and DEBUG say")),
    ("src/config/error.rs", "ConfigError", Test("no_debug_output_shows_a_value_from_outside")),
    ("src/config/expand.rs", "Substitutions", Test("no_debug_output_shows_a_value_from_outside")),
    ("src/config/key_error.rs", "Problem", Test("no_debug_output_shows_a_value_from_outside")),
    ("src/config/key_path.rs", "Step", Words("a key of the configuration")),
    ("src/config/remark.rs", "Remark", Words("a key of the configuration")),
    ("src/config/settings.rs", "Config", Test("no_debug_output_shows_a_value_from_outside")),
    ("src/config/settings.rs", "Named", Words("the name of a database, and a port")),
    ("src/config/settings.rs", "Rds", Words("names of regions")),
    ("src/config/settings.rs", "Upstream", Words("its name, and an error that hides values")),
    ("src/config/tree.rs", "Tree", Test("no_debug_output_shows_a_value_from_outside")),
    ("src/kubernetes/error.rs", "TunnelError", Test("a_broken_file_is_named_but_not_quoted")),
    ("src/net/address.rs", "HostPort", Words("a host")),
    ("src/net/address.rs", "InvalidAddress", Words("what was to be a host")),
    ("src/stamp.rs", "Found", Words("times and numbers of a file")),
    ("src/session/excluded_method.rs", "ExcludedMethod", Words("names of a hop, of a method and of a key")),
    ("src/session/explain.rs", "WrongClock", Words("the age of a token")),
    ("src/session/door.rs", "DoorError", Words("the database that an application names")),
    ("src/session/failure.rs", "Failure", Test("no_failure_of_a_login_shows_the_packet")),
    ("src/session/reason.rs", "Reason", Words("variants without fields")),
    ("src/session/splice.rs", "End", Words("the error of a socket or of TLS")),
    ("src/catalog/acl.rs", "Refusal", Words("a tag and a name of RDS")),
    ("src/catalog/acl.rs", "Related", Words("tags and a name of RDS")),
    ("src/catalog/acl.rs", "Tag", Words("a tag of RDS")),
    ("src/catalog/selection.rs", "NamePattern", Words("what was to be the name of a target")),
    ("src/catalog/resource.rs", "Resource", Words("its engine, account and ARN")),
    (
        "src/catalog/login_permission.rs",
        "LoginPermission",
        Words("an action, and an ARN with the database user"),
    ),
    ("src/catalog/skipped.rs", "Skipped", Words("its name, region and database")),
    ("src/catalog/allowed_clients.rs", "AllowedClients", Words("names in certificates")),
    ("src/catalog/auth_methods.rs", "InvalidAuthMethods", Words("a word of require_auth")),
    ("src/catalog/token.rs", "TokenRule", Words("an address, a region and a user")),
    ("src/catalog/token.rs", "TokenClaim", Words("an access key id and a time")),
    ("src/catalog/token_error.rs", "TokenError", Words("the address, region and user in a token")),
    ("src/catalog/aws_clock.rs", "AwsClock", Words("times")),
    ("src/catalog/aws_clock.rs", "Report", Words("times")),
    ("src/catalog/listed_at.rs", "ListedAt", Words("times")),
    ("src/catalog/guard_rails.rs", "GuardRails", Words("the values of tags of RDS")),
    ("src/catalog/front_door.rs", "FrontDoor", Words("names of targets and of hosts")),
    ("src/catalog/lookup.rs", "LookupError", Words("names and addresses")),
    ("src/catalog/signer.rs", "Signer", Words("an access key id and an ARN")),
    ("src/catalog/target.rs", "Discovered", Words("its name, region and database")),
    ("src/catalog/target.rs", "Iam", Words("a region")),
    ("src/catalog/merge.rs", "Unlisted", Words("names and an address")),
    ("src/catalog/target.rs", "Location", Words("a name and an address")),
    ("src/catalog/target.rs", "Policy", Words("names of targets")),
    ("src/catalog/target.rs", "StaticTarget", Words("its name and database")),
    ("src/catalog/target.rs", "Target", Words("its name and database")),
    ("src/catalog/port_forward.rs", "PortForward", Words("names of a context and a namespace")),
    ("src/catalog/port_forward.rs", "Pods", Words("labels and names")),
    ("src/catalog/ports.rs", "DiscoverError", Words("a region, and a sentence for people")),
    ("src/catalog/ports.rs", "Hinted", Words("the standard error of a credential plugin, not its output")),
    ("src/catalog/ports.rs", "LateRefusal", Words("the text of a kubelet")),
    ("src/catalog/ports.rs", "MintError", Test("no_error_about_credentials_shows_them")),
    ("src/process/last_line.rs", "Narrow", Words("the terminal, and what the status line says")),
    ("src/single_flight.rs", "FlightError", Words("the message of a panic")),
    (
        "src/tls/client_auth.rs",
        "ClientCertificateError",
        Words("the subject of a certificate, and why it is not trusted"),
    ),
    ("src/tls/client_auth.rs", "Request", Words("the names of CAs")),
    ("src/tls/server_settings.rs", "ServerIdentity", Words("hosts and paths")),
    ("src/tls/verified_client.rs", "VerifiedClient", Words("the names in a certificate, which is public")),
    (
        "src/tls/certificate_choice.rs",
        "CertificateChoice",
        Words("certificates, which are public, and the kind of their keys"),
    ),
    (
        "src/tls/client_cert_resolver.rs",
        "ClientCertResolver",
        Words("a certificate, which is public, and the kind of its key"),
    ),
    ("src/tls/connector.rs", "Connector", Test("debug_shows_no_key")),
    ("src/tls/error.rs", "TlsError", Test("no_error_shows_a_key")),
    ("src/tls/roots.rs", "Roots", Words("a path and the name of a region")),
    ("src/tls/settings.rs", "Overrides", Test("debug_shows_neither_files_nor_keys")),
    ("src/tls/settings.rs", "Settings", Test("debug_shows_neither_files_nor_keys")),
    ("src/tls/ssl_mode.rs", "UnknownSslMode", Words("what was to be a mode")),
    ("src/tls/verify.rs", "Untrusted", Words("a sentence about a certificate")),
    ("src/tls/verify.rs", "Verifier", Test("debug_shows_no_key")),
    (
        "src/wire/authentication.rs",
        "Authentication",
        Words("a database asks: salts, nonces and names of methods, which anybody may know"),
    ),
    ("src/wire/backend.rs", "BackendMessage", Test("debug_hides_the_cancel_key")),
    ("src/wire/cancel.rs", "CancelKey", Test("debug_hides_the_key")),
    ("src/wire/error_response.rs", "ErrorResponse", Test("debug_shows_the_fields")),
    ("src/wire/startup.rs", "StartupMessage", Test("debug_shows_names_and_no_values")),
];

/// Types without text.
const HARMLESS: &[&str] = &[
    "Arc",
    "BTreeMap",
    "Box",
    "CancellationToken",
    "Duration",
    "LevelFilter",
    "NonZeroUsize",
    "Option",
    "PathBuf",
    "SocketAddr",
    "SystemTime",
    "T",
    "Vec",
    "bool",
    "u16",
    "u32",
    "u64",
    "u8",
    "usize",
];

/// A type with Debug.
struct Found {
    file: String,
    name: String,
    /// The types of its fields; none for a manual Debug.
    fields: Option<BTreeSet<String>>,
}

#[test]
fn no_debug_output_can_contain_a_secret() {
    let found = types_with_debug();
    let own: BTreeSet<_> = found.iter().map(|found| found.name.as_str()).collect();
    assert!(own.len() > 70, "the test finds too few types: {own:?}");
    let is_open = |found: &&Found| {
        found.fields.as_ref().is_none_or(|fields| {
            fields.iter().any(|field| !HARMLESS.contains(&field.as_str()) && !own.contains(field.as_str()))
        })
    };
    let mut known: BTreeMap<_, _> = KNOWN.iter().map(|(file, name, proof)| ((*file, *name), proof)).collect();
    let all: String =
        rust_files(Path::new("src")).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut errors = Vec::new();
    for Found { file, name, fields } in found.iter().filter(is_open) {
        match known.remove(&(file.as_str(), name.as_str())) {
            None => {
                errors.push(format!(
                    "{file}: add the reason why the Debug of {name} ({fields:?}) contains no secret"
                ));
            }
            Some(Words(words)) if fields.is_none() || words.is_empty() => {
                errors.push(format!("{file}: the manual Debug of {name} needs a test"));
            }
            Some(Words(_)) => {}
            Some(Test(test)) => {
                errors.extend(error_in_test(&all, test).map(|error| format!("{file}: {error}")));
            }
        }
    }
    errors
        .extend(known.keys().map(|(file, name)| format!("{file}: {name} does not exist or needs no entry")));
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// Why the unit test does not prove anything: it must exist and format a value with Debug.
fn error_in_test(source: &str, test: &str) -> Option<String> {
    let Some((_, behind)) = source.split_once(&format!("fn {test}()")) else {
        return Some(format!("there is no test {test}"));
    };
    let body = behind.split("#[").next().unwrap_or_default();
    let formats = body.contains(":?}") || body.contains(":#?}");
    (!formats).then(|| format!("the test {test} formats nothing with Debug"))
}

fn types_with_debug() -> Vec<Found> {
    let mut found = Vec::new();
    for file in rust_files(Path::new("src")) {
        let path = file.to_str().unwrap().to_owned();
        if path.contains("/tests") || path.ends_with("fake_aws.rs") {
            continue;
        }
        let text = production(&fs::read_to_string(&file).unwrap());
        for (at, _) in text.match_indices("#[derive(") {
            let (derived, rest) = text[at + 9..].split_once(")]").unwrap();
            if derived.split(',').any(|name| name.trim() == "Debug") {
                let (name, fields) = declaration(rest);
                found.push(Found { file: path.clone(), name, fields: Some(fields) });
            }
        }
        for (at, _) in text.match_indices("Debug for ") {
            found.push(Found { file: path.clone(), name: leading_word(&text[at + 10..]), fields: None });
        }
    }
    found
}

/// The text without comments and tests.
fn production(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let tests = ["\nmod tests {", "\npub(crate) mod tests {"];
    let end = tests.iter().filter_map(|tests| text.find(tests)).min().unwrap_or(text.len());
    text[..end].to_owned()
}

/// The name and field types of the first type in a text that begins after its `derive`.
fn declaration(text: &str) -> (String, BTreeSet<String>) {
    let (at, is_enum) = [("struct ", false), ("enum ", true)]
        .iter()
        .filter_map(|(word, is_enum)| Some((text.find(word)? + word.len(), *is_enum)))
        .min()
        .unwrap();
    let name = leading_word(&text[at..]);
    let rest = &text[at + name.len()..];
    let begin = rest.find(['{', '(', ';']).unwrap();
    let mut depth = 0;
    let mut end = begin;
    for (index, character) in rest[begin..].char_indices() {
        depth += i32::from("{([".contains(character)) - i32::from("})]".contains(character));
        end = begin + index;
        if depth == 0 {
            break;
        }
    }
    (name, field_types(&without_attributes(&rest[begin..=end]), is_enum))
}

fn without_attributes(body: &str) -> String {
    let mut kept = String::new();
    let mut rest = body;
    while let Some((before, attribute)) = rest.split_once("#[") {
        kept.push_str(before);
        let mut depth = 1;
        let end = attribute.find(|character| {
            depth += i32::from(character == '[') - i32::from(character == ']');
            depth == 0
        });
        rest = &attribute[end.unwrap() + 1..];
    }
    kept + rest
}

/// The type names in a body. Byte vectors and slices count as `bytes`.
fn field_types(body: &str, is_enum: bool) -> BTreeSet<String> {
    let body = body.replace("&'static str", "bool").replace("&'static [", "[");
    let body = body.replace("&'a [u8]", "bytes").replace("Vec<u8>", "bytes").replace("&'a str", "str");
    let mut found = BTreeSet::new();
    let mut depth = 0;
    let mut begins = false;
    let mut rest = body.as_str();
    while let Some(character) = rest.chars().next() {
        let word = leading_word(rest);
        if word.is_empty() {
            depth += i32::from("{([".contains(character)) - i32::from("})]".contains(character));
            begins = depth == 1 && "{,".contains(character) || begins && character.is_whitespace();
            rest = &rest[character.len_utf8()..];
            continue;
        }
        rest = &rest[word.len()..];
        let is_variant = is_enum && begins;
        let is_name = rest.starts_with(':');
        let is_keyword = ["pub", "super", "crate", "in", "a"].contains(&word.as_str());
        if !is_variant && !is_name && !is_keyword && !word.starts_with(|first: char| first.is_ascii_digit()) {
            found.insert(word);
        }
        begins = false;
    }
    found
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn fields_are_found_in_every_form() {
    let found = |text: &str| {
        let (name, fields) = declaration(text);
        (name, fields.into_iter().collect::<Vec<_>>().join(" "))
    };
    let pair = |name: &str, fields: &str| (name.to_owned(), fields.to_owned());
    assert_eq!(found("\nstruct Unit;"), pair("Unit", ""));
    assert_eq!(found(" pub struct A<'a>(pub(super) Vec<u8>, &'a [u8]);"), pair("A", "bytes"));
    assert_eq!(
        found(
            "pub enum B {\n Plain,\n #[error(\"{x}\", how(.0))]\n Held { x: String, y: [u8; 4] },\n Io(io::Error),\n}"
        ),
        pair("B", "Error String u8")
    );
    assert_eq!(found("struct C { pub a: &'static str, b: Option<Other> }"), pair("C", "Option Other bool"));
}
