//! Integration tests: the real binary, in both modes, against real PostgreSQL.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends with a panic, and the world's sockets need no policy"
)]

#[path = "../support/mod.rs"]
mod support;

/// The test world itself: its parts must be right before they can judge a proxy.
mod world;

/// What operators see and do.
mod operations;

/// Who gets in, and with what.
mod login;
