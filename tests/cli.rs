//! The command line of the real program, where it needs neither a database nor AWS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program without the environment of the caller.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rds-auth-proxy"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn gen_cert(directory: &Path, hosts: &str) -> Output {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    run(&["gen-cert", "--certificate", certificate, "--key", key, "--hosts", hosts])
}

#[test]
fn gen_cert_writes_a_cert_pair_and_explains_its_use() {
    let directory = tempfile::tempdir().unwrap();
    let output = gen_cert(directory.path(), "proxy.internal,127.0.0.1");
    assert!(output.status.success(), "{}", stderr(&output));
    let certificate = fs::read_to_string(directory.path().join("cert.pem")).unwrap();
    let key = fs::read_to_string(directory.path().join("key.pem")).unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
    let text = stdout(&output);
    for word in [
        "private_key:",
        "root_certificate:",
        "proxy.internal, 127.0.0.1",
        "is valid for 825 days, until 20",
        "To renew it",
    ] {
        assert!(text.contains(word), "{text}");
    }
    assert!(!text.contains(key.lines().nth(1).unwrap()), "the key is printed");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_key() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    assert!(gen_cert(directory.path(), "a").status.success());
    let mode = |name| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("key.pem"), 0o600);
    assert_eq!(mode("cert.pem") & 0o022, 0);
}

#[test]
fn gen_cert_overwrites_neither_file() {
    for (existing, other) in [("cert.pem", "key.pem"), ("key.pem", "cert.pem")] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(existing), "precious").unwrap();
        let output = gen_cert(directory.path(), "a");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(existing) && stderr(&output).contains("not overwritten"));
        assert_eq!(fs::read_to_string(directory.path().join(existing)).unwrap(), "precious");
        assert!(!directory.path().join(other).exists());
    }
}

#[test]
fn gen_cert_reads_every_flag_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let output = program(&["gen-cert"])
        .env("RDS_AUTH_PROXY_CERTIFICATE", directory.path().join("c"))
        .env("RDS_AUTH_PROXY_KEY", directory.path().join("k"))
        .env("RDS_AUTH_PROXY_HOSTS", "one.internal,two.internal")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("one.internal, two.internal"));
}

#[test]
fn gen_cert_makes_a_ca_whose_key_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join("new").join(name);
    let ca = path("");
    let make = || run(&["gen-cert", "--ca", ca.to_str().unwrap(), "--clients", "a,b"]);
    let output = make();
    assert!(output.status.success(), "{}", stderr(&output));
    let mut files: Vec<_> =
        fs::read_dir(&ca).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["a.key", "a.pem", "b.key", "b.pem", "ca.pem", "server.key", "server.pem"]);
    let text = stdout(&output);
    for word in
        ["client_auth: require", "sslrootcert=", "sslcert=", "sslkey=", "for 825 days", "client_private_key:"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    #[cfg(unix)]
    for key in ["a.key", "b.key", "server.key"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path(key)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // A second run would make another CA.
    let before = fs::read(path("ca.pem")).unwrap();
    let output = make();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ca.pem exists and is not overwritten"), "{}", stderr(&output));
    assert_eq!(fs::read(path("ca.pem")).unwrap(), before);
    fs::remove_file(path("ca.pem")).unwrap();
    assert_eq!(make().status.code(), Some(1), "a key exists");
    assert!(!path("ca.pem").exists(), "a failure leaves no new file");
}

#[test]
fn gen_cert_needs_files_or_a_directory_and_not_both() {
    for arguments in [
        &["gen-cert"][..],
        &["gen-cert", "--certificate", "c"],
        &["gen-cert", "--ca", "d", "--certificate", "c", "--key", "k"],
        &["gen-cert", "--certificate", "c", "--key", "k", "--clients", "a"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let output = program(arguments).current_dir(&directory).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }
}

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell]);
        assert!(output.status.success(), "{shell}");
        let script = stdout(&output);
        assert!(script.contains("rds-auth-proxy") && script.contains("_RDS_AUTH_PROXY_COMPLETE"), "{shell}");
        // The archives have scripts that were made on another machine.
        let program = env!("CARGO_BIN_EXE_rds-auth-proxy");
        assert!(!script.contains(program.trim_end_matches("rds-auth-proxy")), "{shell}");
    }
}

