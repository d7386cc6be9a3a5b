//! The test world (`docs/development.md`): everything around a client and a server, on loopback.
//!
//! - `runtime`, `scratch`, `ports`, `script`: threads, files, ports and programs
//! - `certificates`, `identity`, `token`: TLS and IAM
//! - `postgres`, `roles`: the real PostgreSQL
//! - `fake_rds`, with `gate` and `protocol`: the RDS instance in front of it
//! - `fake_aws`, with `rds_api`, `dsql_api` and `aws_failure`: the AWS endpoint
//! - `raw`, `fake_database`: an application and a database that send any bytes
//! - `proxy`, `output`, `terminal`: the binary under test, its output, and a terminal for it
//! - `relay`, `workload`, `resource_usage`: a bad network, an application that verifies every byte, the resources of a proxy
//! - `builder`, `config`, `instance`, `rds_proxy`, `dsql`, `world`: a whole world; `World::new().with_instance("db-1").start()` begins a test
//! - `relayed_chain`: a world with a relay on each link

#![allow(dead_code, unreachable_pub, reason = "each binary that includes the world uses a part of it")]

pub mod ports;
pub mod runtime;
pub mod scratch;
pub mod script;

pub mod certificates;
pub mod iam;
pub mod identity;
pub mod token;

pub mod postgres;
pub mod roles;

pub mod fake_rds;
pub mod gate;
pub mod protocol;

pub mod aws_failure;
pub mod dsql_api;
pub mod fake_aws;
pub mod rds_api;
pub mod sts;

pub mod fake_database;
pub mod raw;

pub mod output;
pub mod proxy;
pub mod terminal;

pub mod relay;
pub mod resource_usage;
pub mod workload;

pub mod builder;
pub mod config;
pub mod dsql;
pub mod instance;
pub mod rds_proxy;
pub mod world;

pub mod relayed_chain;
