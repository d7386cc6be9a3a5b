//! Logins that give away no more than configured: the order of the hop's messages, its login methods, channel binding,
//! IAM tokens and the identity in the audit line.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::support::builder::World;
use crate::support::fake_database::{
    FakeDatabase, LOGIN_OK, accept_tls, acceptor, authentication, read_until_close,
};
use crate::support::instance::REGION;
use crate::support::protocol::read_first;
use crate::support::raw::{Raw, Refusal, V3_0, login, message, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::random_text;
use crate::support::token::sign;
use crate::support::world::Running;

const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;

/// A server with a static target `fake`, and clients that bring a password along.
async fn world_with(target: &str) -> (Running, String) {
    let password = random_text(24);
    let world = World::new()
        .with_target("fake", target)
        .target("fake")
        .with_client_flag("--password")
        .with_client_flag(&password)
        .start()
        .await;
    world.add_secret(&password);
    (world, password)
}

async fn refusal_of(world: &Running) -> Refusal {
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    raw.ready().await.map(drop).unwrap_err()
}

/// A fake database with TLS that sends `request` after the startup packet, and keeps what it receives then.
async fn requesting(request: Vec<u8>, acceptor: TlsAcceptor) -> (FakeDatabase, Arc<Mutex<Vec<u8>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let fake = FakeDatabase::start(move |stream| {
        let (request, acceptor, kept) = (request.clone(), acceptor.clone(), Arc::clone(&kept));
        async move {
            let mut stream = accept_tls(stream, &acceptor).await;
            let _ = stream.write_all(&request).await;
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        }
    })
    .await;
    (fake, received)
}

#[tokio::test]
async fn a_hop_that_changes_the_order_of_a_login_is_refused() {
    let ok = authentication(0, b"");
    let cleartext = authentication(CLEARTEXT, b"");
    let md5 = authentication(MD5, b"salt");
    let ready = message(b'Z', b"I");
    for (messages, reason) in [
        (vec![&cleartext, &md5], "it requested a second login method"),
        (vec![&cleartext, &cleartext], "it requested a second login method"),
        (vec![&ok, &cleartext], "it sent an authentication message after AuthenticationOk"),
        (vec![&ok, &ok], "it sent an authentication message after AuthenticationOk"),
        (vec![&ready], "it began the session without AuthenticationOk"),
        (vec![&cleartext, &ready], "it began the session without AuthenticationOk"),
    ] {
        let messages = messages.into_iter().flatten().copied().collect();
        let fake = FakeDatabase::answering(messages).await;
        let (world, _) = world_with(&fake.target("disable")).await;
        refusal_of(&world).await.expect("08P01", &["the database fake", "broke the protocol", reason]);
        world.stop().await;
    }
}

#[tokio::test]
async fn unverified_tls_gets_no_clear_text_and_no_md5_unless_configured() {
    for (code, data, method) in [(CLEARTEXT, &b""[..], "password"), (MD5, b"salt", "md5")] {
        let (fake, received) = requesting(authentication(code, data), acceptor()).await;
        let (world, _) = world_with(&fake.target("require")).await;
        let refusal = refusal_of(&world).await;
        let reason =
            format!("uses the login method {method}, which is not allowed where TLS does not verify");
        refusal.expect("28000", &["the database fake", &reason]);
        assert!(
            refusal.hint().unwrap().contains(&format!("targets.fake.require_auth: {method}")),
            "{refusal:?}"
        );
        assert!(received.lock().unwrap().is_empty(), "no answer reached the hop");
        world.stop().await;
    }
}

#[tokio::test]
async fn require_auth_allows_and_excludes_methods() {
    let (fake, received) = requesting(authentication(CLEARTEXT, b""), acceptor()).await;
    let target = |mode: &str, methods: &str| {
        let target = fake.target(mode);
        format!("{}, require_auth: '{methods}'}}", target.strip_suffix('}').unwrap())
    };
    let (world, password) = world_with(&target("require", "password")).await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    let sent = async {
        while received.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await.expect("the hop receives the password");
    assert!(String::from_utf8_lossy(&received.lock().unwrap()).contains(&password));
    drop(raw);
    world.stop().await;

    let (world, _) = world_with(&target("verify-full", "scram-sha-256")).await;
    let reason = "uses the login method password, which targets.fake.require_auth excludes";
    refusal_of(&world).await.expect("28000", &["the database fake", reason]);
    world.stop().await;
}

/// A hop that lets everybody in learns nothing, but the session may be with an impostor.
#[tokio::test]
async fn require_auth_can_demand_an_authentication() {
    let fake = FakeDatabase::answering(LOGIN_OK.to_vec()).await;
    let target = fake.target("disable");
    let target = format!("{}, require_auth: '!none'}}", target.strip_suffix('}').unwrap());
    let (world, _) = world_with(&target).await;
    refusal_of(&world)
        .await
        .expect("28000", &["uses the login method none, which targets.fake.require_auth"]);
    world.stop().await;
}

/// An Ed25519 certificate has no digest for `tls-server-end-point` (RFC 5929), so it cannot carry channel binding.
#[tokio::test]
async fn a_certificate_without_a_digest_does_not_switch_channel_binding_off() {
    let offer = authentication(SASL, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    let (fake, received) = requesting(offer, ed25519()).await;
    let (world, _) = world_with(&fake.target("require")).await;
    refusal_of(&world).await.expect("28P01", &["no hash for channel binding", "verify-full"]);
    assert!(received.lock().unwrap().is_empty(), "no answer reached the hop");
    world.stop().await;

    // Without -PLUS on offer the flag `y` lets a database that has it notice the shortened offer.
    let (fake, received) = requesting(authentication(SASL, b"SCRAM-SHA-256\0\0"), ed25519()).await;
    let (world, _) = world_with(&fake.target("require")).await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    let sent = async {
        while received.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await.expect("the hop receives an answer");
    let answer = String::from_utf8_lossy(&received.lock().unwrap()).into_owned();
    assert!(answer.contains("y,,n="), "{answer:?}");
    drop(raw);
    world.stop().await;
}

fn ed25519() -> TlsAcceptor {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A false upstream proxy that asks for "the password" after it has the token.
#[tokio::test]
async fn a_client_that_sent_a_token_relays_no_password_request() {
    let upstream = FakeDatabase::start(|mut stream| async move {
        let _ = read_first(&mut stream).await;
        let _ = stream.write_all(&authentication(CLEARTEXT, b"")).await;
        read_until_close(&mut stream).await;
    })
    .await;
    let yaml = format!(
        "upstream_proxies: {{false: {{host: 'localhost:{}', ssl: {{mode: disable}}}}}}",
        upstream.port
    );
    let world = World::new().with_client(&yaml).without_client().start().await;
    let client = world.start_client(&["--proxy-target", "false"]).await;
    let mut raw = Raw::connect(client.port()).await;
    raw.send(&login("alice")).await;
    raw.refused()
        .await
        .expect("08P01", &["the upstream proxy false", "requested a password after it had received one"]);
    world.stop().await;
}

/// Logs in at the server as a client does.
async fn log_in(world: &Running, user: &str, password: Option<&str>) -> Result<(), Refusal> {
    let endpoint = world.rds().endpoint();
    let mut parameters = vec![("user", user), ("database", DATABASE), ("host", endpoint.as_str())];
    parameters.extend(password.map(|password| ("password", password)));
    Raw::log_in(world.server().port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn a_token_for_another_login_is_refused_before_the_database_is_dialled() {
    let world = World::new().without_client().start().await;
    let now = SystemTime::now();
    let endpoint = world.rds().endpoint();
    let (_, port) = endpoint.rsplit_once(':').unwrap();
    let token = |endpoint: &str, region: &str, user: &str, at: SystemTime| {
        sign(endpoint, region, user, &world.key, at)
    };
    let other_port = endpoint.replace(port, "1");
    for (token, reason) in [
        (token("elsewhere.example:5432", REGION, "alice", now), "is for elsewhere.example:5432, not for"),
        (token(&other_port, REGION, "alice", now), "not for"),
        (token(&endpoint, "eu-central-2", "alice", now), "is for the region \"eu-central-2\", not for"),
        (token(&endpoint, REGION, "bob", now), "is for the user \"bob\", not for \"alice\""),
        (token(&endpoint, REGION, "alice", now - Duration::from_secs(1300)), "expired"),
        (
            token(&endpoint, REGION, "alice", now + Duration::from_secs(1300)),
            "in the future; check the clocks",
        ),
    ] {
        let refusal = log_in(&world, "alice", Some(&token)).await.unwrap_err();
        refusal.expect("28000", &["rds-auth-proxy: the login is refused", "the IAM token", reason]);
    }
    assert_eq!(world.rds().connections(), 0, "the database was not dialled");
    log_in(&world, "alice", Some(&token(&endpoint, REGION, "alice", now))).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn require_iam_accepts_tokens_only_also_from_the_application() {
    let world = World::new().with_server("rds: {require_iam: true}").without_client().start().await;
    world.add_secret("not a token at all");
    let refusal = log_in(&world, "alice", Some("not a token at all")).await.unwrap_err();
    refusal.expect("28000", &["the password is no IAM token", "rds.require_iam"]);
    assert_eq!(world.rds().connections(), 0, "the database was not dialled");

    // The application answers the relayed request, as a client with aws_auth_only does.
    let endpoint = world.rds().endpoint();
    let parameters = [("user", "alice"), ("database", DATABASE), ("host", endpoint.as_str())];
    for (password, accepted) in [
        ("not a token at all".to_owned(), false),
        (sign(&endpoint, REGION, "alice", &world.key, SystemTime::now()), true),
    ] {
        let mut raw = Raw::connect(world.server().port()).await;
        raw.send(&startup(V3_0, &parameters)).await;
        assert_eq!(raw.message().await.expect("the password request").tag, b'R');
        raw.send(&message(b'p', &[password.as_bytes(), b"\0"].concat())).await;
        if accepted {
            raw.until_ready().await;
        } else {
            raw.refused().await.expect("28000", &["the password is no IAM token"]);
        }
    }

    // The rule counts before channel binding: to disable that would not help.
    let parameters = [("user", "by_scram"), ("database", DATABASE), ("host", endpoint.as_str())];
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &parameters)).await;
    assert_eq!(raw.message().await.expect("the offer").tag, b'R');
    raw.send(&message(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\0")).await;
    raw.refused().await.expect("28000", &["the password is no IAM token"]);
    world.stop().await;
}

#[tokio::test]
async fn a_claimed_identity_is_logged_as_a_claim() {
    let world = World::new().without_client().start().await;
    let endpoint = world.rds().endpoint();
    let genuine = sign(&endpoint, REGION, "alice", &world.key, SystemTime::now());
    log_in(&world, "alice", Some(&genuine)).await.unwrap();
    world.server().wait_for_log(&format!(r#""identity":"{}","identity_claimed":"""#, world.key.id)).await;

    // A user without IAM, whose database does not look at the password.
    let forged = sign(&endpoint, REGION, "by_trust", &world.key, SystemTime::now())
        .replace(&world.key.id, "AKIAFORGED");
    log_in(&world, "by_trust", Some(&forged)).await.unwrap();
    world.server().wait_for_log(r#""identity":"","identity_claimed":"AKIAFORGED""#).await;
    world.stop().await;
}
