//! `credentials`: AWS credentials for containers.

/// The section `credentials` of a client's configuration.
mod beside;
/// The SDKs that take credentials from there.
mod consumers;
/// Many requests and many services.
mod load;
/// Addresses, other users, and the health check.
mod reach;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::fake_aws::FakeAws;
use crate::support::identity::{AccessKey, Identities};
use crate::support::ports::free_port;
use crate::support::proxy::{Finished, Launch, Proxy};
use crate::support::rds_api::ACCOUNT;
use crate::support::scratch;
use crate::support::sts::Role;

const WEB_TOKEN: &str = "q8Tn2vXw5zRk7LpYc3HsJd9GfMb6AeUi";
const JOB_TOKEN: &str = "Z4mWc9QtLx2RvKpBy7NdHs5JgFa8EuTi";

/// AWS with the roles `web` and `job`, and a configuration with a service for each.
pub(crate) struct Containers {
    aws: FakeAws,
    key: AccessKey,
    directory: PathBuf,
}

impl Containers {
    async fn new() -> Self {
        let (identities, key) = (Identities::default(), AccessKey::long_lived());
        identities.add(key.clone());
        Self::with(FakeAws::start(identities).await, key)
    }

    /// In an AWS that exists already, with an access key there.
    fn with(aws: FakeAws, key: AccessKey) -> Self {
        for name in ["web", "job"] {
            aws.put_role(Role::new(&role(name), &[&key.owner()]));
        }
        let containers = Self { aws, key, directory: scratch::new_directory("containers") };
        containers.configure(&format!("server: {{port: {}}}\n{}", free_port(), services()));
        containers
    }

    /// The same with metrics, and their address.
    pub(crate) async fn with_metrics() -> (Self, String) {
        let (containers, port, metrics) = (Self::new().await, free_port(), free_port());
        let text = format!(
            "metrics: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}\nserver: {{port: {port}}}\n{}",
            services()
        );
        fs::write(containers.path(), text).unwrap();
        (containers, format!("127.0.0.1:{metrics}"))
    }

    fn configure(&self, text: &str) {
        fs::write(self.path(), format!("metrics: {{prometheus: {{enabled: false}}}}\n{text}")).unwrap();
    }

    /// Adds a Unix socket, and returns its path.
    fn configure_socket(&self) -> PathBuf {
        let socket = self.directory.join("credentials.sock");
        let server = format!("server: {{port: {}, socket: {}}}", free_port(), socket.display());
        self.configure(&format!("{server}\n{}", services()));
        socket
    }

    fn path(&self) -> PathBuf {
        self.directory.join("config.yaml")
    }

    fn launch(&self, flags: &[&str]) -> Launch {
        Launch::new("credentials", &["credentials"])
            .with(flags)
            .env("CREDPROXY_CONFIG_FILE", self.path().to_str().unwrap())
            .env("AWS_ENDPOINT_URL", &self.aws.url)
            .env("AWS_ACCESS_KEY_ID", &self.key.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.key.secret)
    }

