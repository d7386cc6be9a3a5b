//! The test world (`docs/development.md`): everything a pair of proxies needs around itself, on loopback.
//!
//! From the bottom up:
//! `runtime`, `scratch`, `ports`, `script`: threads, files, ports and programs. `certificates`, `identity`, `token`: TLS and IAM.
//! `postgres`, `roles`: the database. `protocol`, `carry`, `rds`: the RDS-like listener before it.
//! `raw`, `fake`: an application and a database that say what no driver and no PostgreSQL would.
//! `catalog`, `fault`, `aws`: the AWS endpoint. `proxy`, `output`: the binary under test and what it prints.
//! `relay`, `exchange`, `holdings`: a bad network, an application that notices, what proxies hold.
//! `instance`, `plan`, `world`: all of it put together; `World::new().with_instance("db-1").start()` begins a test.
//! `legs`: the chain with a relay on each leg.

#![allow(dead_code, unreachable_pub, reason = "each binary that includes the world uses a part of it")]

pub mod ports;
pub mod runtime;
pub mod scratch;
pub mod script;

pub mod certificates;
pub mod identity;
pub mod token;

pub mod postgres;
pub mod roles;

pub mod fake_rds;
pub mod gate;
pub mod protocol;

pub mod fake_database;
pub mod raw;

pub mod aws_failure;
pub mod fake_aws;
pub mod rds_api;

pub mod output;
pub mod proxy;

pub mod relay;
pub mod resource_usage;
pub mod workload;

pub mod builder;
pub mod config;
pub mod instance;
pub mod world;

pub mod relayed_chain;
