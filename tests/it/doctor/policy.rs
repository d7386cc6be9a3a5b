use std::time::Duration;

use super::{checks, expect, launch};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::sts::Role;
use crate::support::world::Running;

const RESOURCE: &str = "rds-db:connect on arn:aws:rds-db:us-east-1:123456789012:dbuser:db-";

async fn expect_policy(world: &Running, arguments: &[&str], status: &str, detail: &str, remedy: &str) {
    expect(&checks(launch(world, arguments)).await, "policy", status, detail, remedy);
}

#[tokio::test]
async fn the_policies_of_a_user_are_simulated_where_that_is_permitted() {
    let key = AccessKey::long_lived();
    let world = World::new().with_key(key.clone()).without_client().start().await;
    let user = ["--user", "alice"];
    expect_policy(&world, &user, "ok", "IAM allows rds-db:connect on db-", "").await;
    expect_policy(&world, &user, "ok", "/alice", "").await;
    expect_policy(&world, &[], "skipped", "--user", "").await;
    world.identities.change(&key.id, |key| key.may_connect = false);
    expect_policy(&world, &user, "failed", "no IAM policy allows rds-db:connect", RESOURCE).await;
    for (failure, reason) in [
        (AwsFailure::AccessDenied, "the AWS identity may not call iam:SimulatePrincipalPolicy"),
        (AwsFailure::Unknown, "iam:SimulatePrincipalPolicy failed: InvalidAction"),
        (AwsFailure::Malformed, "an answer without a decision"),
        (AwsFailure::Slow(Duration::from_secs(20)), "no answer within 5 s"),
    ] {
        world.aws.fail(Rule::every(failure).of("SimulatePrincipalPolicy"));
        expect_policy(&world, &user, "skipped", reason, "").await;
        world.aws.recover();
    }
    world.stop().await;
}

/// An assumed role does not show its path, as those of IAM Identity Center have one.
#[tokio::test]
async fn the_policies_of_a_role_with_a_path_are_found() {
    let key = AccessKey::session(Duration::from_hours(1));
    let world = World::new().with_key(key).without_client().start().await;
    let user = ["--user", "alice"];
    expect_policy(&world, &user, "ok", "IAM allows", "").await;
    assert_eq!(world.aws.requests("GetRole"), 0);
    world
        .aws
        .put_role(Role::new("arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/tester", &[]));
    expect_policy(&world, &user, "ok", "IAM allows", "").await;
    assert_eq!(world.aws.requests("GetRole"), 1);
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("GetRole"));
    expect_policy(&world, &user, "skipped", "may not call iam:GetRole", "").await;
    world.stop().await;
}

#[tokio::test]
async fn a_target_without_iam_needs_no_policy() {
    let world = World::new().with_target("fixed", "{host: 'postgres.example:5432'}").start().await;
    let arguments = ["--target", "fixed", "--user", "alice"];
    expect_policy(&world, &arguments, "skipped", "the target has no IAM authentication", "").await;
    world.stop().await;
}
