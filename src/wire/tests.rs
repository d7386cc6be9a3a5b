//! Properties of all messages: a decoder reads back what an encoder wrote, and no input makes a decoder panic.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::wire::{
    Authentication, BackendMessage, CancelKey, CancelRequest, DecodeError, ErrorResponse, FirstPacket,
    Header, ProtocolVersion, SaslInitialResponse, Severity, SqlState, StartupMessage, decode_password,
    encode_password, encode_sasl_initial_response, encode_sasl_response, password_body_length,
    startup_body_length,
};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn string(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, length)
}

fn parameters() -> impl Strategy<Value = Pairs> {
    vec((string(1..20), string(0..60)), 0..20)
}

/// Few names, so that duplicates are common.
fn named_parameters() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    vec(("(user|host|password|x)", string(0..20)), 0..10)
}

fn startup_packet(minor: u16, pairs: &Pairs) -> Vec<u8> {
    let mut body = [&[0, 3], &minor.to_be_bytes()[..]].concat();
    for (name, value) in pairs {
        body.extend([&name[..], b"\0", value, b"\0"].concat());
    }
    body.push(0);
    body
}

/// Decodes a first packet as a reader of a socket does.
fn read_first(packet: &[u8]) -> FirstPacket {
    let (word, body) = packet.split_first_chunk().unwrap();
    assert_eq!(startup_body_length(*word), Ok(body.len()));
    FirstPacket::decode(body).unwrap()
}

/// Decodes a message of a database as a reader of a socket does.
fn read_backend(message: &[u8]) -> BackendMessage<'_> {
    let (header, body) = message.split_first_chunk().unwrap();
    let header = Header::decode(*header).unwrap();
    assert_eq!(header.body_length, body.len());
    BackendMessage::decode(header.tag, body).unwrap()
}

fn read_answer(message: &[u8]) -> &[u8] {
    let (header, body) = message.split_first_chunk().unwrap();
    assert_eq!(password_body_length(*header), Ok(body.len()));
    body
}

fn encoded(message: &BackendMessage<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    out
}

