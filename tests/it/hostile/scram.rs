//! A hop that breaks the SCRAM exchange.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::expect;
use crate::support::fake_database::{FakeDatabase, authentication, read_until_close};
use crate::support::protocol::read_first;

#[tokio::test]
async fn four_billion_scram_iterations_are_not_computed() {
    let began = Instant::now();
    let fake = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4294967295"), None).await;
    expect(fake, "disable", "28P01", &["SCRAM", "fewer than 4,096 or more than 1,000,000 iterations"]).await;
    // The computation would take hours.
    assert!(began.elapsed() < Duration::from_mins(2));
}

/// With one iteration, a hostile hop guesses the password from the answer 4,096 times faster.
#[tokio::test]
async fn too_few_scram_iterations_get_no_answer() {
    let fake = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4095"), None).await;
    expect(fake, "disable", "28P01", &["SCRAM", "fewer than 4,096 or more than 1,000,000 iterations"]).await;
}

#[tokio::test]
async fn a_login_result_without_proof_of_the_password_is_refused() {
    let fake =
        scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4096"), Some(authentication(0, b""))).await;
    expect(fake, "disable", "08P01", &["it ended a SASL exchange before its last message"]).await;
}

#[tokio::test]
async fn a_wrong_proof_of_the_password_is_refused() {
    let proof = authentication(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let fake = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4096"), Some(proof)).await;
    expect(fake, "disable", "28P01", &["the SCRAM login at the database"]).await;
}

#[tokio::test]
async fn a_wrong_nonce_is_refused() {
    let fake = scram_server(|_| "r=elsewhere,s=c2FsdA==,i=4096".into(), None).await;
    expect(fake, "disable", "28P01", &["the SCRAM login at the database"]).await;
}

#[tokio::test]
async fn a_sasl_continuation_without_a_beginning_is_refused() {
    for code in [11, 12] {
        let fake = FakeDatabase::answering(authentication(code, b"r=x,s=c2FsdA==,i=4096")).await;
        expect(fake, "disable", "08P01", &["it sent a SASL message that does not follow the one before"])
            .await;
    }
}

/// A SCRAM server: `first` makes its first message from the client's nonce; it sends `last` after the client's proof.
async fn scram_server(first: fn(&str) -> String, last: Option<Vec<u8>>) -> FakeDatabase {
    FakeDatabase::start(move |mut stream| {
        let last = last.clone();
        async move {
            let _ = read_first(&mut stream).await;
            let _ = stream.write_all(&authentication(10, b"SCRAM-SHA-256\0\0")).await;
            let Some(initial) = read_sasl(&mut stream).await else { return };
            // `n,,n=,r=` and the nonce, in which `r=` may occur by chance (RFC 5802, section 7).
            let (_, nonce) = initial.split_once(",r=").unwrap_or_default();
            let _ = stream.write_all(&authentication(11, first(nonce).as_bytes())).await;
            if let (Some(last), Some(_)) = (last, read_sasl(&mut stream).await) {
                let _ = stream.write_all(&last).await;
            }
            read_until_close(&mut stream).await;
        }
    })
    .await
}

async fn read_sasl(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let _tag = stream.read_u8().await.ok()?;
    let length = stream.read_u32().await.ok()? as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}
