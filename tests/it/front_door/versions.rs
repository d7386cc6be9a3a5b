//! Versions and extensions of the protocol that only application and database know, without a client in between.

use super::{orders, target, tls as server_tls};
use crate::cancel::{expect_cancelled, request_cancel, wait_for_queries};
use crate::support::builder::World;
use crate::support::raw::{Message, Raw, V3_0, query, startup, tls};
use crate::support::roles::DATABASE;
use crate::support::scratch::unique;
use crate::support::world::Running;

/// Protocol 3.2, and the one that no server speaks, which PostgreSQL 19 requests on purpose (`PG_PROTOCOL_GREASE`).
const V3_2: u32 = V3_0 + 2;
const GREASE: u32 = V3_0 + 9999;

/// A connection in clear text, after an SSLRequest, or with direct TLS.
async fn connect(world: &Running, how: usize) -> Raw {
    let raw = Raw::connect(world.server().port()).await;
    match how {
        0 => raw,
        1 => raw.request_tls().await,
        _ => raw.encrypt(&tls(&[b"postgresql"])).await.unwrap(),
    }
}

fn hello(version: u32, extra: &[(&str, &str)]) -> Vec<u8> {
    startup(version, &[&[("user", "by_trust"), ("database", DATABASE)], extra].concat())
}

/// The body of the only message with this tag.
fn body(messages: &[Message], tag: u8) -> Option<&[u8]> {
    let mut found = messages.iter().filter(|message| message.tag == tag);
    let first = found.next().map(|message| message.body.as_slice());
    assert!(found.next().is_none(), "two messages {tag}");
    first
}

/// The database negotiates, and the answer reaches the application before the login is over.
#[tokio::test]
async fn unknown_versions_and_extensions_are_negotiated_with_the_database() {
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let extensions: &[(&str, &str)] = &[("_pq_.weather", "rain"), ("_pq_.test_protocol_negotiation", "")];
    for how in 0..3 {
        for (version, extra) in [(GREASE, &[][..]), (V3_0, extensions), (GREASE, extensions)] {
            let mut raw = connect(&world, how).await;
            raw.send(&hello(version, extra)).await;
            let messages = raw.until_ready().await;
            assert_eq!(messages[0].tag, b'v', "{messages:?}");
            let names = String::from_utf8_lossy(&messages[0].body[8..]).into_owned();
            assert_eq!(names.matches("_pq_.").count(), extra.len(), "{names:?}");
            assert!(extra.iter().all(|(name, _)| names.contains(name)), "{names:?}");
            assert_eq!(raw.query("select 'served'").await.unwrap(), "served");
        }
        let mut raw = connect(&world, how).await;
        raw.send(&hello(V3_0, &[])).await;
        assert_eq!(raw.until_ready().await[0].tag, b'R', "nothing to negotiate");
    }
    world.stop().await;
}

/// PostgreSQL 18 has keys of 32 bytes in protocol 3.2, and of 4 bytes in 3.0.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test]
async fn long_cancel_keys_pass_the_front_door_of_another_replica() {
    use crate::support::postgres::Postgres;

    let Some(binaries) = crate::drivers::postgres_18().await else { return };
    let postgres = Postgres::start_from(&binaries).await;
    let orders = target("orders", postgres.port, "server_names: [localhost]");
    let world = World::new().with_postgres(postgres).with_server(&server_tls()).with_server(&orders);
    let world = world.with_server("proxy: {default_target: orders}").without_client().with_second_server();
    let world = world.start().await;
    for (version, length) in [(V3_0, 4), (V3_2, 32), (GREASE, 32)] {
        for how in 0..3 {
            let mut session = connect(&world, how).await;
            session.send(&hello(version, &[])).await;
            let messages = session.until_ready().await;
            let key = body(&messages, b'K').expect("no key").to_vec();
            assert_eq!(key.len(), 4 + length, "{version:#x}");
            assert_eq!(body(&messages, b'v').is_some(), version == GREASE, "{version:#x}");
            let sql = format!("select pg_sleep(300) as {}", unique("long_key"));
            session.send(&query(&sql)).await;
            wait_for_queries(&world, &sql, 1).await;
            request_cancel(world.proxy("server-2"), &key).await;
            expect_cancelled(&mut session).await;
        }
    }
    world.stop().await;
}