/// Go program: cmd/completion.go.
#[test]
fn completion_without_a_shell_prints_bash_and_zsh() {
    let [bash, zsh, both] =
        [&["completion", "bash"][..], &["completion", "zsh"], &["completion"]].map(|line| stdout(&run(line)));
    assert!(both.starts_with(&bash) && both.ends_with(&zsh), "{both}");
}

/// A line of `~/.bash_profile` that works with the Go program.
#[cfg(target_os = "linux")]
#[test]
fn bash_reads_the_completion_without_a_shell() {
    let line = format!(
        "source <('{}' completion); complete -p rds-auth-proxy",
        env!("CARGO_BIN_EXE_rds-auth-proxy")
    );
    let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("complete "), "{}", stdout(&output));
}

/// Go program: cmd/root.go has no `Run`, so cobra prints the help.
#[test]
fn no_arguments_mean_help() {
    let output = run(&[]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let text = stdout(&output);
    assert!(text.contains("Usage: rds-auth-proxy") && text.contains("  server "), "{text}");
    assert_eq!(text, stdout(&run(&["--help"])));
}

/// As spf13/cobra and spf13/pflag read the arguments: flags in any place, the last one counts, an empty one is not set.
#[test]
fn arguments_of_the_go_program_are_read_as_there() {
    let directory = tempfile::tempdir().unwrap();
    let errors = |line: &[&str]| {
        let output = program(line).current_dir(&directory).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        stderr(&output)
    };
    for line in [
        &["server", "--configfile", "a.yaml", "--configfile=b.yaml"][..],
        &["--configfile", "b.yaml", "server"],
        &["--configfile=b.yaml", "client", "--password", "-x"],
        &["client", "--target", "", "--configfile", "b.yaml", "--password", "", "--proxy-target="],
    ] {
        assert!(
            errors(line).contains("the configuration file b.yaml does not exist; correct --configfile"),
            "{line:?}: {}",
            errors(line)
        );
    }
    for line in
        [&["server", "--configfile", ""][..], &["client", "--configfile="], &["--configfile", "", "server"]]
    {
        assert!(errors(line).contains("looked for ./config.yaml"), "{line:?}: {}", errors(line));
    }
}

#[test]
fn version_has_a_text_and_a_json_form() {
    let text = stdout(&run(&["version"]));
    let lines: Vec<_> = text.lines().collect();
    // Go program: cmd/version.go.
    assert_eq!(lines[0], format!("rds-auth-proxy: {}", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("date: "), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&run(&["version", "--output", "json"]).stdout).unwrap();
    assert_eq!(json["name"], "rds-auth-proxy");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    for key in ["commit", "date"] {
        let value = json[key].as_str().unwrap();
        assert!(!value.is_empty() && text.contains(value), "{text}");
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let output = program(&["version"]).env("RDS_AUTH_PROXY_OUTPUT", "").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn usage_errors_go_to_stderr_with_code_2() {
    for (arguments, expected) in [
        (&["clinet"][..], "some similar subcommands exist: 'init', 'client'"),
        (&["client", "--traget", "x"], "a similar argument exists: '--target'"),
        (&["completion", "tcsh"], "possible values: bash, elvish, fish, powershell, zsh"),
        (&["gen-cert"], "--certificate <PATH>"),
        (&["gen-cert", "--certificate", "same", "--key", "same"], "must be two files"),
        (&["client", "--password", "hunter2", "--password-file", "f"], "cannot be used with"),
        (&["server", "word"], "unexpected argument 'word'"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let text = stderr(&output);
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn an_error_is_one_sentence() {
    let output = run(&["gen-cert", "--certificate", "same", "--key", "same"]);
    assert_eq!(stderr(&output), "error: --certificate and --key must be two files\n");
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["client", "--help"],
        &["server", "--help"],
        &["gen-cert", "--help"],
        &["completion", "--help"],
        &["version", "--help"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        let (_, examples) = text.split_once("Examples:\n").unwrap_or_else(|| panic!("{text}"));
        assert!(examples.contains("rds-auth-proxy "), "{text}");
    }
}

#[test]
fn help_does_not_show_the_password_of_the_environment() {
    let output = program(&["client", "--help"]).env("RDS_AUTH_PROXY_PASSWORD", "hunter2").output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("RDS_AUTH_PROXY_PASSWORD") && !text.contains("hunter2"), "{text}");
}

#[test]
fn an_invalid_filter_is_a_usage_error() {
    let output = program(&["server"]).env("RUST_LOG", "a=b=c").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: RUST_LOG is \"a=b=c\""), "{}", stderr(&output));
}

/// Go program: `unmarshalLevel` in pkg/log/log.go takes it as info.
#[test]
fn an_unknown_log_level_is_reported_once_and_counts_as_info() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let text = format!(
        "proxy: {{{ENDS}, log_level: error}}\nrds: {{enabled: false}}\nupstream_proxies: {{default: {{host: 'a:1'}}}}\n\
         targets: {{db: {{host: 'a:1'}}}}\n"
    );
    fs::write(&path, text).unwrap();
    for mode in [&["server"][..], &["client", "--target", "db"]] {
        let mut command = program(mode);
        command.args(["--configfile", path.to_str().unwrap()]);
        let output = command.env("LOG_LEVEL", "loud").env("DEBUG", "true").output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert_eq!(text.matches("it counts as info").count(), 1, "{text}");
        assert!(text.contains("loud") && text.contains("the configuration was loaded"), "{text}");
    }
}

/// Go program: `NewLogger` in pkg/log/log.go. The program `script` provides a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_server_with_debug_logs_for_people_on_a_terminal_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    fs::write(&path, format!("proxy: {{{ENDS}}}\nrds: {{enabled: false}}\n")).unwrap();
    let line = format!("'{}' server --configfile '{}'", env!("CARGO_BIN_EXE_rds-auth-proxy"), path.display());
    let log = |terminal: bool, debug: &str| {
        let mut command = if terminal { Command::new("script") } else { Command::new("sh") };
        if terminal {
            command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        } else {
            command.args(["-c", &line]);
        }
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("DEBUG", debug);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains("the configuration was loaded"), "{text}");
        text
    };
    for (terminal, debug, json) in
        [(true, "true", false), (true, "", true), (true, "app:*", true), (false, "true", true)]
    {
        let text = log(terminal, debug);
        assert_eq!(text.contains("{\"timestamp\""), json, "{terminal} {debug}: {text}");
    }
}

#[test]
fn an_error_in_a_configuration_that_was_found_says_that_it_was_not_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.yaml"), "database: {url: x}\n").unwrap();
    for mode in ["client", "server", "healthcheck"] {
        let errors_of = |flags: &[&str]| {
            let output = program(&[&[mode], flags].concat()).current_dir(&directory).output().unwrap();
            assert_eq!(output.status.code(), Some(2));
            stderr(&output)
        };
        let found = errors_of(&[]);
        assert!(found.contains("config.yaml:1:1: database: there is no such key"), "{found}");
        assert!(found.ends_with("; this file was found, not named: --configfile takes another\n"), "{found}");
        assert!(!errors_of(&["--configfile", "config.yaml"]).contains("--configfile"));
    }
}

