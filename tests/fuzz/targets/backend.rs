//! The messages of a database during a login.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::wire::{Authentication, BackendMessage, ErrorResponse, Header, MAX_LOGIN_MESSAGE};

fuzz_target!(|stream: &[u8]| {
    let mut rest = stream;
    while let Some((message, behind)) = next(rest) {
        rest = behind;
        let (header, body) = message;
        if let Ok(message) = BackendMessage::decode(header.tag, body) {
            check(&message, body);
        }
    }
});

fn next(stream: &[u8]) -> Option<((Header, &[u8]), &[u8])> {
    let (header, rest) = stream.split_first_chunk()?;
    let header = Header::decode(*header).ok()?;
    assert!(header.body_length <= MAX_LOGIN_MESSAGE);
    let (body, behind) = rest.split_at_checked(header.body_length)?;
    Some(((header, body), behind))
}

fn check(message: &BackendMessage<'_>, body: &[u8]) {
    let _debug = format!("{message:?}");
    let mut again = BytesMut::new();
    message.encode(&mut again).expect("a decoded message can be encoded");
    assert_eq!(&again[Header::LENGTH..], body, "encoding restores the message");
    match message {
        BackendMessage::Error(error) | BackendMessage::Notice(error) => check_error(error.clone()),
        BackendMessage::Authentication(request) => {
            let sasl = matches!(request, Authentication::Sasl { .. } | Authentication::SaslContinue(_));
            assert!(!sasl || request.expects_answer());
        }
        _ => {}
    }
}

/// Reads the fields of an error and adds the HINT of a refused login.
fn check_error(mut error: ErrorResponse) {
    let _texts = (error.severity(), error.sqlstate(), error.message(), error.detail(), error.hint());
    error.set_hint("grant rds_iam");
    assert_eq!(error.hint().as_deref(), Some("grant rds_iam"));
    let mut out = BytesMut::new();
    error.encode(&mut out);
    let hinted = ErrorResponse::decode(&out[Header::LENGTH..]);
    assert!(hinted == Ok(error) || out.len() > MAX_LOGIN_MESSAGE);
}
