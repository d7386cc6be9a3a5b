//! The parts of the world, without a proxy.

mod fake_aws;
mod fake_rds;
mod output;
mod plan;
mod ports;
mod postgres;
mod proxy;
mod token;
