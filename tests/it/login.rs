//! Who gets in, and with what.

use crate::support::plan::World;

#[tokio::test]
async fn an_iam_user_gets_in_with_nothing_but_an_identity() {
    let world = World::new().start().await;
    let answer = world.psql("alice", "select current_user || '@' || current_database()").await.unwrap();
    assert_eq!(answer, "alice@app");
    world.stop().await;
}
