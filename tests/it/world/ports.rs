//! A free port is free for one caller only, and stays free.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::ports::free_port;

#[test]
fn free_ports_are_unique_and_below_the_ephemeral_range() {
    let ports: Vec<_> = (0..200).map(|_| free_port()).collect();
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    if let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") {
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(ports.iter().all(|port| *port < first), "{ports:?} begin at {first}");
    }
}

#[test]
fn a_port_in_use_at_any_address_is_skipped() {
    let next = free_port() + 1;
    let _taken = TcpListener::bind(("127.0.0.4", next));
    assert_ne!(free_port(), next);
}

/// A forked child has the descriptors of this process until its exec.
#[test]
fn a_free_port_is_free_while_processes_are_started() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        let failed = (0..500).find_map(|_| TcpListener::bind(("127.0.0.1", free_port())).err());
        done.store(true, Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
}
