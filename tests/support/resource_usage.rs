//! The resource usage of a proxy, from its own metrics and from the kernel.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::proxy::Proxy;

/// The resource usage of a proxy at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Open connections.
    pub connections: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Asynchronous tasks, including the one that serves this request.
    pub tasks: u64,
    /// Open sockets. None unless this process is root: the proxy is not dumpable.
    pub sockets: Option<usize>,
    /// Resident memory in KB.
    pub resident: u64,
}

impl ResourceUsage {
    /// Whether a connection or session is open, or there are more tasks or sockets than `before`.
    pub fn exceeds(&self, before: &Self) -> bool {
        self.connections > 0
            || self.sessions > 0
            || self.tasks > before.tasks
            || self.sockets > before.sockets
    }

    /// The usage of a proxy with an `admin_addr`.
    pub async fn of(proxy: &Proxy) -> Self {
        let text = metrics(proxy).await;
        // The proxy needs a moment to close the connection of this request.
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

/// The text of `/metrics`. The connection is closed when this returns.
pub async fn metrics(proxy: &Proxy) -> String {
    proxy.wait_for_log("answering probes").await;
    let mut stream = TcpStream::connect(admin_address(&proxy.log())).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The address of the admin listener, from the log: a server logs JSON, a client text.
pub fn admin_address(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("answering probes")).unwrap();
    if let Ok(json) = serde_json::from_str::<Value>(line) {
        return json["admin_addr"].as_str().unwrap().to_owned();
    }
    let (_, rest) = line.split_once("admin_addr=").unwrap();
    rest.split_whitespace().next().unwrap().trim_matches('"').to_owned()
}

/// The sum over all series of a metric.
pub fn sum(text: &str, metric: &str) -> u64 {
    let series = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// The number of open sockets (`/proc/PID/fd`, proc(5)).
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

/// Resident memory in KB (`VmRSS`, proc(5)).
pub fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
