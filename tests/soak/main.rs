//! The soak test: many sessions over a bad network, and the resources that they leak. Run it with
//! `SOAK_SECONDS=120 cargo test --test soak`; see docs/development.md.
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
use support::relayed_chain::{RelayedChain, Timeouts};

mod load;
mod options;
mod report;
#[path = "../support/mod.rs"]
mod support;

#[tokio::main]
async fn main() {
    // It takes minutes, so it runs only on request.
    let Some(options) = Options::from_env() else { return };
    println!("{options:?}");
    let chain = RelayedChain::start(Timeouts::Short, "info").await;
    load::warm_up(&chain).await;
    let before = chain.resource_usage().await;
    let began = Instant::now();
    let outcomes = load::run(&chain, &options).await;
    let took = began.elapsed();
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.wait_for_cleanup(before).await;
    let report = Report {
        outcomes,
        took,
        disruptions: chain.disruptions(),
        before,
        after: chain.resource_usage().await,
    };
    println!("\n{}", report.text());
    report.check();
    chain.stop().await;
}
