//! A server without a configuration file.

use super::{NAMES, psql, run};
use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::proxy::Launch;
use crate::support::raw::{Raw, login};

/// The address 127.0.0.1 is in the certificate of PostgreSQL; `--target-name` chooses another name of it.
#[tokio::test]
async fn flags_put_tls_in_front_of_one_database() {
    let world = World::new().without_server().without_client().start().await;
    let certificate = Authority::trusted().issue(NAMES, Validity::Now);
    let target = format!("127.0.0.1:{}", world.postgres.port);
    let (ca, path, key) = (&Authority::trusted().path, &certificate.path, &certificate.key_path);
    let [ca, path, key] = [ca, path, key].map(|path| path.to_str().unwrap());
    let flags = ["server", "--target-host", &target, "--target-ca", ca, "--target-name", "localhost"];
    let flags = [&flags[..], &["--certificate", path, "--private-key", key]].concat();
    let flags = [&flags[..], &["--listen", "127.0.0.1:0", "--require-tls"]].concat();
    let mut server = world.start_proxy(Launch::new("server", &flags)).await;
    let answer = run(psql(&world, &server, "other.example", "by_scram"), "show port").await;
    assert_eq!(answer, Ok(world.postgres.port.to_string()));
    let mut raw = Raw::connect(server.port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await.expect("28000", &["this proxy requires TLS"]);
    server.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn unusable_flags_are_errors_of_usage_that_name_the_flag_or_the_key() {
    let host = ["server", "--target-host", "localhost:1"];
    for (flags, text) in [
        (&["server", "--target-ca", "/x"][..], "--target-host"),
        (&["server", "--target-host", "a:1", "--configfile", "/x"], "cannot be used with"),
        (&["server", "--target-host", "nowhere"], "--target-host: "),
        (&[&host[..], &["--certificate", "/x"]].concat(), "--private-key"),
        (&[&host[..], &["--listen", "x"]].concat(), "--listen: "),
        (&[&host[..], &["--target-ca", "/none.pem"]].concat(), "targets.localhost.ssl.root_certificate"),
    ] {
        let ended = Launch::new("server", flags).run().await;
        assert_eq!(ended.code, Some(2), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(text), "{flags:?}: {}", ended.stderr);
    }
}
