use rds_auth_proxy::kubernetes::forward;
use rds_auth_proxy::net::{Address, Listener};
use rds_auth_proxy::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::backend::{checksum, expected};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_local_port_leads_to_the_pod() {
    let world = World::new().await;
    let mut backend = world.pod("p").await;
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { panic!("it is no TCP address") };
    let address = address.to_string();
    let shutdown = Shutdown::new();
    let forwarding = tokio::spawn(forward(listener, world.tunnel(), shutdown.clone()));

    let mut named = TcpStream::connect(&address).await.unwrap();
    named.write_all(b"N").await.unwrap();
    let mut name = String::new();
    named.read_to_string(&mut name).await.unwrap();
    assert_eq!(name, "p");

    let mut large = TcpStream::connect(&address).await.unwrap();
    large.write_all(b"D").await.unwrap();
    large.write_u64(5_000_000).await.unwrap();
    large.shutdown().await.unwrap();
    assert_eq!(checksum(&mut large, 5_000_000).await.unwrap(), expected(5_000_000));

    let mut echo = TcpStream::connect(&address).await.unwrap();
    echo.write_all(b"Ehello").await.unwrap();
    echo.read_exact(&mut [0; 5]).await.unwrap();
    backend.close().await;
    let mut refused = TcpStream::connect(&address).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0, "a connection without a pod is closed");
    shutdown.drain();
    let refused = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(30), refused).await;
    refused.expect("connections are still accepted");
    echo.write_all(b"again").await.unwrap();
    echo.read_exact(&mut [0; 5]).await.unwrap();
    shutdown.end();
    forwarding.await.unwrap();
}
