//! The parts of the test world, without a proxy.

mod builder;
mod fake_aws;
mod fake_rds;
mod output;
mod ports;
mod postgres;
mod proxy;
mod token;
