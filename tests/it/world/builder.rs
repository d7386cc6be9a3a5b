//! The builder creates the world that a test describes.

use serde_yaml::Value;

use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::instance::Instance;
use crate::support::world::Running;

fn config(running: &Running, name: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(running.directory.join(name)).unwrap()).unwrap()
}

#[tokio::test]
async fn yaml_is_merged_over_the_configuration_and_placeholders_are_replaced() {
    let world = World::new()
        .with_instance(Instance::new("db-1").in_region("eu-west-1"))
        .with_cluster("aurora")
        .with_target("fixed", "{host: <postgres>, ssl: {mode: verify-full, root_certificate: <ca>}}")
        .with_server("proxy: {max_connections: 2}")
        .with_client(
            "{upstream_proxies: {default: {host: '<aurora/reader>'}}, rds: {root_certificate: null}}",
        )
        .without_server()
        .without_client()
        .start()
        .await;
    let server = config(&world, "server.yaml");
    assert_eq!(server["proxy"]["max_connections"], 2);
    assert_eq!(server["proxy"]["listen_addr"], "127.0.0.1:0");
    assert_eq!(server["rds"]["regions"], serde_yaml::from_str::<Value>("[eu-west-1, us-east-1]").unwrap());
    assert_eq!(server["targets"]["fixed"]["host"], format!("localhost:{}", world.postgres.port).as_str());
    let client = config(&world, "client.yaml");
    let reader = world.database("aurora/reader");
    assert_eq!(client["upstream_proxies"]["default"]["host"], reader.endpoint().as_str());
    assert_eq!(client["upstream_proxies"]["default"]["ssl"]["mode"], "disable");
    assert!(client["rds"].get("root_certificate").is_none());
    assert_eq!(reader.port, world.database("aurora/writer").port);
    assert_eq!(reader.host, "127.0.0.3");
    world.stop().await;
}

#[tokio::test]
async fn the_access_key_is_in_the_environment_of_the_client() {
    let key = AccessKey::long_lived();
    let world =
        World::new().with_key(key.clone()).with_client_flag("--quiet").without_server().without_client();
    let world = world.start().await;
    let launch = world.client_launch(&[]);
    assert!(launch.environment.contains(&("AWS_SECRET_ACCESS_KEY".into(), key.secret)));
    assert!(launch.environment.contains(&("AWS_ENDPOINT_URL".into(), world.aws.url.clone())));
    assert_eq!(&launch.arguments[3..], ["--quiet", "--target", "db-1"]);
    let launch = world.client_launch(&["--target", "db-2"]);
    assert_eq!(&launch.arguments[3..], ["--target", "db-2", "--quiet"]);
}

#[tokio::test]
#[should_panic(expected = "server's stderr has a secret of the test in line 1")]
async fn a_leak_fails_the_test() {
    let world = World::new().without_server().without_client().start().await;
    world.add_secret("open sesame");
    let script = "echo 'listening address=127.0.0.1:1 password=open sesame' >&2; exec sleep 60";
    let mut launch = world.client_launch(&[]);
    launch.name = "server".into();
    launch.binary = "/bin/sh".into();
    launch.arguments = vec!["-c".into(), script.into()];
    let _proxy = world.start_proxy(launch).await;
}
