//! Variables and files as the AWS CLI (1.46, botocore 1.44) reads them.

use super::*;

const KEYS: &str = "aws_access_key_id = AKIDFILE\naws_secret_access_key = s\n";

fn identity(files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    Proxy::start(home(files).path(), variables).identity()
}

/// A Kubernetes secret that was made from a file ends with a line end. The SDK panicked over it.
#[test]
fn keys_may_end_with_a_line_end() {
    let home = home(&[]);
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV\n"),
        ("AWS_SECRET_ACCESS_KEY", "s\r\n"),
        ("AWS_SESSION_TOKEN", " t\n"),
    ];
    let token = Proxy::start(home.path(), &variables).mint()["token"].as_str().unwrap().to_owned();
    assert!(token.contains("X-Amz-Credential=AKIDENV%2F") && token.contains("Security-Token=t&"), "{token}");
    let answer =
        r#"{"Version": 1, "AccessKeyId": "AKIDPROC\n", "SecretAccessKey": "s\n", "SessionToken": "\r\n"}"#;
    write(home.path(), "keys.json", answer);
    write(
        home.path(),
        ".aws/config",
        &format!("[default]\ncredential_process = {PRINT} {}/keys.json\n", home.path().display()),
    );
    assert_eq!(Proxy::start(home.path(), &[]).identity(), "AKIDPROC");
}

#[test]
fn a_key_that_no_request_can_carry_is_named() {
    let empty = home(&[]);
    let mut variables = vec![("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hun\nter2")];
    let (reason, remedy) = Proxy::start(empty.path(), &variables).error();
    assert_eq!(reason, "AWS_SECRET_ACCESS_KEY has white space or a control character within an AWS key");
    assert_eq!(remedy, "copy the key again, on one line");
    variables[1] = ("AWS_SECRET_ACCESS_KEY", "s");
    variables.push(("AWS_SESSION_TOKEN", "hun\u{7f}ter2"));
    assert!(Proxy::start(empty.path(), &variables).error().0.starts_with("AWS_SESSION_TOKEN has"));
    let file = home(&[(
        ".aws/credentials",
        "[default]\naws_access_key_id = AKID\naws_secret_access_key = hun\n  ter2\n",
    )]);
    let (reason, _) = Proxy::start(file.path(), &[]).error();
    assert!(
        reason.starts_with("aws_secret_access_key of the profile \"default\" has white space"),
        "{reason}"
    );
    let base = "[default]\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = base\n[base]\naws_access_key_id = AK ID\naws_secret_access_key = s\n";
    let (reason, _) = Proxy::start(home(&[(".aws/credentials", base)]).path(), &[]).error();
    assert!(reason.starts_with("aws_access_key_id of the profile \"base\" has white space"), "{reason}");
    let answer = r#"{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "hun\nter2"}"#;
    let process = home(&[("keys.json", answer)]);
    write(
        process.path(),
        ".aws/config",
        &format!("[default]\ncredential_process = {PRINT} {}/keys.json\n", process.path().display()),
    );
    let (reason, _) = Proxy::start(process.path(), &[]).error();
    assert!(reason.starts_with("the profile \"default\" has white space"), "{reason}");
}

#[test]
fn files_are_read_as_python_reads_them() {
    for text in [
        "[default]\r\naws_access_key_id = AKIDFILE\r\naws_secret_access_key = s\r\n",
        "[default]\raws_access_key_id = AKIDFILE\raws_secret_access_key = s\r",
        "[default]\n  aws_access_key_id = AKIDFILE\n  aws_secret_access_key = s\n",
        "[default]\naws_access_key_id: AKIDFILE\naws_secret_access_key: s\n",
        "[DEFAULT]\naws_access_key_id = AKIDFILE\n[default]\naws_secret_access_key = s\n",
        "[default] ; mine\nAWS_ACCESS_KEY_ID = AKIDFILE\n  # old\naws_secret_access_key = s\naws_session_token =\n",
        "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\ns3 =\n  broken\n  a = b\n",
        "\u{feff}[default]\naws_access_key_id = AKIDFILE # mine\naws_secret_access_key = s\n",
    ] {
        assert_eq!(identity(&[(".aws/credentials", text)], &[]), "AKIDFILE", "{text:?}");
        assert_eq!(identity(&[(".aws/config", text)], &[]), "AKIDFILE", "{text:?}");
    }
}

