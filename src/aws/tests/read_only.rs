//! A session of IAM Identity Center in a directory that this process cannot write.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::*;

const CACHE: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

/// Renews each session once, and gives credentials to the renewed one.
async fn portal() -> String {
    let renewals = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let renew = move |body: String| async move {
        let request: Value = serde_json::from_str(&body).unwrap();
        let renewal = renewals.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let is_valid = renewal == 0 && request["refreshToken"] == "refresh";
        let status = if is_valid { 200 } else { 400 };
        let answer = json!({"accessToken": "renewed", "expiresIn": 28800, "refreshToken": "next", "tokenType": "Bearer"});
        (StatusCode::from_u16(status).unwrap(), answer.to_string())
    };
    let credentials = |headers: HeaderMap| async move {
        let is_renewed = headers["x-amz-sso_bearer_token"] == "renewed";
        let end = SystemTime::now() + Duration::from_secs(62);
        let end = u64::try_from(end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let answer = json!({"roleCredentials": {"accessKeyId": "AKIDSSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": end}});
        (if is_renewed { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, answer.to_string())
    };
    let router =
        Router::new().route("/token", post(renew)).route("/federation/credentials", get(credentials));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// This test's own program as a user that may not write the files: root may write everything.
fn unprivileged() -> Command {
    let program = std::env::current_exe().unwrap();
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_that_cannot_be_saved_is_used() {
    let url = portal().await;
    let config = "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dba\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n";
    let session = json!({"accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z", "refreshToken": "refresh", "clientId": "c",
        "clientSecret": "s", "registrationExpiresAt": "2090-01-01T00:00:00Z", "region": "us-east-1",
        "startUrl": "https://example.com/start"});
    let home = home(&[(".aws/config", config), (CACHE, &session.to_string())]);
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(home.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for directory in ["", ".aws", ".aws/sso", ".aws/sso/cache"] {
        mode(directory, 0o755);
    }
    mode(CACHE, 0o444);
    mode(".aws/sso/cache", 0o555);
    let variables = [
        ("AWS_ENDPOINT_URL_SSO_OIDC", &*url),
        ("AWS_ENDPOINT_URL_SSO", &*url),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ];
    let mut proxy = Proxy::start_by(unprivileged(), home.path(), &variables);
    assert_eq!(proxy.identity(), "AKIDSSO");
    // The credentials are about to expire. The renewed session is still known, and its refresh token was used once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(proxy.identity(), "AKIDSSO");
    let saved = std::fs::read_to_string(home.path().join(CACHE)).unwrap();
    assert!(saved.contains("old"), "{saved}");
    mode(".aws/sso/cache", 0o755);
}
