//! `aws.assume_role`: roles for discovery and tokens.

use std::time::Duration;

use tokio_postgres::NoTls;

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::proxy::{Launch, Proxy};
use crate::support::rds_api::ACCOUNT;
use crate::support::sts::Role;
use crate::support::world::{Running, refusal};

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/team/{name}")
}

/// The user whose keys the world's client and server have.
fn tester() -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/tester")
}

fn session_of(name: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}")
}

/// A world with the roles `outer`, which the user may assume, and `inner`, which `outer` may. The user itself may do nothing.
async fn world(world: World) -> Running {
    let world = world.without_client().start().await;
    world.aws.put_role(Role::new(&role("outer"), &[&tester()]));
    let inner =
        Role { external_id: Some("corp:1".into()), ..Role::new(&role("inner"), &[&session_of("outer")]) };
    world.aws.put_role(inner);
    world.identities.change(&world.key.id, |key| key.may_connect = false);
    world
}

async fn log_in(client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
}

#[tokio::test]
async fn a_role_lists_and_signs_for_a_client() {
    let yaml = format!(
        "aws: {{assume_role: {{role_arn: '{}', session_name: alice, duration: 15m}}}}",
        role("outer")
    );
    let world = world(World::new().with_client(&yaml)).await;
    let client = world.start_client(&[]).await;
    log_in(&client).await;
    let assumed = world.aws.assumed(&role("outer"));
    assert_eq!(assumed.len(), 1, "discovery and token share the credentials");
    let left = assumed[0].expires.unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert!(left <= Duration::from_mins(15), "{left:?}");
    assert!(world.rds().tokens()[0].contains(&assumed[0].id));
    log_in(&client).await;
    client.wait_for_log(&format!("{}/alice", session_of("outer"))).await;
    assert_eq!(world.aws.requests("AssumeRole"), 1);
    world.stop().await;
}

/// The name of the session is that of the base identity, so that AWS and the database still see the person.
#[tokio::test]
async fn a_chain_of_roles_needs_only_the_last_one() {
    let yaml = format!(
        "aws: {{assume_role: [{{role_arn: '{}'}}, {{role_arn: '{}', external_id: 'corp:1', region: eu-west-1}}]}}",
        role("outer"),
        role("inner")
    );
    let world = world(World::new().with_client(&yaml)).await;
    let client = world.start_client(&[]).await;
    log_in(&client).await;
    let [inner] = &world.aws.assumed(&role("inner"))[..] else { panic!("one call") };
    assert_eq!(inner.owner(), format!("{}/tester", session_of("inner")));
    assert!(world.rds().tokens()[0].contains(&inner.id));
    world.stop().await;
}

#[tokio::test]
async fn a_server_lists_with_its_role() {
    let yaml = format!("aws: {{assume_role: {{role_arn: '{}'}}}}", role("outer"));
    let world = world(World::new().without_server().with_server(&yaml)).await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances").times(1));
    let server = world.start_proxy(world.server_launch()).await;
    server.wait_for_log("rds:DescribeDBInstances").await;
    assert_eq!(world.aws.assumed(&role("outer")).len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_names_role_identity_and_permission() {
    let yaml = format!(
        "aws: {{assume_role: [{{role_arn: '{}'}}, {{role_arn: '{}'}}]}}",
        role("outer"),
        role("inner")
    );
    let world = world(World::new().with_client(&yaml)).await;
    // Without the external id.
    let client = world.client_launch(&[]).run().await;
    assert_eq!(client.code, Some(1), "{client:?}");
    let refused = format!(
        "AWS does not let the AWS identity {}/tester (access key {}) assume the role {}: AccessDenied: User: {0}/tester is not \
         authorized to perform: sts:AssumeRole on resource: {2}; check that the trust policy of the role names this identity, and \
         that the identity's own policies allow it sts:AssumeRole on the role",
        session_of("outer"),
        world.aws.assumed(&role("outer")).last().unwrap().id,
        role("inner")
    );
    assert!(client.stderr.contains(&refused), "{}\n{refused}", client.stderr);
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_during_the_run_reaches_the_application_with_a_hint() {
    let yaml = format!("aws: {{assume_role: {{role_arn: '{}'}}}}", role("outer"));
    let world = world(World::new().with_client(&yaml)).await;
    // So short that every connection needs new ones.
    world.aws.put_role(Role {
        lifetime: Some(Duration::from_secs(50)),
        ..Role::new(&role("outer"), &[&tester()])
    });
    let client = world.start_client(&[]).await;
    log_in(&client).await;
    let keys: Vec<_> = world.aws.assumed(&role("outer")).into_iter().map(|key| key.id).collect();
    assert!(
        keys.len() >= 2 && world.rds().tokens()[0].contains(keys.last().unwrap()),
        "renewed before they end"
    );
    world.aws.put_role(Role::new(&role("outer"), &[]));
    let error = refusal(&client, "alice").await;
    assert_eq!(error.code().code(), "28000");
    assert!(error.message().contains(&format!("assume the role {}", role("outer"))), "{error}");
    assert!(error.hint().unwrap().contains("sts:AssumeRole"), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn other_failures_of_sts_have_their_remedies() {
    let yaml = format!("aws: {{assume_role: {{role_arn: '{}', duration: 12h}}}}", role("outer"));
    let world = world(World::new().with_client(&yaml)).await;
    let run = async |launch: Launch| launch.run().await.stderr;
    let text = run(world.client_launch(&[])).await;
    assert!(
        text.contains("(sts:AssumeRole): ValidationError: The requested DurationSeconds exceeds"),
        "{text}"
    );
    assert!(text.contains("the longest `duration` is"), "{text}");
    let text = run(world.client_launch(&[]).env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")).await;
    assert!(text.contains("could not assume the role") && text.contains("check the network"), "{text}");
    world.stop().await;
}
