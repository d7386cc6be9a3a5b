//! The report: medians of all rounds, and whether they meet the marks.

use std::fmt::Write;

use crate::load::{Load, Measured};
use crate::process::ResourceUsage;
use crate::setup::{NARROW, WIDE};

/// Marks for both layers together, unless noted.
const MOST_CPU_PER_TRANSACTION: f64 = 80e-6;
const LEAST_TPS: f64 = 0.25;
const LEAST_COPY_OUT: f64 = 0.7;
const MOST_CPU_PER_CONNECTION: f64 = 3e-3;
/// Bytes in each layer.
const MOST_PER_IDLE_SESSION: i64 = 40 * 1024;
/// Bytes in each layer. The allocator accounts for less; a leak of 1 KB in each connection exceeds it.
const MOST_LEAKED: i64 = 512 * 1024;

/// The rounds of one load.
pub(crate) struct Rounds {
    pub(crate) load: Load,
    pub(crate) direct: Vec<Measured>,
    pub(crate) chain: Vec<Measured>,
    pub(crate) front_door: Vec<Measured>,
}

/// The table of the loads.
pub(crate) fn loads(rounds: &[Rounds]) -> String {
    let mut table = String::from(
        "| load | direct TLS | both layers | ratio (spread) | proxy CPU (spread) | mark | met |\n\
         |---|--:|--:|--:|--:|---|---|\n",
    );
    for rounds in rounds {
        rounds.row(&mut table);
    }
    table
}

/// The table of the loads through the server alone.
pub(crate) fn front_door(rounds: &[Rounds]) -> String {
    let mut table = String::from(
        "| load | direct TLS | front door | ratio (spread) | server CPU (spread) |\n|---|--:|--:|--:|--:|\n",
    );
    for rounds in rounds.iter().filter(|rounds| !rounds.front_door.is_empty()) {
        writeln!(table, "| {} |", rounds.cells(&rounds.front_door).join(" | ")).unwrap();
    }
    table
}

/// The table of idle sessions and of resources that 1,000 connections leak.
pub(crate) fn sessions(count: usize, idle: [i64; 2], leaked: [ResourceUsage; 2]) -> String {
    let mut table = String::from("| memory | client | server | mark | met |\n|---|--:|--:|---|---|\n");
    let kib = |bytes: i64| format!("{} KB", bytes.div_euclid(1024));
    let met = idle.iter().all(|bytes| *bytes <= MOST_PER_IDLE_SESSION);
    let (client, server) = (kib(idle[0]), kib(idle[1]));
    writeln!(table, "| one of {count} idle sessions | {client} | {server} | ≤ 40 KB each | {} |", word(met))
        .unwrap();
    let describe = |usage: ResourceUsage| {
        format!("{}, {} descriptors, {} threads", kib(usage.resident), usage.descriptors, usage.threads)
    };
    let clean =
        |usage: &ResourceUsage| usage.resident <= MOST_LEAKED && usage.descriptors <= 0 && usage.threads <= 0;
    let met = leaked.iter().all(clean);
    let (client, server) = (describe(leaked[0]), describe(leaked[1]));
    writeln!(table, "| left by 1,000 connections | {client} | {server} | nothing | {} |", word(met)).unwrap();
    table
}

impl Rounds {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, direct: Vec::new(), chain: Vec::new(), front_door: Vec::new() }
    }

    fn row(&self, table: &mut String) {
        let (mark, met) = self.mark(median(&self.ratios(&self.chain)), median(&cpus(&self.chain)));
        let cells = self.cells(&self.chain).join(" | ");
        writeln!(table, "| {cells} | {mark} | {} |", met.map_or("", word)).unwrap();
    }

    /// Name, speeds, their ratio, and the CPU time of the proxies.
    fn cells(&self, proxied: &[Measured]) -> [String; 5] {
        [
            self.name(),
            self.speed(&speeds(&self.direct)),
            self.speed(&speeds(proxied)),
            spread(&self.ratios(proxied), 100.0, 0, "%"),
            self.cpu(&cpus(proxied)),
        ]
    }

    fn ratios(&self, proxied: &[Measured]) -> Vec<f64> {
        self.direct.iter().zip(proxied).map(|(direct, proxied)| proxied.speed / direct.speed).collect()
    }

    fn name(&self) -> String {
        match self.load {
            Load::Select { clients: 1, protocol } => format!("SELECT, 1 client, {protocol}"),
            Load::Select { clients, protocol } => format!("SELECT, {clients} clients, {protocol}"),
            Load::CopyOut { table: "wide" } => format!("COPY out, rows of {} bytes", WIDE.1),
            Load::CopyOut { .. } => format!("COPY out, rows of {} bytes", NARROW.1),
            Load::CopyIn => format!("COPY in, rows of {} bytes", NARROW.1),
            Load::Connect => "new connection, password".to_owned(),
            Load::ConnectWithIam => "new connection, IAM".to_owned(),
        }
    }

    fn speed(&self, rounds: &[f64]) -> String {
        if rounds.is_empty() {
            return String::new();
        }
        let median = median(rounds);
        match self.load {
            Load::Select { .. } => format!("{median:.0} tps"),
            Load::CopyOut { .. } | Load::CopyIn => format!("{:.0} MB/s", median / 1e6),
            Load::Connect | Load::ConnectWithIam => format!("{:.1} ms", 1e3 / median),
        }
    }

    fn cpu(&self, rounds: &[f64]) -> String {
        match self.load {
            Load::Select { .. } => spread(rounds, 1e6, 0, "µs"),
            Load::CopyOut { .. } | Load::CopyIn => spread(rounds, 1e9, 2, "s/GB"),
            Load::Connect | Load::ConnectWithIam => spread(rounds, 1e3, 2, "ms"),
        }
    }

    fn mark(&self, ratio: f64, cpu: f64) -> (&'static str, Option<bool>) {
        match self.load {
            Load::Select { clients: 1, .. } | Load::CopyIn => ("", None),
            Load::Select { .. } => {
                ("≥ 25 %, ≤ 80 µs", Some(ratio >= LEAST_TPS && cpu <= MOST_CPU_PER_TRANSACTION))
            }
            Load::CopyOut { .. } => ("≥ 70 %", Some(ratio >= LEAST_COPY_OUT)),
            Load::Connect | Load::ConnectWithIam => ("≤ 3 ms CPU", Some(cpu <= MOST_CPU_PER_CONNECTION)),
        }
    }
}

fn speeds(rounds: &[Measured]) -> Vec<f64> {
    rounds.iter().map(|round| round.speed).collect()
}

fn cpus(rounds: &[Measured]) -> Vec<f64> {
    rounds.iter().map(|round| round.cpu).collect()
}

fn word(met: bool) -> &'static str {
    if met { "yes" } else { "**no**" }
}

/// The median with the lowest and highest round, in units of 1/`scale`; empty without rounds.
pub(crate) fn spread(rounds: &[f64], scale: f64, decimals: usize, unit: &str) -> String {
    let sorted = sorted(rounds);
    let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else { return String::new() };
    let show = |value: f64| format!("{:.decimals$}", value * scale);
    format!("{} {unit} ({}–{})", show(median(rounds)), show(*lowest), show(*highest))
}

pub(crate) fn median(rounds: &[f64]) -> f64 {
    let sorted = sorted(rounds);
    if sorted.is_empty() {
        return f64::NAN;
    }
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    f64::midpoint(sorted[low], sorted[high])
}

fn sorted(rounds: &[f64]) -> Vec<f64> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
