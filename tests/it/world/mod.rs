//! The parts of the world, without a proxy.

mod fake_aws;
mod output;
mod plan;
mod ports;
mod postgres;
mod proxy;
mod rds;
mod token;
