//! Invalid and unusual startup packets.

use std::time::Duration;

use super::{expect_answer, expect_service, hello, ports};
use crate::support::builder::World;
use crate::support::raw::{Raw, V3_0, login, packet, startup};
use crate::support::roles::DATABASE;

#[tokio::test]
async fn an_invalid_length_is_refused() {
    let world = World::new().start().await;
    let http = u32::from_be_bytes(*b"GET ");
    for port in ports(&world) {
        for length in [0_u32, 1, 3, 4, 7, 10_005, http, 1 << 31, u32::MAX] {
            let mut raw = Raw::connect(port).await;
            raw.send(&length.to_be_bytes()).await;
            let refusal = raw.refused().await;
            refusal.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_packet_that_is_too_long_is_refused() {
    let world = World::new().start().await;
    for port in ports(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(&hello(&world, V3_0, &[("application_name", &"x".repeat(10_000))])).await;
        raw.refused().await.expect("08P01", &["too long startup parameters"]);
    }
    // The packet is valid but leaves no room for the token.
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&hello(&world, V3_0, &[("application_name", &"x".repeat(9_800))])).await;
    raw.refused().await.expect("08P01", &["the startup packet cannot be sent on", "10"]);
    world.stop().await;
}

#[tokio::test]
async fn a_packet_cut_off_at_any_byte_affects_no_other_connection() {
    let world = World::new().start().await;
    let whole = hello(&world, V3_0, &[]);
    for port in ports(&world) {
        for length in 0..whole.len() {
            let mut raw = Raw::connect(port).await;
            raw.send(&whole[..length]).await;
            raw.close_write().await;
            assert_eq!(raw.rest().await, b"", "after {length} bytes");
        }
    }
    assert_eq!(world.rds().connections(), 0);
    expect_service(&mut Raw::connect(world.client().port()).await, &world).await;
    world.stop().await;
}

#[tokio::test]
async fn malformed_parameters_are_refused() {
    let world = World::new().start().await;
    let version = V3_0.to_be_bytes();
    let parameters: &[&[u8]] = &[
        b"",
        b"user",
        b"user\0",
        b"user\0a",
        b"user\0a\0",
        b"user\0a\0\0x",
        b"\0\0",
        b"user\0a\0database\0\0",
    ];
    for port in ports(&world) {
        for list in parameters {
            let mut raw = Raw::connect(port).await;
            raw.send(&packet(&[version.as_slice(), list].concat())).await;
            raw.refused().await.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_packet_without_a_user_or_host_is_refused() {
    let world = World::new().start().await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&startup(V3_0, &[("database", DATABASE)])).await;
    raw.refused().await.expect("28000", &["no \"user\""]);
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await.expect("08004", &["names no target", "rds-auth-proxy client"]);
    world.stop().await;
}

#[tokio::test]
async fn other_major_versions_are_refused() {
    let world = World::new().start().await;
    for port in ports(&world) {
        for version in [0x1_0000, 0x2_0000, 0x4_0000, 0xffff_ffff] {
            let mut raw = Raw::connect(port).await;
            raw.send(&hello(&world, version, &[])).await;
            raw.refused().await.expect("0A000", &["rds-auth-proxy: ", "3."]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn newer_minor_versions_and_extensions_are_negotiated_with_the_database() {
    let world = World::new().start().await;
    let extension: &[(&str, &str)] = &[("_pq_.weather", "rain")];
    let cases = [(V3_0 + 2, &[][..], ""), (V3_0 + 9999, &[], ""), (V3_0, extension, "_pq_.weather")];
    for port in ports(&world) {
        for (version, extra, unknown) in cases {
            let mut raw = Raw::connect(port).await;
            raw.send(&hello(&world, version, extra)).await;
            let messages = raw.until_ready().await;
            let position = |tag| messages.iter().position(|message| message.tag == tag);
            // PostgreSQL 18 supports 3.2 and does not negotiate.
            if let Some(negotiated) = position(b'v') {
                assert!(
                    negotiated < position(b'R').unwrap(),
                    "NegotiateProtocolVersion came after the login"
                );
                let body = String::from_utf8_lossy(&messages[negotiated].body).into_owned();
                assert!(body.contains(unknown), "{body:?}");
            } else {
                assert_eq!(version, V3_0 + 2, "no NegotiateProtocolVersion came");
            }
            expect_answer(&mut raw).await;
        }
    }
    let logins = world.rds().logins();
    let extended = logins.iter().filter(|login| login.find("_pq_.weather") == Some("rain"));
    assert_eq!(extended.count(), 2, "the database did not receive the extension");
    world.stop().await;
}

#[tokio::test]
async fn the_last_of_two_hosts_or_passwords_is_used_and_the_database_receives_neither() {
    let world = World::new().start().await;
    let endpoint = world.rds().endpoint();
    let password = world.postgres.password("by_password");
    world.add_secret("not the password");
    let twice = [
        ("host", "localhost:1"),
        ("user", "by_password"),
        ("password", "not the password"),
        ("database", DATABASE),
        ("host", &endpoint),
        ("password", &password),
    ];
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &twice)).await;
    raw.until_ready().await;
    let logins = world.rds().logins();
    let names: Vec<_> = logins[0].parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["user", "database"]);
    drop(raw);
    world.stop().await;
}

#[tokio::test]
async fn a_packet_may_arrive_byte_by_byte() {
    let world = World::new().start().await;
    let mut raw = Raw::connect(world.client().port()).await;
    for byte in hello(&world, V3_0, &[]) {
        raw.send(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}
