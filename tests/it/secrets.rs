//! What goes wrong while a secret is at hand. The world searches all output at its end; here the application's side is
//! searched too.

use crate::support::fake::{Fake, authentication};
use crate::support::plan::World;
use crate::support::raw::{Message, Raw, V3_0, message, packet, query, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::random_text;

#[tokio::test]
async fn no_failure_at_the_servers_door_tells_the_password() {
    let fake = Fake::answering(authentication(99, b"")).await;
    let world = World::new().with_target("fake", &fake.target("require")).start().await;
    let (endpoint, fake) = (world.rds().endpoint(), format!("localhost:{}", fake.port));
    let secret = random_text(32);
    let long = secret.repeat(400);
    let cases: &[&[(&str, &str)]] = &[
        &[("user", "by_password"), ("host", &endpoint), ("password", &secret)],
        &[("user", "by_scram"), ("host", &endpoint), ("password", &secret)],
        &[("user", "by_md5"), ("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &endpoint), ("password", &secret)],
        &[("user", "nobody at all"), ("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &fake), ("password", &secret)],
        &[("user", "alice"), ("host", "localhost:1"), ("password", &secret)],
        &[("user", "alice"), ("host", ""), ("password", &secret)],
        &[("user", "alice"), ("password", &secret)],
        &[("host", &endpoint), ("password", &secret)],
        &[("user", "alice"), ("host", &endpoint), ("password", &long)],
        &[("user", "alice"), ("host", &endpoint), ("password", &secret), ("rds-auth-proxy.cancel", &secret)],
    ];
    for case in cases {
        let with_database = [*case, &[("database", DATABASE)]].concat();
        expect_silence_about(&secret, world.server().port(), &startup(V3_0, &with_database)).await;
    }
    let malformed =
        packet(&[&V3_0.to_be_bytes(), b"password\0".as_slice(), secret.as_bytes(), b"\0"].concat());
    expect_silence_about(&secret, world.server().port(), &malformed).await;
    let version_2 = startup(0x2_0000, &[("password", &secret)]);
    expect_silence_about(&secret, world.server().port(), &version_2).await;
    world.add_secret(&secret);
    world.stop().await;
}

#[tokio::test]
async fn a_password_that_an_application_types_is_not_told() {
    let world = World::new()
        .target("plain")
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .start()
        .await;
    let secret = random_text(32);
    for typed in
        [message(b'p', &[secret.as_bytes(), &[0]].concat()), message(b'q', secret.as_bytes()), query(&secret)]
    {
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&startup(V3_0, &[("user", "by_password"), ("database", DATABASE)])).await;
        assert_eq!(raw.message().await.unwrap().tag, b'R');
        raw.send(&typed).await;
        let said = raw.refused().await;
        assert!(!format!("{said:?}").contains(&secret), "it was told to the application");
    }
    world.add_secret(&secret);
    world.stop().await;
}

async fn expect_silence_about(secret: &str, port: u16, startup: &[u8]) {
    let mut raw = Raw::connect(port).await;
    let _ = raw.try_send(startup).await;
    let mut said = Vec::new();
    while let Some(Message { tag, body }) = raw.message().await {
        assert_ne!(tag, b'Z', "the login was to fail");
        said.extend(body);
    }
    assert!(!said.is_empty(), "the application was told nothing");
    assert!(!String::from_utf8_lossy(&said).contains(secret), "it was told to the application");
}
