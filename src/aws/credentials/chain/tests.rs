//! A plugin that is slow, on a clock that need not be waited for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region};
use tokio::time::{Instant, sleep};

use super::super::files::Files;
use super::*;

/// What stands at the end of the chain: a `credential_process`, for example.
#[derive(Clone, Debug)]
struct Plugin {
    takes: Duration,
    fails: bool,
    runs: Arc<AtomicUsize>,
}

impl Plugin {
    fn new(seconds: u64, fails: bool) -> Self {
        Self { takes: Duration::from_secs(seconds), fails, runs: Arc::default() }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn chain(&self, home: &Path) -> Arc<Chain> {
        let plugin = self.clone();
        let loader = move || {
            aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(plugin.clone())
        };
        let files = Files {
            config: home.join("config"),
            credentials: home.join("credentials"),
            sessions: vec![home.to_path_buf()],
            profile: "dev".into(),
            keys_in_environment: false,
        };
        Arc::new(Chain::new(Source { loader: Arc::new(loader), files }))
    }
}

impl ProvideCredentials for Plugin {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(self.takes).await;
            if self.fails {
                return Err(CredentialsError::provider_error(format!("run {run} failed")));
            }
            Ok(Credentials::new(format!("AKID{run}"), "secret", None, None, "plugin"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_that_of_all_who_waited_for_it() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(4, true);
    let chain = plugin.chain(home.path());
    let begin = Instant::now();
    let logins: Vec<_> = (0..4)
        .map(|_| {
            let chain = Arc::clone(&chain);
            tokio::spawn(async move { (chain.current().await.unwrap_err(), Instant::now()) })
        })
        .collect();
    for login in logins {
        let (fault, at) = login.await.unwrap();
        assert!(fault.reason.contains("run 1 failed"), "{fault}");
        assert!(at - begin < Duration::from_secs(5), "{:?}", at - begin);
    }
    assert!(chain.current().await.unwrap_err().reason.contains("run 2 failed"), "who comes later asks anew");
    assert_eq!(plugin.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_outlives_the_wait_is_not_started_twice_and_what_it_says_in_the_end_counts() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(40, false);
    let chain = plugin.chain(home.path());
    for _ in 0..3 {
        let fault = chain.current().await.unwrap_err();
        assert!(fault.reason.contains("did not arrive within 12 s"), "{fault}");
    }
    // A login that it went through leaves its session where sessions are.
    std::fs::write(home.path().join("session.json"), "{}").unwrap();
    sleep(Duration::from_mins(1)).await;
    for _ in 0..2 {
        assert_eq!(chain.current().await.unwrap().access_key_id(), "AKID1");
    }
    assert_eq!(plugin.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_went_away_leaves_the_plugin_to_the_next() {
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::new(5, false);
    let chain = plugin.chain(home.path());
    timeout(Duration::from_secs(2), chain.current()).await.unwrap_err();
    assert_eq!(chain.current().await.unwrap().access_key_id(), "AKID1");
    assert_eq!(plugin.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_nobody_waited_for_is_history() {
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
async fn a_profile_that_changes_ends_the_wait_for_an_old_plugin() {
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
