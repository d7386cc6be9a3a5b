//! Compatibility with the other implementation of the contract: a client or server that knows `host` and `password`
//! but no extension.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::builder::World;
use crate::support::instance::REGION;
use crate::support::protocol::{FirstPacket, Startup, read_first, refuse};
use crate::support::raw::Raw;
use crate::support::roles::AuthMethod;
use crate::support::runtime;
use crate::support::scratch::unique;
use crate::support::token::sign;

/// A server that accepts every startup packet with a user, records it and sends nothing after the login.
#[derive(Clone)]
struct OtherServer {
    port: u16,
    received: Arc<Mutex<Vec<Startup>>>,
}

impl OtherServer {
    async fn start() -> Self {
        let listener = runtime::within(TcpListener::bind("127.0.0.1:0")).await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), received: Arc::default() };
        let accepting = server.clone();
        runtime::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Ok(FirstPacket::Startup(startup)) = read_first(&mut stream).await else {
            panic!("the first packet is not a startup packet")
        };
        let user = startup.user().to_owned();
        self.received.lock().unwrap().push(startup);
        if user.is_empty() {
            return refuse(&mut stream, "28000", "no PostgreSQL user name specified").await.unwrap();
        }
        let answer = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\x10\x92\0\x01\xe2\x40Z\0\0\0\x05I";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    fn client(&self, more: &str) -> World {
        let port = self.port;
        World::new()
            .without_server()
            .with_client(&format!("upstream_proxies: {{default: {{host: 'localhost:{port}', {more}}}}}"))
    }

    fn received(&self) -> Vec<Startup> {
        self.received.lock().unwrap().clone()
    }
}

const APPLICATION: [(&str, &str); 5] = [
    ("application_name", "ledger"),
    ("user", "alice"),
    ("options", "-c work_mem=4MB"),
    ("database", "app"),
    ("DateStyle", "ISO"),
];

fn pairs(startup: &Startup) -> Vec<(&str, &str)> {
    startup.parameters.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test]
async fn the_client_adds_host_and_password_to_the_applications_parameters() {
    let server = OtherServer::start().await;
    let world = server.client("ssl: {mode: disable}").start().await;
    Raw::log_in(world.client().port(), &APPLICATION).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].version, 3 << 16);
    let parameters = pairs(&received[0]);
    assert_eq!(parameters[..5], APPLICATION);
    assert_eq!(parameters[5], ("host", &*world.rds().endpoint()));
    let (name, token) = parameters[6];
    assert_eq!((name, parameters.len()), ("password", 7));
    assert!(token.starts_with(&format!("{}/?Action=connect&DBUser=alice&", world.rds().endpoint())));
    world.add_secret(token);

    // The client replaces `host` and `password` of an application.
    let forged = [APPLICATION[0], ("user", "alice"), ("host", "elsewhere:1"), ("password", "a guess")];
    Raw::log_in(world.client().port(), &forged).await.unwrap();
    let received = server.received();
    assert_eq!(received[1].parameters.len(), 4);
    assert_eq!(received[1].find("host"), Some(&*world.rds().endpoint()));
    assert!(received[1].find("password").unwrap().contains("/?Action=connect&"));
    world.stop().await;
}

#[tokio::test]
async fn a_server_with_aws_auth_only_receives_no_password() {
    let server = OtherServer::start().await;
    let world = server.client("aws_auth_only: true, ssl: {mode: disable}").start().await;
    Raw::log_in(world.client().port(), &APPLICATION).await.unwrap();
    let received = server.received();
    assert_eq!(pairs(&received[0])[..5], APPLICATION);
    assert_eq!(pairs(&received[0])[5..], [("host", &*world.rds().endpoint())]);
    world.stop().await;
}

#[tokio::test]
async fn a_server_without_the_cancel_extension_survives_a_cancel_request() {
    let server = OtherServer::start().await;
    let world = server.client("ssl: {mode: disable}").start().await;
    let session = Raw::log_in(world.client().port(), &APPLICATION).await.unwrap();
    let mut cancel = Raw::connect(world.client().port()).await;
    cancel.send(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\x10\x92\0\x01\xe2\x40").await;
    assert!(cancel.message().await.is_none(), "the proxy answers a cancel request");
    let received = server.received();
    let endpoint = world.rds().endpoint();
    assert_eq!(pairs(&received[1]), [("host", &*endpoint), ("rds-auth-proxy.cancel", "4242:0001e240")]);
    drop(session);
    Raw::log_in(world.client().port(), &APPLICATION).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_client_of_the_other_implementation_logs_in_through_this_server() {
    let world = World::new().without_client().start().await;
    let user = unique("elsewhere");
    world.postgres.create_role(&user, AuthMethod::Iam).await;
    world.postgres.create_database(&user).await;
    let endpoint = world.rds().endpoint();
    let token = sign(&endpoint, REGION, &user, &world.key, SystemTime::now());
    let (host, password, user) = (("host", &*endpoint), ("password", &*token), ("user", &*user));
    let options = ("options", "-c work_mem=4242kB");
    // That client sends its parameters in the order of a hash map, and an empty `database` if the application names none.
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[password, options, user, host, ("database", "app")], "app"),
        (&[host, ("database", "app"), ("client_encoding", "UTF8"), user, password, options], "app"),
        (&[("database", ""), user, options, password, host], user.1),
    ];
    for (parameters, database) in cases {
        let (mut session, _) = Raw::log_in(world.server().port(), parameters).await.unwrap();
        let answer = session.query("select current_database() || current_setting('work_mem')").await;
        assert_eq!(answer.unwrap(), format!("{database}4242kB"));
        let login = world.rds().logins().pop().unwrap();
        let left: Vec<_> = login.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected: Vec<_> =
            parameters.iter().copied().filter(|(name, _)| !["host", "password"].contains(name)).collect();
        assert_eq!(left, expected);
    }
    world.stop().await;
}

#[tokio::test]
async fn the_error_names_an_unreachable_server() {
    let world = World::new().without_server().start().await;
    let error = tokio::time::timeout(Duration::from_secs(30), world.refusal("alice")).await;
    let error = error.unwrap();
    assert_eq!(error.code().code(), "57P03");
    let config = std::fs::read_to_string(world.directory.join("client.yaml")).unwrap();
    let address = config.split_once("host: ").unwrap().1.split_once('\n').unwrap().0;
    let expected = format!("the upstream proxy default at {address} cannot be reached: ");
    assert!(error.message().contains(&expected), "{expected}: {error}");
    world.stop().await;
}