/// It cannot listen there, so it ends after the first lines of its log.
const ENDS: &str = "listen_addr: 'unix:/nowhere/at/all'";

/// Go program: yaml.v2 behind spf13/viper 1.8.1.
#[test]
fn anchors_and_booleans_of_yaml_1_1_are_read_and_the_words_reported() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "\u{feff}x-ssl: &ssl {{mode: verify-full}}\nproxy:\n  {ENDS}\n  ssl: {{enabled: yes}}\nrds: {{enabled: off}}\n\
         targets:\n  a: {{host: 'a:1', ssl: {{mode: require, <<: *ssl}}}}\n"
    );
    fs::write(directory.path().join("config.yaml"), text).unwrap();
    let output = program(&["server"]).current_dir(&directory).output().unwrap();
    let log = stderr(&output);
    assert!(log.contains("the configuration was loaded") && log.contains("cannot listen on"), "{log}");
    for (text, key) in [
        ("this boolean is read as true; write true", "proxy.ssl.enabled"),
        ("this boolean is read as false; write false", "rds.enabled"),
        ("put << first", "targets.a.ssl.mode"),
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!((&line["key"], &line["level"]), (&key.into(), &"WARN".into()));
    }
}

/// Go program: `LoadConfig` in pkg/config/config.go.
#[test]
fn json_is_found_by_its_name_and_another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let log = || stderr(&program(&["server"]).current_dir(&directory).output().unwrap());
    file("config.toml", "[proxy]\n");
    assert!(
        log().contains("config.toml is TOML by its name, and this program reads YAML and JSON; convert"),
        "{}",
        log()
    );
    file(
        "config.json",
        &format!(
            "{{\n\t\"proxy\": {{\"{}}},\n\t\"rds\": {{\"enabled\": false}}}}\n",
            ENDS.replace(": '", "\": \"").replace('\'', "\"")
        ),
    );
    assert!(log().contains("config.json") && log().contains("cannot listen on"), "{}", log());
    file("config.yaml", "proxi: {}\n");
    assert!(log().contains("config.yaml:1:1: proxi"), "{}", log());
}

