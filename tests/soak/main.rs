//! Many sessions over a bad network, and what is left after them: `SOAK_SECONDS=120 cargo test --test soak`. See
//! docs/development.md.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends with a panic, and it prints its figures"
)]

use std::time::Instant;

use options::Options;
use report::Report;
use support::legs::{Clocks, Legs};

mod load;
mod options;
mod report;
#[path = "../support/mod.rs"]
mod support;

#[tokio::main]
async fn main() {
    // It takes minutes, so it runs only where somebody asks for it.
    let Some(options) = Options::from_env() else { return };
    println!("{options:?}");
    let legs = Legs::start(Clocks::Hurried, "info").await;
    load::warm_up(&legs).await;
    let before = legs.holdings().await;
    let began = Instant::now();
    let outcomes = load::run(&legs, &options).await;
    let took = began.elapsed();
    legs.settle(before).await;
    legs.fill().await;
    legs.settle(before).await;
    let report = Report { outcomes, took, faults: legs.faults(), before, after: legs.holdings().await };
    println!("\n{}", report.text());
    report.judge();
    legs.stop().await;
}
