//! The sources of a client's AWS credentials, besides environment variables and files.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::ports::free_port;
use crate::support::proxy::Launch;
use crate::support::runtime;
use crate::support::world::{Running, refusal};

pub(crate) const LATER: &str = "2090-01-01T00:00:00Z";

/// The access token of a session at the sign-on portal.
pub(crate) const PORTAL_TOKEN: &str = "portal-token-that-must-stay-secret";

/// The cache file of the session `work-session`: the SHA-1 of its name.
pub(crate) const SESSION_FILE: &str = "e460ecf101daf4f10acff1ae5e54abb7df6501f8.json";

/// The launch of a client without an access key in its environment.
pub(crate) fn without_keys(world: &Running, flags: &[&str]) -> Launch {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    without(world.client_launch(flags), &keys)
}

fn without(mut launch: Launch, variables: &[&str]) -> Launch {
    launch.environment.retain(|(name, _)| !variables.contains(&name.as_str()));
    launch
}

/// Starts a client without an access key in its environment, logs in, and expects a token of `key`.
async fn logs_in_with(world: &Running, key: &AccessKey, prepare: impl FnOnce(Launch) -> Launch) {
    let client = world.start_proxy(prepare(without_keys(world, &[]))).await;
    drop(client.config("alice").connect(NoTls).await.unwrap());
    let tokens = world.rds().tokens();
    assert!(tokens.last().unwrap().contains(&key.id), "{tokens:?}");
}

async fn world() -> (Running, AccessKey) {
    let world = World::new().without_client().start().await;
    let key = AccessKey::session(Duration::from_hours(1));
    world.identities.add(key.clone());
    (world, key)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = runtime::within(TcpListener::bind("127.0.0.1:0")).await.unwrap();
    let address = listener.local_addr().unwrap();
    runtime::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The portal of IAM Identity Center, which returns this key to a session.
pub(crate) async fn portal(key: &AccessKey) -> SocketAddr {
    let answer = json!({"roleCredentials": {
        "accessKeyId": key.id, "secretAccessKey": key.secret, "sessionToken": key.session_token,
        "expiration": 3_786_912_000_000_u64,
    }})
    .to_string();
    let credentials = |headers: HeaderMap| async move {
        if headers.get("x-amz-sso_bearer_token").is_some_and(|token| token == PORTAL_TOKEN) {
            return answer.into_response();
        }
        StatusCode::UNAUTHORIZED.into_response()
    };
    serve(Router::new().route("/federation/credentials", get(credentials))).await
}

/// A Kubernetes secret made from a file, and empty variables of a template.
#[tokio::test]
async fn credentials_from_variables_with_line_ends() {
    let (world, key) = world().await;
    let with_end = |value: &str| format!("{value}\r\n");
    logs_in_with(&world, &key, |launch| {
        let launch = ["AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "HTTPS_PROXY", "AWS_CONFIG_FILE"]
            .into_iter()
            .fold(launch, |launch, name| launch.env(name, ""));
        launch
            .env("AWS_ACCESS_KEY_ID", with_end(&key.id))
            .env("AWS_SECRET_ACCESS_KEY", with_end(&key.secret))
            .env("AWS_SESSION_TOKEN", with_end(key.session_token.as_deref().unwrap()))
    })
    .await;
    world.stop().await;
}

/// As for the AWS CLI, `--profile` comes before keys in the environment, and `aws.profile` does too.
#[tokio::test]
async fn credentials_from_a_profile_that_a_flag_or_the_configuration_names() {
    let (world, key) = world().await;
    let file = world.directory.join("profiles");
    let token = key.session_token.as_deref().unwrap();
    let keys = format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {token}\n",
        key.id, key.secret
    );
    fs::write(&file, format!("[work]\n{keys}")).unwrap();
    // The keys of the environment are good too, and those of another identity.
    let launch = |flags: &[&str]| {
        let launch = world.client_launch(flags).env("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
        launch.env("AWS_PROFILE", "absent")
    };
    let logs_in = async |launch: Launch, id: &str| {
        let client = world.start_proxy(launch).await;
        drop(client.config("alice").connect(NoTls).await.unwrap());
        let tokens = world.rds().tokens();
        assert!(tokens.last().unwrap().contains(id), "{tokens:?}");
    };
    logs_in(launch(&[]), &world.key.id).await;
    logs_in(launch(&["--profile", "work"]), &key.id).await;
    let path = world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\naws: {{profile: work}}\n")).unwrap();
    logs_in(launch(&[]), &key.id).await;
    world.stop().await;
}

/// The endpoint of ECS and of EKS Pod Identity.
#[tokio::test]
async fn credentials_from_a_container_agent() {
    let (world, key) = world().await;
    let answer = json!({
        "AccessKeyId": key.id, "SecretAccessKey": key.secret, "Token": key.session_token, "Expiration": LATER,
    })
    .to_string();
    let agent = serve(Router::new().route("/v1/credentials", get(|| async { answer }))).await;
    logs_in_with(&world, &key, |launch| {
        launch.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{agent}/v1/credentials"))
    })
    .await;
    world.stop().await;
}

/// The metadata of EC2, version 2, which requires a session token.
#[tokio::test]
async fn credentials_from_an_instance_profile() {
    let (world, key) = world().await;
    let answer = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": LATER,
        "AccessKeyId": key.id, "SecretAccessKey": key.secret, "Token": key.session_token,
    })
    .to_string();
    let token = || async { ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], "a-token") };
    let metadata = serve(
        Router::new()
            .route("/latest/api/token", put(token))
            .route("/latest/meta-data/iam/security-credentials/", get(|| async { "a-role" }))
            .route("/latest/meta-data/iam/security-credentials/a-role", get(|| async { answer })),
    )
    .await;
    logs_in_with(&world, &key, |launch| {
        launch
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{metadata}"))
    })
    .await;
    world.stop().await;
}

