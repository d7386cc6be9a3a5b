//! What a proxy holds: by its own gauges, and by what the kernel says.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::proxy::Proxy;

/// What a proxy holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Connections and sessions it counts as open.
    pub connections: u64,
    pub sessions: u64,
    /// Asynchronous tasks, that which answers this question included.
    pub tasks: u64,
    /// Open sockets. None where the kernel does not tell us: the proxy is not
    /// dumpable, so only root may look.
    pub sockets: Option<usize>,
    /// Resident memory in KB.
    pub resident: u64,
}

impl Holdings {
    /// Whether a connection is open, or more tasks or sockets are than before any was.
    pub fn exceeds(&self, before: &Self) -> bool {
        self.connections > 0
            || self.sessions > 0
            || self.tasks > before.tasks
            || self.sockets > before.sockets
    }

    /// Of a proxy with an `admin_addr`.
    pub async fn of(proxy: &Proxy) -> Self {
        let text = metrics(proxy).await;
        // For the proxy to see that our question is over.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Self {
            connections: sum(&text, "rds_auth_proxy_connections_open"),
            sessions: sum(&text, "rds_auth_proxy_sessions_open"),
            tasks: sum(&text, "rds_auth_proxy_tasks"),
            sockets: sockets(proxy.id()),
            resident: resident(proxy.id()),
        }
    }
}

/// What `/metrics` says. The connection is closed when this returns.
pub async fn metrics(proxy: &Proxy) -> String {
    proxy.wait_for_log("answering probes").await;
    let mut stream = TcpStream::connect(admin_address(&proxy.log())).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Where a proxy answers probes, by its log: a server logs JSON, a client text.
pub fn admin_address(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("answering probes")).unwrap();
    if let Ok(json) = serde_json::from_str::<Value>(line) {
        return json["admin_addr"].as_str().unwrap().to_owned();
    }
    let (_, rest) = line.split_once("admin_addr=").unwrap();
    rest.split_whitespace().next().unwrap().trim_matches('"').to_owned()
}

/// Of all series of a metric.
pub fn sum(text: &str, metric: &str) -> u64 {
    let series = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    // Counts: small whole numbers, never below zero.
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// See proc(5) on `/proc/PID/fd`.
fn sockets(process: u32) -> Option<usize> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let is_socket = |path: &std::path::Path| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    Some(
        descriptors
            .filter(|descriptor| descriptor.as_ref().is_ok_and(|found| is_socket(&found.path())))
            .count(),
    )
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