fn owned(startup: &StartupMessage) -> Pairs {
    startup.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Runs every decoder on the same bytes. None may panic.
fn decode_with_all(bytes: &[u8]) {
    let _ = FirstPacket::decode(bytes);
    for code in [[0, 3, 0, 0], [0, 3, 0x27, 0x0f], [4, 210, 22, 46], [4, 210, 22, 47], [4, 210, 22, 48]] {
        let _ = FirstPacket::decode(&[&code[..], bytes].concat());
    }
    for tag in *b"RENSKvZT" {
        let _ = BackendMessage::decode(tag, bytes);
    }
    for code in 0..=13 {
        let _ = Authentication::decode(&[&[0, 0, 0, code], bytes].concat());
    }
    let _ = CancelRequest::from_parameter(bytes);
    let _ = CancelKey::from_hex(bytes);
    let _ = decode_password(bytes);
    let _ = SaslInitialResponse::decode(bytes);
    if let Some(header) = bytes.first_chunk() {
        let _ = Header::decode(*header);
        let _ = password_body_length(*header);
    }
    if let Some(word) = bytes.first_chunk() {
        let _ = startup_body_length(*word);
    }
}

proptest! {
    #[test]
    fn startup_packets_are_read_back(minor: u16, pairs in parameters()) {
        let body = startup_packet(minor, &pairs);
        let FirstPacket::Startup(startup) = FirstPacket::decode(&body).unwrap() else { panic!("no startup") };
        prop_assert_eq!(owned(&startup), pairs);

        let mut out = BytesMut::new();
        startup.encode(&mut out).unwrap();
        prop_assert_eq!(&out[4..], &body[..]);
        let FirstPacket::Startup(again) = read_first(&out) else { panic!("no startup") };
        prop_assert_eq!(again.version, ProtocolVersion { major: 3, minor });
        prop_assert_eq!(owned(&again), owned(&startup));
    }

    #[test]
    fn a_startup_packet_cut_anywhere_is_refused(pairs in parameters()) {
        let body = startup_packet(0, &pairs);
        for end in 0..body.len() {
            let refused = FirstPacket::decode(&body[..end]).map(|_| ());
            let truncated = matches!(refused, Err(DecodeError::Truncated { .. }));
            prop_assert!(truncated, "{} of {}: {:?}", end, body.len(), refused);
        }
    }

    #[test]
    fn set_and_remove_behave_like_those_of_a_list(
        sent in named_parameters(),
        name in "(user|host|password|x)",
        value in string(0..20),
    ) {
        let pairs: Pairs = sent.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect();
        let decode = || match FirstPacket::decode(&startup_packet(0, &pairs)) {
            Ok(FirstPacket::Startup(startup)) => startup,
            other => panic!("{other:?}"),
        };
        let others = |pairs: Pairs| -> Pairs {
            pairs.into_iter().filter(|(known, _)| known != name.as_bytes()).collect()
        };
        let last = sent.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let position = sent.iter().position(|(known, _)| *known == name);

        let mut startup = decode();
        prop_assert_eq!(startup.get(&name), last.as_deref());
        startup.set(&name, &value).unwrap();
        let changed = owned(&startup);
        let kept = changed.iter().position(|(known, _)| known == name.as_bytes());
        prop_assert_eq!(kept, Some(position.unwrap_or(pairs.len())));
        prop_assert_eq!(startup.get(&name), Some(&value[..]));
        prop_assert_eq!(changed.len(), others(pairs.clone()).len() + 1);
        prop_assert_eq!(others(changed), others(pairs.clone()));

        let mut startup = decode();
        let removed = startup.remove(&name).map(|value| value.expose().to_vec());
        prop_assert_eq!(removed, last);
        prop_assert_eq!(owned(&startup), others(pairs.clone()));
    }

    #[test]
    fn cancel_requests_are_read_back(process_id: u32, key in vec(any::<u8>(), 4..=256)) {
        let request = CancelRequest { process_id, key: CancelKey::new(&key).unwrap() };
        let mut out = BytesMut::new();
        request.encode(&mut out);
        let FirstPacket::Cancel(read) = read_first(&out) else { panic!("no cancel") };
        prop_assert_eq!((read.process_id, read.key.expose()), (process_id, &key[..]));

        let parameter = request.to_parameter();
        let expected = format!("{process_id}:{}", hex::encode(&key));
        prop_assert_eq!(parameter.expose(), expected.as_bytes());
        let read = CancelRequest::from_parameter(parameter.expose()).unwrap();
        prop_assert_eq!((read.process_id, read.key.expose()), (process_id, &key[..]));

        for end in 0..out.len() - 4 {
            let cut = FirstPacket::decode(&out[4..4 + end]);
            // A cut key of 4 bytes or more is valid too: only the length word shows the cut.
            prop_assert_eq!(cut.is_err(), end < 12);
        }
    }

    #[test]
    fn authentication_requests_are_read_back(
        salt: [u8; 4],
        data in vec(any::<u8>(), 0..300),
        names in vec("[A-Z0-9-]{1,20}", 0..8),
        code in prop_oneof![1..=2_u32, Just(4), 6..=9_u32, 13..=u32::MAX],
    ) {
        let mechanisms = names.iter().map(String::as_str).collect();
        for request in [
            Authentication::Ok,
            Authentication::CleartextPassword,
            Authentication::Md5Password { salt },
            Authentication::Sasl { mechanisms },
            Authentication::SaslContinue(&data),
            Authentication::SaslFinal(&data),
            Authentication::Other { code, data: &data },
        ] {
            let out = encoded(&BackendMessage::Authentication(request.clone()));
            let BackendMessage::Authentication(read) = read_backend(&out) else { panic!("not R") };
            prop_assert_eq!(read, request);
        }
    }

    #[test]
    fn errors_and_notices_are_read_back(fields in vec((1..=u8::MAX, string(0..40)), 0..12)) {
        let mut body: Vec<u8> = fields.iter().flat_map(|(code, value)| [&[*code], &value[..], b"\0"].concat()).collect();
        body.push(0);
        let error = ErrorResponse::decode(&body).unwrap();
        let read: Vec<_> = error.fields().map(|(code, value)| (code, value.to_vec())).collect();
        prop_assert_eq!(read, fields);

        let out = encoded(&BackendMessage::Error(error.clone()));
        prop_assert_eq!(&out[5..], &body[..]);
        let BackendMessage::Error(read) = read_backend(&out) else { panic!("not E") };
        prop_assert_eq!(&read, &error);
        let out = encoded(&BackendMessage::Notice(error.clone()));
        let BackendMessage::Notice(read) = read_backend(&out) else { panic!("not N") };
        prop_assert_eq!(&read, &error);

        for end in 0..body.len() {
            prop_assert!(ErrorResponse::decode(&body[..end]).is_err(), "{} of {}", end, body.len());
        }
    }

    #[test]
    fn errors_of_the_proxy_are_read_back(message: String, detail: String, hint: String) {
        let error = ErrorResponse::new(Severity::Fatal, SqlState::InternalError, message.clone())
            .with_detail(detail.clone())
            .with_hint(hint.clone());
        let out = encoded(&BackendMessage::Error(error));
        let BackendMessage::Error(read) = read_backend(&out) else { panic!("not E") };
        let sent = |text: String| text.replace('\0', "\u{fffd}");
        prop_assert_eq!(read.message().unwrap(), sent(message));
        prop_assert_eq!(read.detail().unwrap(), sent(detail));
        prop_assert_eq!(read.hint().unwrap(), sent(hint));
    }

    #[test]
    fn other_messages_of_a_database_are_read_back(
        name in string(0..40),
        value in string(0..400),
        process_id: u32,
        key in vec(any::<u8>(), 4..=256),
        (major, minor) in any::<(u16, u16)>(),
        names in vec(string(1..20), 0..20),
        status: u8,
    ) {
        let out = encoded(&BackendMessage::ParameterStatus { name: &name, value: &value });
        let BackendMessage::ParameterStatus { name: read_name, value: read_value } = read_backend(&out) else { panic!("not S") };
        prop_assert_eq!((read_name, read_value), (&name[..], &value[..]));

        let out = encoded(&BackendMessage::BackendKeyData { process_id, key: CancelKey::new(&key).unwrap() });
        let BackendMessage::BackendKeyData { process_id: read_id, key: read_key } = read_backend(&out) else { panic!("not K") };
        prop_assert_eq!((read_id, read_key.expose()), (process_id, &key[..]));

        let version = ProtocolVersion { major, minor };
        let unrecognized: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let out = encoded(&BackendMessage::NegotiateProtocolVersion { version, unrecognized: unrecognized.clone() });
        let BackendMessage::NegotiateProtocolVersion { version: read_version, unrecognized: read_names } = read_backend(&out) else { panic!("not v") };
        prop_assert_eq!((read_version, read_names), (version, unrecognized));
        for end in 5..out.len() {
            prop_assert!(BackendMessage::decode(b'v', &out[5..end]).is_err());
        }

        let out = encoded(&BackendMessage::ReadyForQuery { status });
        let BackendMessage::ReadyForQuery { status: read } = read_backend(&out) else { panic!("not Z") };
        prop_assert_eq!(read, status);
    }

    #[test]
    fn answers_are_read_back(password in string(0..3_000), mechanism in "[A-Z0-9-]{1,30}", data in vec(any::<u8>(), 0..300)) {
        let mut out = BytesMut::new();
        encode_password(&password, &mut out).unwrap();
        let read = decode_password(read_answer(&out)).unwrap();
        prop_assert_eq!(read.expose(), &password[..]);
        for end in 5..out.len() {
            prop_assert!(decode_password(&out[5..end]).is_err());
        }

        let mut out = BytesMut::new();
        encode_sasl_initial_response(&mechanism, &data, &mut out).unwrap();
        let read = SaslInitialResponse::decode(read_answer(&out)).unwrap();
        prop_assert_eq!((read.mechanism, read.data), (&mechanism[..], Some(&data[..])));
        for end in 5..out.len() {
            prop_assert!(SaslInitialResponse::decode(&out[5..end]).is_err());
        }

        let mut out = BytesMut::new();
        encode_sasl_response(&data, &mut out).unwrap();
        prop_assert_eq!(read_answer(&out), &data[..]);
    }

    #[test]
    fn no_decoder_panics(bytes in vec(any::<u8>(), 0..600)) {
        decode_with_all(&bytes);
    }

    /// With bytes that pass more checks: many terminators, few other values.
    #[test]
    fn no_decoder_panics_on_likely_bytes(bytes in vec(prop_oneof![Just(0), Just(3), Just(b':'), Just(b'a'), Just(255)], 0..80)) {
        decode_with_all(&bytes);
    }

    /// An encoder writes an accepted message as the same bytes: the proxy relays it unchanged.
    #[test]
    fn accepted_messages_are_encoded_unchanged(tag in prop::sample::select(&b"RENSKvZ"[..]), bytes in vec(prop_oneof![Just(0), Just(3), Just(10), Just(b'a')], 0..40)) {
        if let Ok(message) = BackendMessage::decode(tag, &bytes) {
            prop_assert_eq!(&encoded(&message)[5..], &bytes[..]);
        }
        let body = [&[0, 3, 0, 0], &bytes[..]].concat();
        if let Ok(packet) = FirstPacket::decode(&body) {
            let mut out = BytesMut::new();
            packet.encode(&mut out).unwrap();
            prop_assert_eq!(&out[4..], &body[..]);
        }
    }
}

#[test]
fn requests_without_fields_are_read_back() {
    for packet in [FirstPacket::Ssl, FirstPacket::GssEnc] {
        let mut out = BytesMut::new();
        packet.encode(&mut out).unwrap();
        let read = read_first(&out);
        assert_eq!(format!("{read:?}"), format!("{packet:?}"));
    }
}

#[test]
fn texts_are_cut_at_the_limit_of_libpq() {
    let error = ErrorResponse::new(Severity::Error, SqlState::InternalError, "\u{20ac}".repeat(20_000));
    let out = encoded(&BackendMessage::Error(error.clone().with_hint("h")));
    assert!((29_990..=30_001).contains(&out.len()), "{}", out.len());
    assert_eq!(ErrorResponse::decode(&out[5..]).unwrap().message(), error.message());
}

#[test]
fn no_error_shows_the_input() {
    let packet = b"\0\x03\0\0user\0alice\0password\0hunter2\0\0";
    let cancel = b"4711:68756e74657232";
    let negotiation = b"\0\x03\0\0\0\0\0\x01_pq_.hunter2\0";
    let mut errors = Vec::new();
    for bytes in [&packet[..], b"hunter2\0", cancel, negotiation, b"\0\0\0\x0bSCRAM hunter2\0"] {
        for (begin, end) in
            (0..bytes.len()).flat_map(|begin| (begin..=bytes.len()).map(move |end| (begin, end)))
        {
            let bytes = &bytes[begin..end];
            errors.extend(FirstPacket::decode(bytes).map(drop).err());
            errors.extend(decode_password(bytes).map(drop).err());
            errors.extend(SaslInitialResponse::decode(bytes).map(drop).err());
            errors.extend(CancelRequest::from_parameter(bytes).map(drop).err());
            errors.extend(
                b"RENSKvZ".iter().filter_map(|tag| BackendMessage::decode(*tag, bytes).map(drop).err()),
            );
        }
    }
    let refused = encode_password(b"hunter2\0hunter2", &mut BytesMut::new()).unwrap_err();
    let text = format!("{errors:?} {refused:?}");
    assert!(errors.len() > 1000 && !text.contains("hunter2") && !text.contains("104, 117"), "{text}");
}
