//! Calls to AWS through the HTTP proxy of the environment.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

/// The first line of each request that an HTTP proxy receives while discovery queries `endpoint`. The proxy refuses them.
async fn proxied(endpoint: &str, no_proxy: &str) -> Vec<String> {
    proxied_by(&["HTTPS_PROXY"], endpoint, no_proxy).await
}

/// The same with the proxy in the last of these variables and the empty text in the others.
async fn proxied_by(names: &[&str], endpoint: &str, no_proxy: &str) -> Vec<String> {
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
    let mut variables = vec![("NO_PROXY", no_proxy), ("AWS_ENDPOINT_URL", endpoint)];
    let (last, empty) = names.split_last().unwrap();
    variables.extend(empty.iter().map(|name| (*name, "")));
    variables.push((last, &url));
    let listed = Proxy::start(home.path(), &variables).send("list");
    assert!(listed["listed"].as_str().unwrap().starts_with("Err("), "{listed}");
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

/// Python's `urllib.request.getproxies_environment`, which the AWS CLI uses, and Go skip empty ones.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_proxy_variable_counts_as_unset() {
    let lines = proxied_by(&["HTTPS_PROXY", "https_proxy"], "https://rds.example.test", "").await;
    assert!(lines.contains(&"CONNECT rds.example.test:443 HTTP/1.1".to_owned()), "{lines:?}");
    let lines = proxied_by(&["HTTPS_PROXY", "HTTP_PROXY"], "http://rds.example.test", "").await;
    assert!(lines.contains(&"POST http://rds.example.test/ HTTP/1.1".to_owned()), "{lines:?}");
}

/// Python's `proxy_bypass_environment` compares the host with its port too.
#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_may_name_a_port() {
    assert_eq!(proxied("https://127.0.0.1:1", "127.0.0.1:1").await, Vec::<String>::new());
    assert_eq!(proxied("https://localhost:1", "example.com, localhost:1").await, Vec::<String>::new());
    let lines = proxied("https://127.0.0.1:1", "127.0.0.1:443").await;
    assert!(lines.contains(&"CONNECT 127.0.0.1:1 HTTP/1.1".to_owned()), "{lines:?}");
}

#[test]
fn an_unusable_proxy_is_named_without_its_password() {
    let home = home(&[(".aws/credentials", &keys("AKIDPROXY", "s", ""))]);
    let variables =
        [("HTTPS_PROXY", "ftp://user:hunter2@proxy"), ("AWS_ENDPOINT_URL", "https://rds.example.test")];
    let listed = Proxy::start(home.path(), &variables).send("list").to_string();
    assert!(
        listed.contains("HTTPS_PROXY is not the URL of an HTTP proxy; write http://HOST:PORT"),
        "{listed}"
    );
    assert!(!listed.contains("hunter2"), "{listed}");
}
