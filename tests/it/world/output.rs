//! The search for secrets finds leaks, and output is collected up to its end.

use std::time::{Duration, SystemTime};

use crate::support::certificates::{Authority, Validity};
use crate::support::identity::AccessKey;
use crate::support::output::{Output, Secrets};
use crate::support::token::sign;

fn output(text: &str) -> Output {
    let output = Output::collect("proxy's stderr".into(), std::io::Cursor::new(text.to_owned().into_bytes()));
    output.wait_for_end(Duration::from_secs(5));
    output
}

fn kinds(secrets: &Secrets, text: &str) -> Vec<String> {
    secrets.leaks(&output(text)).into_iter().map(|leak| leak.kind).collect()
}

#[tokio::test]
async fn every_part_of_a_token_is_found() {
    let key = AccessKey::session(Duration::from_mins(1));
    let token = sign("localhost:5432", "us-east-1", "a b", &key, SystemTime::now());
    let mut secrets = Secrets::default();
    secrets.add_token(&token);
    secrets.add("session token", key.session_token.as_deref().unwrap());

    assert!(kinds(&secrets, &format!("x {token} y")).contains(&"IAM token".to_owned()));
    let signature = token.rsplit_once('=').unwrap().1;
    assert_eq!(kinds(&secrets, signature), ["signature of an IAM token"]);
    assert_eq!(kinds(&secrets, key.session_token.as_deref().unwrap()), ["session token"]);
    let encoded = token.split("X-Amz-Security-Token=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(kinds(&secrets, encoded), ["session token"]);
    assert_eq!(kinds(&secrets, &format!("access key {} for a b", key.id)), [""; 0]);
}

#[tokio::test]
async fn keys_and_passwords_are_found_with_their_line() {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    let mut secrets = Secrets::default();
    secrets.add_key(&certificate.key_pem);
    secrets.add("password", "correct horse");
    let body = certificate.key_pem.lines().nth(1).unwrap();
    let leaks = secrets.leaks(&output(&format!("one\ntwo\n{{\"key\":\"{body}\"}}\ncorrect horse\n")));
    let texts: Vec<_> = leaks.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["proxy's stderr has a private key in line 3", "proxy's stderr has a password in line 4"]
    );
    assert_eq!(kinds(&secrets, &certificate.chain_pem), [""; 0]);
}

#[tokio::test]
async fn waiting_ends_with_the_line_or_the_stream() {
    let limit = Duration::from_secs(5);
    let find = |wanted: &'static str| move |text: &str| text.contains(wanted).then_some(());
    assert_eq!(output("one\ntwo\n").wait_for(limit, find("two")).await, Some(()));
    assert_eq!(output("one\nhalf a li").wait_for(limit, find("half")).await, None);
    assert_eq!(output("one\n").wait_for(limit, find("two")).await, None);
}
