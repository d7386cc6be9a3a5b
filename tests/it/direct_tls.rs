//! TLS from a proxy to its hop: direct TLS, and a certificate with another name than the dialled one.

use crate::support::builder::World;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, login};

const DIRECT: &str = "upstream_proxies: {default: {ssl: {negotiation: direct}}}";

#[tokio::test]
async fn a_client_reaches_its_server_by_direct_tls() {
    let world = World::new().with_server_tls().with_client(DIRECT).start().await;
    assert_eq!(world.psql("alice", "select current_user").await.as_deref(), Ok("alice"));
    world.stop().await;
}

#[tokio::test]
async fn postgresql_15_refuses_direct_tls_and_the_application_reads_what_to_change() {
    let world = at_postgres(Postgres::shared().await.port).start().await;
    let refusal = refused(world.server()).await;
    refusal.expect("08001", &["does not accept direct TLS", "PostgreSQL 17 or later"]);
    world.stop().await;
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test]
async fn postgresql_18_accepts_direct_tls() {
    let Some(binaries) = crate::drivers::postgres_18().await else { return };
    let postgres = Postgres::start_from(&binaries).await;
    let world = at_postgres(postgres.port).start().await;
    let mut session = Raw::session(world.server().port(), "by_trust").await;
    let tls = session.query("select version from pg_stat_ssl where pid = pg_backend_pid()").await;
    assert_eq!(tls.as_deref(), Ok("TLSv1.3"));
    drop(session);
    world.stop().await;
}

/// The certificate of the database has the name `localhost` alone.
#[tokio::test]
async fn a_server_name_replaces_the_dialled_one_in_sni_and_verification() {
    let target = |name: &str| {
        let name = if name.is_empty() { String::new() } else { format!(", server_name: {name}") };
        let ssl = format!("{{mode: verify-full, root_certificate: <ca>{name}}}");
        World::new()
            .with_server(&format!("targets: {{db: {{host: '127.0.0.1:<port of db-1>', ssl: {ssl}}}}}"))
            .with_server("proxy: {default_target: db}")
            .without_client()
    };
    for (name, reason) in [("", "127.0.0.1"), ("other.example", "other.example"), ("localhost", "")] {
        let world = target(name).start().await;
        if reason.is_empty() {
            drop(Raw::session(world.server().port(), "by_trust").await);
            let logins = world.rds().logins();
            assert_eq!(logins[0].server_name.as_deref(), Some("localhost"), "{logins:?}");
        } else {
            refused(world.server()).await.expect("08001", &["is not valid for", reason]);
        }
        world.stop().await;
    }
}

/// A server with direct TLS to the PostgreSQL at this port.
fn at_postgres(port: u16) -> World {
    let ssl = "{mode: verify-full, root_certificate: <ca>, negotiation: direct}";
    World::new()
        .with_server(&format!("targets: {{db: {{host: 'localhost:{port}', ssl: {ssl}}}}}"))
        .with_server("proxy: {default_target: db}")
        .without_client()
}

async fn refused(proxy: &Proxy) -> crate::support::raw::Refusal {
    let mut raw = Raw::connect(proxy.port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await
}