/// IRSA: a token of the cluster in a file, and STS.
#[tokio::test]
async fn credentials_from_a_web_identity() {
    let (world, key) = world().await;
    let AccessKey { id, secret, session_token, .. } = &key;
    let session_token = session_token.clone().unwrap();
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{session_token}</SessionToken>\
         <Expiration>{LATER}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    );
    let assume = |body: String| async move {
        let expected = ["Action=AssumeRoleWithWebIdentity", "WebIdentityToken=token-of-the-cluster"];
        if expected.iter().all(|part| body.contains(part)) {
            return answer.into_response();
        }
        StatusCode::BAD_REQUEST.into_response()
    };
    let sts = serve(Router::new().route("/", post(assume))).await;
    let file = world.directory.join("web-identity");
    fs::write(&file, "token-of-the-cluster").unwrap();
    logs_in_with(&world, &key, |launch| {
        launch
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap())
            .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/test")
            .env("AWS_ENDPOINT_URL_STS", format!("http://{sts}"))
    })
    .await;
    world.stop().await;
}

/// After `aws sso login`: a session in the cache, and the portal that returns credentials for it.
#[tokio::test]
async fn credentials_from_single_sign_on() {
    let (world, key) = world().await;
    let portal = portal(&key).await;
    world.add_secret(PORTAL_TOKEN);
    let cache = world.directory.join(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    let session = json!({"accessToken": PORTAL_TOKEN, "expiresAt": LATER, "region": "us-east-1"});
    fs::write(cache.join(SESSION_FILE), session.to_string()).unwrap();
    let config = world.directory.join("aws-config");
    write_profile(
        &config,
        "sso_session = work-session\nsso_account_id = 123456789012\nsso_role_name = developer\n\
         [sso-session work-session]\nsso_region = us-east-1\nsso_start_url = https://login.example.com/start\n",
    );
    logs_in_with(&world, &key, |launch| {
        launch
            .env("HOME", world.directory.to_str().unwrap())
            .env("AWS_CONFIG_FILE", config.to_str().unwrap())
            .env("AWS_PROFILE", "work")
            .env("AWS_ENDPOINT_URL_SSO", format!("http://{portal}"))
    })
    .await;
    world.stop().await;
}

/// A program that prints credentials, named in a profile.
#[tokio::test]
async fn credentials_from_a_credential_process() {
    let (world, key) = world().await;
    let answer = json!({
        "Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret,
        "SessionToken": key.session_token, "Expiration": LATER,
    });
    let output = world.directory.join("process.json");
    fs::write(&output, answer.to_string()).unwrap();
    let config = world.directory.join("aws-config");
    write_profile(&config, &format!("credential_process = cat {}\n", output.display()));
    logs_in_with(&world, &key, |launch| {
        launch.env("AWS_CONFIG_FILE", config.to_str().unwrap()).env("AWS_PROFILE", "work")
    })
    .await;
    world.stop().await;
}

/// A slow credential process runs once for all waiting connections, and each of them receives its error.
#[tokio::test]
async fn a_failing_credential_process_runs_once_for_many_connections() {
    let world = World::new().without_client().start().await;
    let runs = world.directory.join("runs");
    let config = world.directory.join("aws-config");
    let client = {
        let answer = json!({"Version": 1, "AccessKeyId": world.key.id, "SecretAccessKey": world.key.secret});
        let output = world.directory.join("process.json");
        fs::write(&output, answer.to_string()).unwrap();
        write_profile(&config, &format!("credential_process = cat {}\n", output.display()));
        let launch = without_keys(&world, &["--direct"]);
        world
            .start_proxy(launch.env("AWS_CONFIG_FILE", config.to_str().unwrap()).env("AWS_PROFILE", "work"))
            .await
    };
    let command = format!("echo run >> {}; sleep 4; echo no card in the reader >&2; exit 1", runs.display());
    write_profile(&config, &format!("credential_process = {command}\n"));
    let begin = Instant::now();
    let (a, b, c, d) = tokio::join!(
        refusal(&client, "alice"),
        refusal(&client, "alice"),
        refusal(&client, "alice"),
        refusal(&client, "alice")
    );
    for error in [a, b, c, d] {
        assert!(error.message().contains("no card in the reader"), "{error}");
    }
    // Two sequential runs would take 8 s; the handshake timeout is 15 s.
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n");
    world.stop().await;
}

/// A profile that assumes a role and names no region; the configuration names one.
#[tokio::test]
async fn credentials_from_an_assumed_role_in_the_region_of_the_configuration() {
    let world =
        World::new().with_client("rds: {regions: [eu-west-1, us-east-1]}").without_client().start().await;
    let key = AccessKey::session(Duration::from_hours(1));
    world.identities.add(key.clone());
    let AccessKey { id, secret, session_token, .. } = &key;
    let session_token = session_token.clone().unwrap();
    let answer = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{session_token}</SessionToken><Expiration>{LATER}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    );
    let assume = |headers: HeaderMap| async move {
        if headers["authorization"].to_str().unwrap().contains("/eu-west-1/sts/") {
            return answer.into_response();
        }
        StatusCode::BAD_REQUEST.into_response()
    };
    let sts = serve(Router::new().route("/", post(assume))).await;
    let config = world.directory.join("aws-config");
    write_profile(
        &config,
        &format!(
            "role_arn = arn:aws:iam::123456789012:role/test\nsource_profile = base\n[profile base]\n\
             aws_access_key_id = {}\naws_secret_access_key = {}\n",
            world.key.id, world.key.secret
        ),
    );
    logs_in_with(&world, &key, |launch| {
        without(launch, &["AWS_REGION"])
            .env("AWS_CONFIG_FILE", config.to_str().unwrap())
            .env("AWS_PROFILE", "work")
            .env("AWS_ENDPOINT_URL_STS", format!("http://{sts}"))
    })
    .await;
    world.stop().await;
}

