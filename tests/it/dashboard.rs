//! Every query of the dashboard and every alert, in a real Prometheus that scrapes a running server, a running client and running `credentials`.
//!
//! Without the program `prometheus` the test prints that it was skipped, or fails if `CI` is set.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::containers::Containers;
use crate::operations::{ADMIN, get_at};
use crate::support::ports::free_port;
use crate::support::resource_usage::admin_address;
use crate::support::world::Running;
use crate::support::{runtime, scratch};
use crate::tunnel::cluster::Cluster;
use crate::tunnel::tunnelled;

/// How long Prometheus may take to have two samples of every series.
const PATIENCE: Duration = Duration::from_mins(1);

const CERTIFICATE: &str = "proxy: {ssl: {client_certificate: '<certificate>', client_private_key: '<key>'}}";

struct Prometheus {
    address: String,
    _process: Child,
}

#[tokio::test]
async fn every_query_of_the_dashboard_and_the_alerts_has_data() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).with_instance("db-1").with_instance("db-2");
    let world = world.with_server(ADMIN).with_server(CERTIFICATE).with_client(ADMIN).start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    let session = world.connect("alice").await.unwrap();
    world.psql("no-such-user", "select 1").await.unwrap_err();
    let (containers, metrics) = Containers::with_metrics().await;
    let credentials = containers.start().await;
    let Some(prometheus) = Prometheus::start(&world, metrics).await else { return world.stop().await };

    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(file("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries: Vec<_> = targets.map(|target| with_values(target["expr"].as_str().unwrap())).collect();
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(file("alerts.yaml")).unwrap()).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    queries.extend(rules.iter().flat_map(|rule| selectors(rule["expr"].as_str().unwrap())));
    assert!(queries.len() > 60, "{queries:#?}");
    let began = Instant::now();
    while !queries.is_empty() {
        assert!(began.elapsed() < PATIENCE, "no data for {queries:#?}");
        let mut empty = Vec::new();
        for query in queries {
            if prometheus.results(&query).await.is_empty() {
                empty.push(query);
            }
        }
        queries = empty;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let list = prometheus.results(r#"group by (target) ({__name__=~"rds_auth_proxy_.+", target!=""})"#).await;
    let mut names: Vec<_> =
        list.iter().map(|sample| sample["metric"]["target"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["db-1", "db-2", "other"], "also one without a connection");
    prometheus.expect_healthy_rules(rules.len()).await;
    drop(session);
    containers.stop(credentials).await;
    world.stop().await;
}

impl Prometheus {
    /// Scrapes server, client and this address, every second.
    async fn start(world: &Running, other: String) -> Option<Self> {
        let mut scraped = vec![other];
        for proxy in [world.server(), world.client()] {
            proxy.wait_for_log("answering probes").await;
            scraped.push(admin_address(&proxy.log()));
        }
        let directory = scratch::new_directory("prometheus");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  \
             - {{job_name: rds-auth-proxy, static_configs: [{{targets: {scraped:?}}}]}}\n",
            file("alerts.yaml").display()
        );
        fs::write(directory.join("prometheus.yml"), config).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let process = match runtime::within(async move { command.spawn() }).await {
            Ok(process) => process,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "cannot start prometheus: {error}");
                // The test harness hides output of macros in tests that pass.
                let _ = writeln!(std::io::stderr(), "SKIPPED: cannot start prometheus: {error}");
                return None;
            }
        };
        let began = Instant::now();
        while TcpStream::connect(&address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "prometheus does not listen at {address}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self { address, _process: process })
    }

    /// The samples of an instant query, which must be valid.
    async fn results(&self, query: &str) -> Vec<Value> {
        let (status, body) = get_at(&self.address, &format!("/api/v1/query?query={}", encoded(query))).await;
        // It answers 503 until its data is open.
        if status == 503 {
            return Vec::new();
        }
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Every rule was evaluated without an error.
    async fn expect_healthy_rules(&self, count: usize) {
        let began = Instant::now();
        loop {
            let body = get_at(&self.address, "/api/v1/rules").await.1;
            let answer: Value = serde_json::from_str(&body).unwrap();
            let rules = answer["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
            if rules.len() == count && rules.iter().all(|rule| rule["health"] == "ok") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build/monitoring").join(name)
}

/// A query with values for the variables of the dashboard, as Grafana inserts them.
fn with_values(query: &str) -> String {
    let query = query.replace("$instance", ".*").replace("$target", ".*");
    let query = query.replace("$__rate_interval", "10s").replace("$__range", "10s");
    assert!(!query.contains('$'), "an unknown variable: {query}");
    query
}

/// The series that a rule selects. A rule has no result as long as all is well.
fn selectors(rule: &str) -> Vec<String> {
    let names = rule.match_indices("rds_auth_proxy_").map(|(at, _)| &rule[at..]);
    let selector = |rest: &str| {
        let name =
            rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(rest.len());
        let labels = rest[name..].strip_prefix('{').map_or(0, |labels| labels.find('}').unwrap() + 2);
        rest[..name + labels].to_owned()
    };
    names.map(selector).collect()
}

/// Percent-encodes all but letters and digits.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}
