//! Calls to AWS through the HTTP proxy of the environment.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

/// The first line of each request that an HTTP proxy receives while discovery queries `endpoint`. The proxy refuses them.
async fn proxied(endpoint: &str, no_proxy: &str) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let received = Arc::clone(&lines);
    tokio::spawn(async move {
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            received.lock().push(line.trim().to_owned());
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        }
    });
    let home = home(&[(".aws/credentials", &keys("AKIDPROXY", "s", ""))]);
    let variables = [("HTTPS_PROXY", &*url), ("NO_PROXY", no_proxy), ("AWS_ENDPOINT_URL", endpoint)];
    let listed = Proxy::start(home.path(), &variables).send("list");
    assert!(listed["listed"].as_str().unwrap().contains("could not be reached"), "{listed}");
    lines.lock().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_use_the_http_proxy_of_the_environment() {
    let lines = proxied("https://rds.example.test", "").await;
    assert!(lines.contains(&"CONNECT rds.example.test:443 HTTP/1.1".to_owned()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_is_respected() {
    assert_eq!(proxied("https://127.0.0.1:1", "localhost,127.0.0.0/8").await, Vec::<String>::new());
}
