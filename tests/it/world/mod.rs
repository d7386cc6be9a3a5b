//! The parts of the world, without a proxy.

mod aws;
mod postgres;
mod rds;
mod token;
