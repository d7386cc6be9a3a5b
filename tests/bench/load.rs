//! The loads of the benchmark, from pgbench and psql.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::setup::{NARROW, Setup, Topology, WIDE, output};

/// Connections of one round: a clock tick of 10 ms is then 0.04 ms for each connection.
const CONNECTIONS: u32 = 250;

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// `pgbench --select-only` with this protocol and number of clients.
    Select { clients: u32, protocol: &'static str },
    /// `\copy … to` of a table.
    CopyOut { table: &'static str },
    /// `\copy … from` of rows of 100 bytes.
    CopyIn,
    /// Sequential connections with one query each.
    Connect,
    /// Sequential connections with IAM, for which there is only the chain.
    ConnectWithIam,
}

/// A measurement.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Transactions, bytes or connections in a second.
    pub(crate) speed: f64,
    /// CPU time of all proxies for one of them, in seconds.
    pub(crate) cpu: f64,
}

impl Load {
    /// In the order of the table.
    pub(crate) const ALL: &[Self] = &[
        Self::Select { clients: 1, protocol: "simple" },
        Self::Select { clients: 8, protocol: "simple" },
        Self::Select { clients: 8, protocol: "prepared" },
        Self::CopyOut { table: "wide" },
        Self::CopyOut { table: "narrow" },
        Self::CopyIn,
        Self::Connect,
        Self::ConnectWithIam,
    ];

    /// Whether the load runs in this topology.
    pub(crate) fn applies_to(self, topology: Topology) -> bool {
        match topology {
            Topology::Direct => self != Self::ConnectWithIam,
            Topology::Chain => true,
            Topology::FrontDoor => {
                matches!(self, Self::Select { clients: 8, .. } | Self::CopyOut { .. } | Self::Connect)
            }
        }
    }

    /// Runs and measures the load.
    pub(crate) fn measure(self, setup: &Setup, topology: Topology, time: Duration) -> Measured {
        let file = setup.world.directory.join("rows");
        if self == Self::CopyIn && !file.exists() {
            copy(setup, Topology::Direct, &format!("\\copy narrow to '{}'", file.display()));
        }
        let before = setup.cpu();
        let (amount, seconds) = self.run(setup, topology, time, &file);
        let cpu = setup.cpu().saturating_sub(before).as_secs_f64();
        Measured { speed: amount / seconds, cpu: cpu / amount }
    }

    /// Runs the load. Returns the amount and the seconds.
    fn run(self, setup: &Setup, topology: Topology, time: Duration, file: &Path) -> (f64, f64) {
        let size = |(rows, width)| f64::from(rows) * f64::from(width);
        match self {
            Self::Select { clients, protocol } => select(setup, topology, time, clients, protocol),
            Self::CopyOut { table } => {
                let bytes = size(if table == "wide" { WIDE } else { NARROW });
                (bytes, copy(setup, topology, &format!("\\copy {table} to '/dev/null'")))
            }
            Self::CopyIn => {
                let bytes = fs::metadata(file).unwrap().len();
                let seconds = copy(setup, topology, &format!("\\copy sink from '{}'", file.display()));
                (f64::from(u32::try_from(bytes).unwrap()), seconds)
            }
            Self::Connect => connect(&mut setup.command(topology, "pgbench"), 1, CONNECTIONS),
            Self::ConnectWithIam => connect(&mut setup.iam_command("pgbench"), 1, CONNECTIONS),
        }
    }
}

fn select(setup: &Setup, topology: Topology, time: Duration, clients: u32, protocol: &str) -> (f64, f64) {
    let mut command = setup.command(topology, "pgbench");
    command.args(["--select-only", "--no-vacuum", "--protocol", protocol]).args([
        "--client",
        &clients.to_string(),
        "--time",
        &time.as_secs().to_string(),
    ]);
    let report = output(&mut command);
    let transactions = field(&report, "number of transactions actually processed: ");
    (transactions, transactions / field(&report, "tps = "))
}

/// Opens `each` sequential connections from each of `clients`. Returns their number and the seconds.
pub(crate) fn connect(pgbench: &mut std::process::Command, clients: u32, each: u32) -> (f64, f64) {
    pgbench.args(["--connect", "--no-vacuum", "--file", "/dev/stdin"]);
    pgbench.args(["--client", &clients.to_string(), "--transactions", &each.to_string()]);
    pgbench.stdin(script("SELECT 1;\n"));
    let report = output(pgbench);
    let transactions = field(&report, "number of transactions actually processed: ");
    (transactions, transactions / field(&report, "tps = "))
}

/// A pipe with this text as standard input.
fn script(text: &str) -> std::process::Stdio {
    use std::io::Write;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    reader.into()
}

/// Runs a `\copy` with psql. Returns the seconds.
fn copy(setup: &Setup, topology: Topology, copy: &str) -> f64 {
    let mut command = setup.command(topology, "psql");
    command.args(["-X", "-v", "ON_ERROR_STOP=1", "-c", "TRUNCATE sink", "-c", "\\timing on", "-c", copy]);
    field(&output(&mut command), "Time: ") / 1000.0
}

/// The number that follows `name` in a report, such as 1000 in `1000/1000`.
fn field(report: &str, name: &str) -> f64 {
    let rest = report.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split([' ', '/']).next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no `{name}` in {report}"))
}
