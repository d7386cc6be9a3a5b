//! A slow plugin, with a paused clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region};
use tokio::time::{Instant, sleep};

use super::super::files::Files;
use super::super::loader::CredentialLoader;
use super::*;

/// A slow credentials provider, such as a `credential_process`.
#[derive(Clone, Debug)]
struct Plugin {
    lasts: Duration,
    fails: bool,
    runs: Arc<AtomicUsize>,
}

impl Plugin {
    fn new(seconds: u64, fails: bool) -> Self {
        Self { lasts: Duration::from_secs(seconds), fails, runs: Arc::default() }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn chain(&self, home: &Path) -> Arc<Chain> {
        let plugin = self.clone();
        let new_config = move || {
            aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(plugin.clone())
        };
        let files = Files::in_directory(home, "dev");
        Arc::new(Chain::new(Arc::new(CredentialLoader::new(Arc::new(new_config), files)), Logins::default()))
    }
}

impl ProvideCredentials for Plugin {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(self.lasts).await;
            if self.fails {
                return Err(CredentialsError::provider_error(format!("run {run} failed")));
            }
            Ok(Credentials::new(format!("AKID{run}"), "secret", None, None, "plugin"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_connections_that_wait_for_a_load_share_its_failure() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(4, true);
    let chain = plugin.chain(home.path());
    let begin = Instant::now();
    let connections: Vec<_> = (0..4)
        .map(|_| {
            let chain = Arc::clone(&chain);
            tokio::spawn(async move { (chain.current().await.unwrap_err(), Instant::now()) })
        })
        .collect();
    for connection in connections {
        let (error, at) = connection.await.unwrap();
        assert!(error.reason.contains("run 1 failed"), "{error}");
        assert!(at - begin < Duration::from_secs(5), "{:?}", at - begin);
    }
    assert!(
        chain.current().await.unwrap_err().reason.contains("run 2 failed"),
        "a later connection loads again"
    );
    assert_eq!(plugin.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_plugin_is_not_started_twice_and_its_late_credentials_are_used() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(40, false);
    let chain = plugin.chain(home.path());
    for _ in 0..3 {
        let error = chain.current().await.unwrap_err();
        assert!(error.reason.contains("did not arrive within 12 s"), "{error}");
    }
    // The login of the plugin writes a session file.
    std::fs::write(home.path().join("session.json"), "{}").unwrap();
    sleep(Duration::from_mins(1)).await;
    for _ in 0..2 {
        assert_eq!(chain.current().await.unwrap().access_key_id(), "AKID1");
    }
    assert_eq!(plugin.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_away_leaves_the_running_plugin_to_the_next() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(5, false);
    let chain = plugin.chain(home.path());
    timeout(Duration::from_secs(2), chain.current()).await.unwrap_err();
    assert_eq!(chain.current().await.unwrap().access_key_id(), "AKID1");
    assert_eq!(plugin.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_waiting_connections_is_not_reported_later() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(20, true);
    let chain = plugin.chain(home.path());
    chain.current().await.unwrap_err();
    sleep(Duration::from_mins(1)).await;
    chain.current().await.unwrap_err();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(plugin.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_profile_replaces_the_running_load() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(1_000_000, false);
    let chain = plugin.chain(home.path());
    chain.current().await.unwrap_err();
    std::fs::write(home.path().join("config"), "[profile dev]\n").unwrap();
    chain.current().await.unwrap_err();
    assert_eq!(plugin.runs(), 2);
    chain.current().await.unwrap_err();
    assert_eq!(plugin.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn connections_that_wait_for_an_old_profile_get_the_credentials_of_the_new_one() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(5, false);
    let chain = plugin.chain(home.path());
    let before = chain.current();
    let after = async {
        sleep(Duration::from_secs(2)).await;
        std::fs::write(home.path().join("config"), "[profile dev]\n").unwrap();
        chain.current().await
    };
    let (before, after) = tokio::join!(before, after);
    assert_eq!((before.unwrap().access_key_id(), after.unwrap().access_key_id()), ("AKID2", "AKID2"));
    assert_eq!(plugin.runs(), 2);
}
