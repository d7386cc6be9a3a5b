//! Notifications of the server to systemd (`sd_notify(3)`).
#![cfg(target_os = "linux")]

use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::builder::World;
use crate::support::scratch;

#[tokio::test]
async fn the_server_notifies_systemd_of_readiness_liveness_and_stop() {
    let path = scratch::new_directory("systemd").join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let world =
        World::new().with_env("NOTIFY_SOCKET", path.to_str().unwrap()).with_env("WATCHDOG_USEC", "400000");
    let mut world = world.without_client().start().await;
    assert_eq!(next(&systemd).await, "READY=1");
    assert!(world.server().log().contains("listening"));
    for _ in 0..3 {
        // systemd would restart it after 400 ms of silence.
        assert_eq!(timeout(Duration::from_secs(2), next(&systemd)).await.unwrap(), "WATCHDOG=1");
    }
    world.server().signal(Signal::TERM);
    while next(&systemd).await != "STOPPING=1" {}
    assert!(world.proxy_mut("server").wait().await.success());
}

/// The next notification.
pub(crate) async fn next(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = timeout(Duration::from_secs(20), socket.recv(&mut message))
        .await
        .expect("the server sends no notification")
        .unwrap();
    String::from_utf8_lossy(&message[..length]).trim().to_owned()
}
