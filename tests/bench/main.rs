//! How fast it is: `cargo bench --bench chain` measures direct TLS and the way through both layers in interleaved
//! rounds, and prints a table. See docs/development.md.
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
use setup::{Setup, Way};

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
    // `cargo test --all-targets` runs it too, which is not what it is for.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::from_env();
    let setup = Setup::start().await;
    let load_before = machine_load();
    // First, while the proxies have no free memory to hide sessions in.
    let idle = sessions::idle(&setup, options.sessions).await;
    let rounds = measure(&setup, &options);
    let left = sessions::left_behind(&setup);
    println!("\n{}", report::loads(&rounds));
    println!("{}", report::sessions(options.sessions, idle, left));
    println!(
        "{} rounds of {} s, load of the machine at the start {load_before}, at the end {}",
        options.rounds,
        options.time.as_secs(),
        machine_load()
    );
    setup.world.stop().await;
}

/// Every load on both ways, round by round; each round begins with the other way.
fn measure(setup: &Setup, options: &Options) -> Vec<Rounds> {
    let mut all: Vec<_> =
        Load::ALL.iter().map(|&load| Rounds { load, direct: Vec::new(), chain: Vec::new() }).collect();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for rounds in &mut all {
            let mut ways = [Way::Direct, Way::Chain];
            ways.rotate_left(round % 2);
            for way in ways.into_iter().filter(|way| rounds.load.goes(*way)) {
                let measured = rounds.load.measure(setup, way, options.time);
                match way {
                    Way::Direct => rounds.direct.push(measured),
                    Way::Chain => rounds.chain.push(measured),
                }
            }
        }
    }
    all
}

/// How many processes were running or wanted to, over the last minute.
fn machine_load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}
