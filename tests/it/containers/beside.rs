//! The section `credentials` of a client's configuration: one process serves databases and credentials.

use std::fs;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{JOB_TOKEN, WEB_TOKEN, body, credentials, role, service, status, until};
use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::raw::Raw;
use crate::support::sts::Role;
use crate::support::world::Running;

/// A world whose client serves the service `web` at this port, with `more` in the section. AWS has the roles `web` and `job`.
async fn world(port: u16, more: &str) -> Running {
    let services = service("web", WEB_TOKEN).replace('\n', "\n  ");
    let section = format!("credentials:\n  server: {{port: {port}}}\n  services:\n  {services}\n{more}");
    let world = World::new().with_client(&section).without_client().start().await;
    for name in ["web", "job"] {
        world.aws.put_role(Role::new(&role(name), &[&world.key.owner()]));
    }
    world.add_secret(WEB_TOKEN);
    world.add_secret(JOB_TOKEN);
    world
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Replaces this text in the configuration of the client.
fn edit(world: &Running, from: &str, to: &str) {
    let path = world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in\n{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[tokio::test]
async fn a_client_serves_databases_and_credentials_and_its_metrics_at_the_admin_address() {
    let (port, admin) = (free_port(), free_port());
    let world = world(port, &format!("proxy: {{admin_addr: '{}'}}\n", at(admin))).await;
    let mut client = world.start_client(&[]).await;
    client.wait_for_log("serving credentials").await;
    let answer = credentials(&at(port), WEB_TOKEN).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(body(&answer)["RoleArn"], role("web"));
    assert_eq!(Raw::session(client.port(), "alice").await.query("select 1").await.unwrap(), "1");
    let metrics = super::request(&at(admin), "GET /metrics", "").await;
    assert!(
        metrics.contains("credproxy_requests_total{result=\"success\",service_name=\"web\"} 1"),
        "{metrics}"
    );
    // Both end together.
    client.stop().await;
    assert!(TcpListener::bind(at(port)).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn an_error_in_the_section_costs_no_database_and_is_read_again() {
    let port = free_port();
    let world = world(port, "").await;
    let token = world.directory.join("job-token");
    edit(&world, WEB_TOKEN, &format!("\"${{fromFile:{}}}\"", token.display()));
    let client = world.start_client(&[]).await;
    client.wait_for_log("credentials are not served yet; databases are").await;
    let log = client.log();
    for text in ["client.yaml:", "credentials.services.web.auth_token", "cannot be read: No such file"] {
        assert!(log.contains(text), "{text} is not in\n{log}");
    }
    assert_eq!(Raw::session(client.port(), "alice").await.query("select 1").await.unwrap(), "1");
    fs::write(&token, JOB_TOKEN).unwrap();
    client.wait_for_log("serving credentials").await;
    until(&at(port), JOB_TOKEN, 200).await;
    // From now on a section with an error keeps what it said before.
    edit(&world, "RoleArn", "RoleArm");
    client.wait_for_log("did you mean `RoleArn`?").await;
    assert_eq!(status(&credentials(&at(port), JOB_TOKEN).await), 200);
    edit(&world, "RoleArm", "RoleArn");
    edit(&world, "web:", "job:");
    client.wait_for_log("the services were read again").await;
    // An error elsewhere in the file costs no credentials.
    edit(&world, "upstream_proxies", "upstream_proxy");
    client.wait_for_log("the configuration cannot be used").await;
    assert_eq!(status(&credentials(&at(port), JOB_TOKEN).await), 200);
    world.stop().await;
}

#[tokio::test]
async fn a_client_takes_over_the_port_of_another_one() {
    let port = free_port();
    let world = world(port, "").await;
    let taken = TcpListener::bind(at(port)).await.unwrap();
    let client = world.start_client(&[]).await;
    client.wait_for_log("another program listens there; stop it, or change").await;
    assert_eq!(Raw::session(client.port(), "alice").await.query("select 1").await.unwrap(), "1");
    assert_eq!(world.aws.requests("AssumeRole"), 0, "a client that cannot serve does not call STS");
    drop(taken);
    until_served(port).await;
    drop(client);
    world.stop().await;
}

/// A section that is added later is served, and one that is taken away is not any more.
#[tokio::test]
async fn the_section_comes_and_goes_while_the_client_runs() {
    let port = free_port();
    let world = world(port, "").await;
    edit(&world, "credentials:", "x-credentials:");
    let client = world.start_client(&[]).await;
    assert_eq!(Raw::session(client.port(), "alice").await.query("select 1").await.unwrap(), "1");
    edit(&world, "x-credentials:", "credentials:");
    until_served(port).await;
    edit(&world, "credentials:", "x-credentials:");
    until(&at(port), WEB_TOKEN, 401).await;
    drop(client);
    world.stop().await;
}

async fn until_served(port: u16) {
    let begun = std::time::Instant::now();
    while tokio::net::TcpStream::connect(at(port)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing listens");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until(&at(port), WEB_TOKEN, 200).await;
}