    pub(crate) async fn start(&self) -> Proxy {
        self.launch(&[]).start().await.unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Stops it, and searches all that it printed for secrets.
    pub(crate) async fn stop(&self, mut proxy: Proxy) {
        proxy.stop().await;
        let printed = proxy.stdout.text() + &proxy.stderr.text();
        let assumed = ["web", "job"].map(|name| self.aws.assumed(&role(name))).concat();
        let keys = assumed.iter().chain([&self.key]);
        let secrets = keys.flat_map(|key| [Some(key.secret.clone()), key.session_token.clone()]).flatten();
        for secret in secrets.chain([WEB_TOKEN, JOB_TOKEN].map(str::to_owned)) {
            assert!(!printed.contains(&secret), "{secret} was printed");
        }
    }
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn service(name: &str, token: &str) -> String {
    format!(
        "  {name}:\n    auth_token: {token}\n    source_credentials: {{region: us-east-1}}\n    assumed_role: {{RoleArn: '{}'}}\n",
        role(name)
    )
}

fn services() -> String {
    format!("services:\n{}{}", service("web", WEB_TOKEN), service("job", JOB_TOKEN))
}

/// The whole answer to a request with these further header lines.
async fn request(address: &str, line: &str, headers: &str) -> String {
    let socket = TcpStream::connect(address).await.unwrap();
    exchange(socket, line, headers).await
}

async fn exchange(
    mut socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    line: &str,
    headers: &str,
) -> String {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let text = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn credentials(address: &str, token: &str) -> String {
    request(address, "GET /v1/credentials", &format!("Authorization: {token}\r\n")).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn body(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn each_service_gets_the_credentials_of_its_role_and_no_others() {
    let containers = Containers::new().await;
    let proxy = containers.start().await;
    for (name, token) in [("web", WEB_TOKEN), ("job", JOB_TOKEN)] {
        for authorization in [token.to_owned(), format!("Bearer {token}")] {
            let answer = credentials(&proxy.address, &authorization).await;
            assert_eq!(status(&answer), 200, "{answer}");
            assert!(answer.to_ascii_lowercase().contains("cache-control: no-store"), "{answer}");
            let [key] = containers.aws.assumed(&role(name)).try_into().ok().expect("one call for each");
            let found = body(&answer);
            assert_eq!(found["AccessKeyId"], key.id);
            assert_eq!(found["SecretAccessKey"], key.secret);
            assert_eq!(found["Token"], key.session_token.unwrap());
            assert_eq!(found["RoleArn"], role(name));
            let end = humantime::parse_rfc3339(found["Expiration"].as_str().unwrap()).unwrap();
            let left = end.duration_since(std::time::SystemTime::now()).unwrap();
            assert!(left <= Duration::from_mins(15) && left > Duration::from_mins(14), "{left:?}");
        }
    }
    proxy.wait_for_log("credentials were requested").await;
    assert!(proxy.log().contains("\"service\":\"web\""), "{}", proxy.log());
    containers.stop(proxy).await;
}

#[tokio::test]
async fn other_requests_are_refused() {
    let containers = Containers::new().await;
    let proxy = containers.start().await;
    let missing = request(&proxy.address, "GET /v1/credentials", "").await;
    let wrong = credentials(&proxy.address, "wrong").await;
    let [one, other] = [&missing, &wrong].map(|answer| (status(answer), body(answer)));
    assert_eq!(one, other, "both have one answer");
    assert_eq!(one.0, 401);
    let token = format!("Authorization: {WEB_TOKEN}\r\n");
    for (line, headers, expected) in [
        ("GET /", "", 404),
        ("GET /v1/credentials/web", "", 404),
        ("POST /v1/credentials", "", 405),
        ("DELETE /health", "", 405),
        ("GET /v1/credentials", "Origin: http://localhost\r\n", 403),
        ("GET /v1/credentials", "Sec-Fetch-Site: none\r\n", 403),
        ("GET /v1/credentials", "Host: web.example\r\n", 403),
        ("GET /v1/credentials", "Authorization: second\r\n", 401),
        ("GET /v1/credentials", "Host: 127.0.0.1:1338\r\n", 200),
    ] {
        let answer = request(&proxy.address, line, &format!("{token}{headers}")).await;
        assert_eq!(status(&answer), expected, "{line} {headers}: {answer}");
    }
    let health = request(&proxy.address, "GET /health", "").await;
    assert_eq!(
        (status(&health), body(&health)),
        (200, serde_json::json!({"status": "healthy", "services": 2}))
    );
    assert_eq!(status(&request(&proxy.address, "HEAD /health", "").await), 200);
    containers.stop(proxy).await;
}

#[tokio::test]
async fn without_credentials_the_answer_is_503_until_sts_recovers() {
    let containers = Containers::new().await;
    containers.aws.fail(Rule::every(AwsFailure::AccessDenied).of("AssumeRole"));
    let proxy = containers.start().await;
    let answer = credentials(&proxy.address, WEB_TOKEN).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
    assert!(body(&answer)["message"].as_str().unwrap().contains("AccessDenied"), "{answer}");
    containers.aws.recover();
    let begun = Instant::now();
    while status(&credentials(&proxy.address, WEB_TOKEN).await) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not recover");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    containers.stop(proxy).await;
}

/// Credentials of 4 s are due after 2 s. While STS fails, the old ones are served, and never after their end.
#[tokio::test]
async fn credentials_are_renewed_before_they_end_and_never_served_after_it() {
    let containers = Containers::new().await;
    let short = Role {
        lifetime: Some(Duration::from_secs(4)),
        ..Role::new(&role("web"), &[&containers.key.owner()])
    };
    containers.aws.put_role(short);
    let proxy = containers.start().await;
    let begun = Instant::now();
    let mut served = std::collections::BTreeSet::new();
    while begun.elapsed() < Duration::from_secs(9) {
        let answer = credentials(&proxy.address, WEB_TOKEN).await;
        if status(&answer) == 200 {
            let found = body(&answer);
            let end = humantime::parse_rfc3339(found["Expiration"].as_str().unwrap()).unwrap();
            assert!(
                end + Duration::from_secs(1) > std::time::SystemTime::now(),
                "expired credentials: {answer}"
            );
            served.insert(found["AccessKeyId"].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(served.len() >= 3, "{served:?}");
    assert!(containers.aws.assumed(&role("web")).len() <= 12, "one call for each period");
    containers.stop(proxy).await;
}

#[tokio::test]
async fn files_of_services_come_change_and_go() {
    let containers = Containers::new().await;
    let dynamic = containers.directory.join("dynamic");
    fs::create_dir(&dynamic).unwrap();
    containers.configure(&format!(
        "server: {{port: {}}}\nservices:\n{}dynamic_services:\n  enabled: true\n  reload_interval: 1\n  directories:\n    - path: {}\n      \
         include_patterns: ['.*\\.yaml$']\n      exclude_patterns: ['^\\..*']\n",
        free_port(),
        service("web", WEB_TOKEN),
        dynamic.display()
    ));
    let proxy = containers.start().await;
    assert_eq!(status(&credentials(&proxy.address, JOB_TOKEN).await), 401);
    let file = dynamic.join("job.yaml");
    fs::write(&file, format!("services:\n{}", service("job", JOB_TOKEN))).unwrap();
    fs::write(dynamic.join(".hidden.yaml"), "nonsense").unwrap();
    until(&proxy.address, JOB_TOKEN, 200).await;
    // A fault keeps what the file said before; the service of the configuration wins over one of its name.
    fs::write(&file, "services: {job: {auth_tokn: x}}").unwrap();
    proxy.wait_for_log("auth_tokn").await;
    assert_eq!(status(&credentials(&proxy.address, JOB_TOKEN).await), 200);
    fs::write(
        dynamic.join("web.yaml"),
        format!("services:\n{}", service("web", "another-token-of-32-characters-or-more")),
    )
    .unwrap();
    proxy.wait_for_log("is defined elsewhere").await;
    assert_eq!(status(&credentials(&proxy.address, WEB_TOKEN).await), 200);
    fs::remove_file(&file).unwrap();
    until(&proxy.address, JOB_TOKEN, 401).await;
    assert_eq!(
        containers.aws.assumed(&role("web")).len(),
        1,
        "a service that is unchanged keeps its credentials"
    );
    containers.stop(proxy).await;
}

async fn until(address: &str, token: &str, expected: u16) {
    let begun = Instant::now();
    while status(&credentials(address, token).await) != expected {
        assert!(begun.elapsed() < Duration::from_secs(30), "no {expected}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_token_that_is_rotated_in_its_file_is_read_again() {
    let containers = Containers::new().await;
    let file = containers.directory.join("token");
    fs::write(&file, format!("{WEB_TOKEN}\n")).unwrap();
    let reference = format!("\"${{fromFile:{}}}\"", file.display());
    containers.configure(&format!(
        "server: {{port: {}}}\nservices:\n{}",
        free_port(),
        service("web", &reference)
    ));
    let proxy = containers.start().await;
    assert_eq!(status(&credentials(&proxy.address, WEB_TOKEN).await), 200);
    fs::write(&file, JOB_TOKEN).unwrap();
    until(&proxy.address, JOB_TOKEN, 200).await;
    assert_eq!(status(&credentials(&proxy.address, WEB_TOKEN).await), 401);
    assert_eq!(containers.aws.assumed(&role("web")).len(), 1);
    containers.stop(proxy).await;
}

#[tokio::test]
async fn a_unix_socket_serves_the_user_of_the_process() {
    let containers = Containers::new().await;
    let socket = containers.configure_socket();
    let proxy = containers.start().await;
    proxy.wait_for_log("serving credentials").await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    let answer = exchange(stream, "GET /v1/credentials", &format!("Authorization: {WEB_TOKEN}\r\n")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    containers.stop(proxy).await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn metrics_have_the_names_of_credproxy() {
    let (containers, metrics) = Containers::with_metrics().await;
    let proxy = containers.start().await;
    assert_eq!(status(&credentials(&proxy.address, WEB_TOKEN).await), 200);
    assert_eq!(status(&credentials(&proxy.address, "wrong").await), 401);
    let socket = TcpStream::connect(metrics).await.unwrap();
    // Prometheus uses the name of the container.
    let answer = exchange(socket, "GET /metrics", "Host: credproxy:9090\r\n").await;
    for line in [
        "credproxy_requests_total{result=\"success\",service_name=\"web\"} 1",
        "credproxy_requests_total{result=\"denied_invalid_token\",service_name=\"unknown\"} 1",
        "credproxy_active_services_total 2",
        "credproxy_app_info_info{",
        "credproxy_request_duration_seconds_bucket{",
        "rds_auth_proxy_credentials_failing{service=\"web\"} 0",
        "rds_auth_proxy_credentials_refreshes_total{service=\"web\",result=\"success\"} 1",
    ] {
        assert!(answer.contains(line), "{line} is not in\n{answer}");
    }
    containers.stop(proxy).await;
}

#[tokio::test]
async fn a_configuration_is_checked_without_serving() {
    let containers = Containers::new().await;
    for flag in ["--check", "--validate-only"] {
        let Finished { code, stdout, stderr } = containers.launch(&[flag]).run().await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        assert!(stdout.ends_with("config.yaml is valid: 2 services\n"), "{stdout}");
    }
    containers.configure(&services().replace(JOB_TOKEN, WEB_TOKEN));
    let Finished { code, stderr, .. } = containers.launch(&["--check"]).run().await;
    assert_eq!(code, Some(2));
    assert!(stderr.contains("is the token of the service `job` too"), "{stderr}");
    assert!(!stderr.contains(WEB_TOKEN), "{stderr}");
    let token = containers.launch(&["new-token"]).run().await.stdout;
    assert_eq!(token.len(), 43, "without a line end, which SDKs refuse: {token}");
    assert_eq!(containers.aws.all_requests(), 0);
}

/// The roles of the configuration and of the files beside it.
#[tokio::test]
async fn the_policy_of_the_source_credentials_names_the_roles_and_nothing_else() {
    let containers = Containers::new().await;
    let dynamic = containers.directory.join("dynamic");
    fs::create_dir(&dynamic).unwrap();
    let tagged =
        service("job", JOB_TOKEN).replace("role/job'", "role/job', Tags: [{Key: team, Value: jobs}]");
    fs::write(dynamic.join("job.yaml"), format!("services:\n{tagged}")).unwrap();
    containers.configure(&format!(
        "services:\n{}dynamic_services: {{enabled: true, directories: [{{path: {}}}]}}\n",
        service("web", WEB_TOKEN),
        dynamic.display()
    ));
    let Finished { code, stdout, stderr } = containers.launch(&["policy"]).run().await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let policy: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let allow = |action: &str, roles: &[&str]| {
        let resources: Vec<_> = roles.iter().map(|name| role(name)).collect();
        serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resources})
    };
    let expected = [allow("sts:AssumeRole", &["job", "web"]), allow("sts:TagSession", &["job"])];
    assert_eq!(policy, serde_json::json!({"Version": "2012-10-17", "Statement": expected}));
    let of_web: serde_json::Value =
        serde_json::from_str(&containers.launch(&["policy", "web"]).run().await.stdout).unwrap();
    assert_eq!(of_web["Statement"], serde_json::json!([allow("sts:AssumeRole", &["web"])]));
    let Finished { code, stderr, .. } = containers.launch(&["policy", "webb"]).run().await;
    assert_eq!(code, Some(2));
    assert!(stderr.contains("there is no service `webb`; did you mean `web`?"), "{stderr}");
    let keys = "source_credentials: {iam_keys: {aws_access_key_id: a, aws_secret_access_key: b}}";
    let other = service("web", WEB_TOKEN).replace("source_credentials: {region: us-east-1}", keys);
    containers.configure(&format!("services:\n{other}{}", service("job", JOB_TOKEN)));
    let stderr = containers.launch(&["policy"]).run().await.stderr;
    assert!(stderr.contains("the services `job` and `web` have different source credentials"), "{stderr}");
    assert_eq!(containers.aws.all_requests(), 0);
}

#[tokio::test]
async fn a_missing_configuration_is_named_with_its_flag() {
    let containers = Containers::new().await;
    fs::remove_file(containers.path()).unwrap();
    let Finished { code, stderr, .. } = containers.launch(&[]).run().await;
    assert_eq!(code, Some(2));
    assert!(
        stderr
            .contains("config.yaml does not exist; name another one with --config or CREDPROXY_CONFIG_FILE"),
        "{stderr}"
    );
}

/// STS closes each connection without an answer.
#[tokio::test]
async fn a_lost_connection_to_sts_has_a_remedy() {
    let containers = Containers::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let hanging_up = tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let proxy = containers.launch(&[]).env("AWS_ENDPOINT_URL", &address).start().await.unwrap();
    let answer = credentials(&proxy.address, WEB_TOKEN).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("; check the network, DNS, the VPN, and HTTPS_PROXY and NO_PROXY"), "{answer}");
    containers.stop(proxy).await;
    hanging_up.abort();
}