/// Nothing names a region, and the instance metadata does not answer or does not exist.
#[tokio::test]
async fn missing_metadata_delays_the_start_a_little_and_logs_one_warning() {
    let world = World::new()
        .with_target("fixed", "{host: <postgres>, database: app, ssl: {mode: disable}}")
        .target("fixed")
        .with_client("rds: {regions: []}")
        .without_server()
        .without_client()
        .start()
        .await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let absent = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for metadata in [silent.local_addr().unwrap(), absent] {
        let launch = without(without_keys(&world, &["--direct"]), &["AWS_REGION"])
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{metadata}"));
        let client = world.start_proxy(launch).await;
        let log = client.log();
        // By the client's log: the start of a process on a busy machine takes longer.
        let at = |text: &str| {
            let line = log.lines().find(|line| line.contains(text)).unwrap();
            humantime::parse_rfc3339(line.split(' ').next().unwrap()).unwrap()
        };
        let took = at("listening").duration_since(at("the configuration was loaded")).unwrap();
        assert!(took < Duration::from_secs(6), "{took:?}");
        let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains("no AWS region is set"), "{warnings:#?}");
    }
    world.stop().await;
}

fn write_profile(path: &Path, text: &str) {
    fs::write(path, format!("[profile work]\n{text}")).unwrap();
}
