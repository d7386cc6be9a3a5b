//! Ports that are free are so for one caller, and stay so.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::support::ports::free_port;

#[test]
fn no_two_callers_get_the_same_one_and_the_system_gives_none_of_them_away() {
    let ports: Vec<_> = (0..200).map(|_| free_port()).collect();
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    if let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") {
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(ports.iter().all(|port| *port < first), "{ports:?} begin at {first}");
    }
}

#[test]
fn one_that_is_taken_at_any_address_is_passed_over() {
    let next = free_port() + 1;
    let _taken = TcpListener::bind(("127.0.0.4", next));
    assert_ne!(free_port(), next);
}