/// A flag overrides every variable, that of the flag it excludes too. Two variables exclude each other.
#[test]
fn a_password_flag_overrides_the_variable_of_the_other_flag() {
    let errors_of = |flags: &[&str]| {
        let output = program(&[&["client", "--configfile", "nowhere.yaml"], flags].concat())
            .env("RDS_AUTH_PROXY_PASSWORD", "hunter2")
            .env("RDS_AUTH_PROXY_PASSWORD_FILE", "no-such-file")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    for flags in [&["--password", "other"][..], &["--password=other"]] {
        assert!(
            errors_of(flags).starts_with("error: the configuration file nowhere.yaml does not exist"),
            "{}",
            errors_of(flags)
        );
    }
    for flags in [&["--password-file", "another-file"][..], &["--password-file=another-file"]] {
        assert!(
            errors_of(flags).starts_with("error: the password file another-file cannot be read"),
            "{}",
            errors_of(flags)
        );
    }
    for flags in [&[][..], &["--password", "a", "--password-file", "b"]] {
        assert!(
            errors_of(flags).contains("cannot be used with") && !errors_of(flags).contains("hunter2"),
            "{}",
            errors_of(flags)
        );
    }
}

/// DEBUG belongs to other programs too, with values such as `app:*`.
#[test]
fn a_debug_variable_of_another_program_is_ignored() {
    let output = program(&["server", "--configfile", "nowhere.yaml"]).env("DEBUG", "app:*").output().unwrap();
    assert!(
        stderr(&output).starts_with("error: the configuration file nowhere.yaml does not exist"),
        "{}",
        stderr(&output)
    );
}

/// `/dev/full` accepts no byte. A pipe that its reader has closed is no error.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error_except_to_a_closed_pipe() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = program(&["completion", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: standard output cannot be written"));

    let mut child =
        program(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

/// A file in the working directory could come with a cloned repository.
#[test]
fn a_client_reads_the_file_of_the_user_first() {
    let root = tempfile::tempdir().unwrap();
    let [here, home] = ["here", "home"].map(|name| root.path().join(name));
    let own = home.join(".config/rds-auth-proxy");
    fs::create_dir_all(&own).unwrap();
    fs::create_dir(&here).unwrap();
    let program = |mode: &str, path: &Path, text: &str| {
        fs::write(path, text).unwrap();
        let output = program(&[mode]).current_dir(&here).env("HOME", &home).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let warning = "your own directory has no configuration, so that of the working directory applies";
    let hidden = "proxy: {log_level: error}\nhere: 1\n";
    for name in ["config.yaml", "config.yml"] {
        let path = here.join(name);
        let told = program("client", &path, hidden);
        assert!(told.contains(&format!("{name}:2:1: here: there is no such key")), "{told}");
        let warned = told.lines().find(|line| line.contains(warning)).unwrap_or_else(|| panic!("{told}"));
        assert!(warned.contains(&format!("/here/{name}")), "{told}");
        for mode in ["server", "healthcheck"] {
            assert!(!program(mode, &path, hidden).contains(warning));
        }

        for own in ["config.yaml", "config.yml"].map(|name| own.join(name)) {
            let told = program("client", &own, "own: 1\n");
            assert!(told.contains(&format!("{}:1:1: own: there is no such key", own.display())), "{told}");
            assert!(
                told.ends_with("; this file was found, not named: --configfile takes another\n"),
                "{told}"
            );
            assert!(!told.contains(warning), "{told}");
            for mode in ["server", "healthcheck"] {
                let told = program(mode, &own, "own: 1\n");
                assert!(told.contains(&format!("{name}:2:1: here: there is no such key")), "{told}");
            }
            fs::remove_file(own).unwrap();
        }
        fs::remove_file(path).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_broken_link_in_the_directory_of_the_user_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join(".config/rds-auth-proxy");
    fs::create_dir_all(&own).unwrap();
    std::os::unix::fs::symlink("dotfiles/proxy.yaml", own.join("config.yaml")).unwrap();
    fs::write(root.path().join("config.yaml"), "proxy: {}\n").unwrap();
    let output = program(&["client"]).current_dir(&root).env("HOME", root.path()).output().unwrap();
    let told = stderr(&output);
    let expected = format!(
        "error: the configuration file {} cannot be read: it is a link to dotfiles/proxy.yaml, which does not exist",
        own.join("config.yaml").display()
    );
    assert!(output.status.code() == Some(2) && told.starts_with(&expected), "{told}");
}

#[test]
fn an_id_that_is_no_id_gets_the_command_that_lists_them() {
    for id in ["x", "1.5", "99999999999999999999"] {
        let output = run(&["sessions", "end", id]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.starts_with(&format!("error: invalid value '{id}' for '<ID>': ")), "{text}");
        assert!(text.contains("expected a number; `rds-auth-proxy sessions` lists them"), "{text}");
    }
}

/// The commands below this one, as its help lists them.
fn commands(path: &[String]) -> Vec<Vec<String>> {
    let words: Vec<_> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = stdout(&run(&words));
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let names =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let own = names.filter(|name| *name != "help").map(|name| [path, &[name.to_owned()]].concat());
    own.flat_map(|path| [vec![path.clone()], commands(&path)].concat()).collect()
}

#[test]
fn every_command_has_a_manual_page_and_every_named_page_exists() {
    let directory = tempfile::tempdir().unwrap();
    assert!(run(&["man", directory.path().to_str().unwrap()]).status.success());
    let commands = commands(&[]);
    assert!(commands.len() > 10 && commands.contains(&vec!["sessions".into(), "end".into()]), "{commands:?}");
    let mut expected: Vec<_> =
        commands.iter().map(|path| format!("rds-auth-proxy-{}.1", path.join("-"))).collect();
    expected.push("rds-auth-proxy.1".into());
    expected.sort();
    let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut pages: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    pages.sort();
    assert_eq!(pages, expected);
    for page in &pages {
        let text = fs::read_to_string(directory.path().join(page)).unwrap().replace('\\', "");
        let others =
            text.lines().filter_map(|line| line.strip_suffix("(1)")).filter(|line| !line.contains(' '));
        for other in others {
            assert!(pages.contains(&format!("{other}.1")), "{page} names {other}");
        }
    }
}