#[test]
fn empty_variables_count_as_unset() {
    let home = home(&[
        (".aws/credentials", &format!("[default]\n{KEYS}")),
        (".aws/config", "[default]\nregion =\n"),
    ]);
    let empty = [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CA_BUNDLE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
    ]
    .map(|name| (name, ""));
    assert_eq!(Proxy::start(home.path(), &empty).identity(), "AKIDFILE");
    let listed =
        Proxy::start(home.path(), &[&empty[..], &[("AWS_REGION", "")]].concat()).send("list").to_string();
    assert!(listed.contains("no AWS region is set") && !listed.contains("rds.regions` is not"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_region_has_the_sources_of_the_aws_cli() {
    let fake = FakeAws::start(|call| {
        let action = call.action();
        (200, format!("<{action}Response><{action}Result></{action}Result></{action}Response>"))
    })
    .await;
    let config = "[default]\nregion = eu-west-3\n[profile \"my dev\"]\nregion = eu-west-2\n";
    let credentials = format!("[default]\n{KEYS}[my dev]\n{KEYS}");
    let home = home(&[(".aws/config", config), (".aws/credentials", &credentials)]);
    for (variables, expected) in [
        (&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1\n")][..], "eu-west-1"),
        (&[("AWS_REGION", "")], "eu-west-3"),
        (&[("AWS_REGION", ""), ("AWS_DEFAULT_PROFILE", "my dev")], "eu-west-2"),
        (&[("AWS_REGION", "us-west-2"), ("AWS_DEFAULT_REGION", "eu-west-1")], "us-west-2"),
    ] {
        let endpoint = [("AWS_ENDPOINT_URL", fake.url())];
        let listed = Proxy::start(home.path(), &[variables, &endpoint].concat()).send("list");
        assert_eq!(listed["listed"], "Ok(0)", "{listed}");
        assert_eq!(fake.calls().last().unwrap().region, expected);
    }
}

#[test]
fn an_error_about_the_region_names_its_source() {
    let home = home(&[(".aws/credentials", &format!("[default]\n{KEYS}region = Europe\n"))]);
    for (variables, expected) in [
        (&[("AWS_REGION", "nonsense")][..], "\\\"nonsense\\\" in AWS_REGION is not an AWS region"),
        (&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "x")], "\\\"x\\\" in AWS_DEFAULT_REGION is not"),
        (&[("AWS_REGION", "")], "\\\"Europe\\\" in `region` of the AWS profile \\\"default\\\" is not"),
    ] {
        let listed = Proxy::start(home.path(), variables).send("list").to_string();
        assert!(listed.replace("\\\\\\\"", "\\\"").contains(expected), "{listed}");
    }
}

#[test]
fn names_of_profiles_may_have_spaces() {
    let credentials = format!("[my dev]\n{KEYS}");
    for config in ["", "[profile \"my dev\"]\nregion = a-1\n", "[profile my dev]\n"] {
        let files = [(".aws/config", config), (".aws/credentials", credentials.as_str())];
        for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            assert_eq!(identity(&files, &[(name, "my dev")]), "AKIDFILE", "{config}");
        }
    }
}

#[test]
fn a_command_may_have_the_signs_of_comments() {
    let home = home(&[]);
    let answer = r#"{\"Version\": 1, \"AccessKeyId\": \"AKIDSHELL\", \"SecretAccessKey\": \"s\"}"#;
    let config = format!("[default]\ncredential_process = sh -c 'true ; echo \"{answer}\" ; true # end'\n");
    write(home.path(), ".aws/config", &config);
    assert_eq!(Proxy::start(home.path(), &[]).identity(), "AKIDSHELL");
}

/// botocore: "Unable to parse config file".
#[test]
fn an_error_in_a_file_names_file_and_line() {
    let home = home(&[(".aws/config", "[default]\nregion = us-east-1\naws_secret_access_key hunter2\n")]);
    let mut proxy = Proxy::start(home.path(), &[]);
    let (reason, remedy) = proxy.error();
    let path = home.path().join(".aws/config");
    assert_eq!(reason, format!("the AWS file {} cannot be read: line 3: no = behind a key", path.display()));
    assert_eq!(remedy, "correct that line");
    let listed = Proxy::start(home.path(), &[("AWS_REGION", "")]).send("list").to_string();
    assert!(listed.contains("no AWS region can be read: ") && listed.contains("line 3"), "{listed}");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(
        Proxy::start(home.path(), &keys).identity(),
        "AKIDENV",
        "keys in the environment need no file"
    );
    write(home.path(), ".aws/config", &format!("[default]\n{KEYS}"));
    assert_eq!(proxy.identity(), "AKIDFILE", "a corrected file is read without a restart");
}

/// botocore: "The config profile (dev) could not be found".
#[test]
fn a_profile_that_no_file_has_is_named() {
    let home = home(&[(".aws/config", "[profile one]\n[profile \"my dev\"]\n[dev]\n")]);
    let file = |name: &str| home.path().join(".aws").join(name).display().to_string();
    let (config, credentials) = (file("config"), file("credentials"));
    let (reason, remedy) = Proxy::start(home.path(), &[("AWS_PROFILE", "prod")]).error();
    assert_eq!(reason, format!("the AWS profile \"prod\" is neither in {config} nor in {credentials}"));
    assert_eq!(remedy, "use one of these: my dev, one");
    let listed =
        Proxy::start(home.path(), &[("AWS_PROFILE", "prod"), ("AWS_REGION", "")]).send("list").to_string();
    assert!(listed.contains("is neither in") && listed.contains("use one of these: my dev, one"), "{listed}");
    let empty = tempfile::tempdir().unwrap();
    let (_, remedy) = Proxy::start(empty.path(), &[("AWS_PROFILE", "prod")]).error();
    assert_eq!(remedy, "there is no profile yet; make one with `aws configure sso --profile prod`");
    let (_, remedy) = Proxy::start(home.path(), &[("AWS_PROFILE", "dev")]).error();
    assert_eq!(remedy, format!("write [profile dev] in place of [dev] in {config}"));
}

/// botocore: "Invalid endpoint: localhost:4566".
#[test]
fn an_endpoint_without_a_scheme_is_a_sentence() {
    let sentence = "which is not a URL; write http://HOST:PORT or https://HOST:PORT";
    let with_keys = home(&[(".aws/credentials", &format!("[default]\n{KEYS}"))]);
    let mut proxy = Proxy::start(with_keys.path(), &[("AWS_ENDPOINT_URL", "localhost:4566")]);
    let listed = proxy.send("list").to_string();
    assert!(
        listed.contains("AWS_ENDPOINT_URL is")
            && listed.contains("localhost:4566")
            && listed.contains(sentence),
        "{listed}"
    );
    let (reason, remedy) = proxy.error();
    assert_eq!(format!("{reason}; {remedy}"), format!("AWS_ENDPOINT_URL is \"localhost:4566\", {sentence}"));
    for config in
        ["endpoint_url = h:1\n", "services = local\n[services local]\nrds =\n  endpoint_url = h:1\n"]
    {
        let home = home(&[(".aws/config", &format!("[default]\n{KEYS}{config}"))]);
        let listed = Proxy::start(home.path(), &[]).send("list").to_string();
        assert!(listed.contains("endpoint_url of the AWS profile") && listed.contains(sentence), "{listed}");
        let ignored =
            Proxy::start(home.path(), &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]).identity();
        assert_eq!(ignored, "AKIDFILE");
    }
}

/// A laptop without a network: no new login and no new keys help.
#[test]
fn an_unreachable_aws_is_not_a_reason_to_log_in() {
    let role = format!(
        "[default]\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = base\n[profile base]\n{KEYS}"
    );
    let sso = "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dba\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n";
    let session = |expiry: &str| {
        format!(
            "{{\"accessToken\": \"a\", \"expiresAt\": \"{expiry}\", \"refreshToken\": \"r\", \"clientId\": \"c\", \
             \"clientSecret\": \"s\", \"registrationExpiresAt\": \"2090-01-01T00:00:00Z\", \"region\": \"us-east-1\"}}"
        )
    };
    let cached = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    for files in [
        vec![(".aws/config", role)],
        vec![(".aws/config", sso.to_owned()), (cached, session("2090-01-01T00:00:00Z"))],
        vec![(".aws/config", sso.to_owned()), (cached, session("2020-01-01T00:00:00Z"))],
    ] {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let (reason, remedy) =
            Proxy::start(home(&files).path(), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).error();
        assert!(
            reason.starts_with("AWS could not be reached for the credentials of the profile"),
            "{reason}"
        );
        assert_eq!(remedy, "check the network, DNS, the VPN, and HTTPS_PROXY and NO_PROXY");
    }
}
