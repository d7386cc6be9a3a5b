//! The first packet of an application.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::wire::{
    CancelRequest, FirstPacket, MAX_STARTUP_PACKET, StartupMessage, startup_body_length,
};

fuzz_target!(|packet: &[u8]| {
    let Some((word, body)) = packet.split_first_chunk() else { return };
    let Ok(length) = startup_body_length(*word) else { return };
    assert!((4..=MAX_STARTUP_PACKET).contains(&length));
    let Some(body) = body.get(..length) else { return };
    let Ok(first) = FirstPacket::decode(body) else { return };

    let mut again = BytesMut::new();
    first.encode(&mut again).expect("a decoded packet can be encoded");
    assert_eq!(&again[..], &packet[..4 + length], "encoding restores the packet");
    let _debug = format!("{first:?}");
    match first {
        FirstPacket::Startup(startup) => change(startup),
        FirstPacket::Cancel(request) => forward(&request),
        FirstPacket::Ssl | FirstPacket::GssEnc => {}
    }
});

/// Changes a startup packet like client and server.
fn change(mut startup: StartupMessage) {
    let _text = startup.text("application_name");
    let user = startup.get("user").map(<[u8]>::to_vec);
    startup.set("host", b"db:5432").expect("a valid value");
    startup.set("password", b"secret").expect("a valid value");
    assert_eq!(startup.get("host"), Some(&b"db:5432"[..]));
    assert_eq!(startup.names().filter(|name| name == "password").count(), 1);
    assert_eq!(startup.remove("password").map(|value| value.expose().to_vec()), Some(b"secret".to_vec()));
    assert!(startup.get("password").is_none() && startup.remove("host").is_some());
    assert_eq!(startup.get("user").map(<[u8]>::to_vec), user, "other parameters changed");
}

/// Encodes a cancel request like the client and decodes it like the server.
fn forward(request: &CancelRequest) {
    let passed = CancelRequest::from_parameter(request.to_parameter().expose())
        .expect("an encoded cancel request can be decoded");
    assert_eq!(passed.process_id, request.process_id);
    assert_eq!(passed.key.expose(), request.key.expose());
}
