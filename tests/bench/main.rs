//! The benchmark: `cargo bench --bench chain` measures direct TLS and the chain of client and server in interleaved
//! rounds and prints a table. See docs/development.md.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on ends with a panic, and it prints its table"
)]

use std::fs;

use load::Load;
use options::Options;
use report::Rounds;
use setup::{Setup, Topology};

mod front_door;
mod load;
mod options;
mod process;
mod report;
mod sessions;
mod setup;
#[path = "../support/mod.rs"]
mod support;

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` runs this binary too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::from_env();
    let setup = Setup::start().await;
    let load_before = machine_load();
    // Before the loads: memory that they free would hide the memory of sessions.
    let idle = sessions::idle(&setup, options.sessions).await;
    let idle_at_front_door = front_door::idle(&setup, options.sessions).await;
    let rounds = measure(&setup, &options);
    let leaked = sessions::leaked(&setup);
    let ways = front_door::ways(&setup, options.rounds).await;
    println!("\n{}", report::loads(&rounds));
    println!("{}", report::sessions(options.sessions, idle, leaked));
    println!("{}", report::front_door(&rounds));
    println!("{ways}\nOne of {} idle sessions: {idle_at_front_door} KB\n", options.sessions);
    println!(
        "{} rounds of {} s, load of the machine at the start {load_before}, at the end {}",
        options.rounds,
        options.time.as_secs(),
        machine_load()
    );
    setup.world.stop().await;
}

/// Measures every load in the topologies that it applies to. Their order alternates from round to round.
fn measure(setup: &Setup, options: &Options) -> Vec<Rounds> {
    let mut all: Vec<_> = Load::ALL.iter().map(|&load| Rounds::new(load)).collect();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for rounds in &mut all {
            let mut topologies = [Topology::Direct, Topology::Chain, Topology::FrontDoor];
            topologies.rotate_left(round % 3);
            for topology in topologies.into_iter().filter(|topology| rounds.load.applies_to(*topology)) {
                let measured = rounds.load.measure(setup, topology, options.time);
                match topology {
                    Topology::Direct => rounds.direct.push(measured),
                    Topology::Chain => rounds.chain.push(measured),
                    Topology::FrontDoor => rounds.front_door.push(measured),
                }
            }
        }
    }
    all
}

/// The load average of the last minute.
fn machine_load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}
