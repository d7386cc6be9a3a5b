//! Which logins begin, wait and make room.

use std::future::pending;

use super::*;

const SOON: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(14);

fn logins(per_target: usize, per_peer: usize) -> Logins {
    let limits =
        Limits { max_logins_per_target: per_target, max_logins_per_peer: per_peer, ..Limits::default() };
    Logins::new(&limits)
}

fn peer(last: u8) -> Option<IpAddr> {
    (last > 0).then(|| IpAddr::from([192, 0, 2, last]))
}

fn arrive(logins: &Logins, peer: Option<IpAddr>, target: &str, has_password: bool) -> LoginPermit {
    logins.arrive(Arrival { peer, target, has_password, slot: None })
}

/// A login without a password that is under way.
async fn begun(logins: &Logins, last: u8, target: &str) -> LoginPermit {
    let mut permit = arrive(logins, peer(last), target, false);
    assert!(!permit.begin(SOON).await.unwrap(), "it does not have to wait");
    permit
}

/// One whose application never answers.
async fn silent(permit: LoginPermit) -> Failure {
    permit.while_application_answers(pending::<Result<(), _>>()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_login_beyond_a_limit_waits_for_the_end_of_another() {
    let logins = logins(2, 3);
    let (first, _second) = (begun(&logins, 1, "a").await, begun(&logins, 2, "a").await);
    let mut third = arrive(&logins, peer(3), "a", false);
    let error = third.begin(LONG).await.unwrap_err();
    let text = "max_logins_per_target of this proxy is 2, and this login waited 14.0 s for its turn";
    assert!(error.to_string().ends_with(text), "{error}");
    let mut fourth = arrive(&logins, peer(3), "a", false);
    let (waited, ()) = tokio::join!(fourth.begin(LONG), async { drop((first, third)) });
    assert!(waited.unwrap());

    let _others = [begun(&logins, 3, "b").await, begun(&logins, 3, "b").await];
    let mut beyond = arrive(&logins, peer(3), "c", false);
    let error = beyond.begin(LONG).await.unwrap_err();
    assert!(error.to_string().contains("max_logins_per_peer of this proxy is 3"), "{error}");
    begun(&logins, 4, "c").await;
}

#[tokio::test(start_paused = true)]
async fn a_unix_socket_has_no_limit_per_peer() {
    let logins = logins(3, 1);
    let _begun = [begun(&logins, 0, "a").await, begun(&logins, 0, "a").await, begun(&logins, 0, "a").await];
    assert!(arrive(&logins, None, "a", false).begin(LONG).await.is_err(), "but the one per target");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_that_waits_for_its_application_makes_room() {
    // For its own peer or another: behind a tunnel all have one address.
    for last in [1, 2] {
        let logins = logins(3, 64);
        let _busy = begun(&logins, 1, "a").await;
        let oldest = tokio::spawn(silent(begun(&logins, 1, "a").await));
        sleep(SOON).await;
        let newer = tokio::spawn(silent(begun(&logins, 1, "a").await));
        let mut next = arrive(&logins, peer(last), "a", false);
        let began = Instant::now();
        assert!(next.begin(LONG).await.unwrap());
        assert!(began.elapsed() <= GRACE, "{:?}", began.elapsed());
        sleep(SOON).await;
        assert_eq!((oldest.is_finished(), newer.is_finished()), (true, false));
        let text = "dropped while waiting for the application's password: too many logins are under way";
        assert_eq!(oldest.await.unwrap().to_string(), text);
        newer.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_has_time_to_answer() {
    let logins = logins(1, 64);
    let waits_for_password = begun(&logins, 1, "a").await;
    let mut next = arrive(&logins, peer(2), "a", false);
    let (answered, waited) = tokio::join!(
        async {
            let driver = async {
                sleep(GRACE / 2).await;
                Ok(())
            };
            let answered = waits_for_password.while_application_answers(driver).await;
            sleep(10 * GRACE).await;
            drop(waits_for_password);
            answered
        },
        async {
            let began = Instant::now();
            assert!(next.begin(LONG).await.unwrap());
            began.elapsed()
        }
    );
    assert!(answered.is_ok());
    assert!(waited > 10 * GRACE, "one that the database works on makes no room: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_busiest_peer_makes_room() {
    let logins = logins(4, 64);
    let quiet = tokio::spawn(silent(begun(&logins, 1, "a").await));
    sleep(SOON).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(tokio::spawn(silent(begun(&logins, 2, "a").await)));
    }
    sleep(GRACE).await;
    let _next = [begun(&logins, 3, "a").await, begun(&logins, 3, "a").await];
    sleep(SOON).await;
    assert!(!quiet.is_finished());
    assert_eq!(busy.iter().filter(|login| login.is_finished()).count(), 2);
    quiet.abort();
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn the_peer_with_the_fewest_logins_comes_first() {
    let logins = logins(2, 64);
    let (first, _second) = (begun(&logins, 2, "a").await, begun(&logins, 2, "a").await);
    let [mut other, mut quiet, mut another] = [2, 3, 2].map(|last| arrive(&logins, peer(last), "a", true));
    drop(first);
    assert!(quiet.begin(SOON).await.unwrap());
    assert!(other.begin(SOON).await.is_err() && another.begin(SOON).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn of_one_peer_those_with_a_password_come_first_and_then_the_newest() {
    let logins = logins(1, 64);
    let running = begun(&logins, 1, "a").await;
    let (mut old, mut ready, mut new) = (
        arrive(&logins, peer(1), "a", false),
        arrive(&logins, peer(1), "a", true),
        arrive(&logins, peer(1), "a", false),
    );
    drop(running);
    assert!(ready.begin(SOON).await.is_ok());
    drop(ready);
    assert!(new.begin(SOON).await.is_ok());
    drop(new);
    assert!(old.begin(SOON).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn silent_logins_at_one_target_keep_no_peer_from_another() {
    let logins = logins(32, 64);
    let mut silent_logins = Vec::new();
    for target in ["a", "b"] {
        for _ in 0..32 {
            silent_logins.push(tokio::spawn(silent(begun(&logins, 1, target).await)));
        }
    }
    sleep(GRACE).await;
    let mut next = arrive(&logins, peer(1), "c", false);
    next.begin(SOON).await.unwrap();
    sleep(SOON).await;
    assert_eq!(silent_logins.iter().filter(|login| login.is_finished()).count(), 1);
    silent_logins.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn logins_that_wait_make_room_for_a_connection() {
    let logins = logins(1, 64);
    assert!(!logins.make_room(None), "there is none");
    let waits_for_password = begun(&logins, 1, "a").await;
    assert!(!logins.make_room(None), "the database works on it");
    let waits_for_password = tokio::spawn(silent(waits_for_password));
    sleep(GRACE / 2).await;
    let mut waiting = arrive(&logins, peer(2), "b", false);
    waiting.begin(SOON).await.unwrap();
    let mut waiting_too = arrive(&logins, peer(2), "b", false);
    assert!(logins.make_room(None));
    let error = waiting_too.begin(LONG).await.unwrap_err();
    assert!(error.to_string().contains("dropped while waiting for its turn"), "{error}");
    drop(waiting_too);
    sleep(GRACE).await;
    assert!(logins.make_room(None));
    assert!(matches!(waits_for_password.await.unwrap(), Failure::LoginDropped(_)));
    assert!(!logins.make_room(None));
}

#[tokio::test(start_paused = true)]
async fn a_busy_peer_takes_no_slot_of_a_quiet_one() {
    let logins = logins(2, 64);
    let _begun = [begun(&logins, 1, "a").await, begun(&logins, 1, "a").await];
    let mut quiet = arrive(&logins, peer(2), "a", false);
    assert!(!logins.make_room(peer(1)), "the only one that waits is of a peer with fewer logins");
    let mut busy = arrive(&logins, peer(1), "a", true);
    let mut silent = arrive(&logins, peer(1), "a", false);
    assert!(logins.make_room(peer(2)));
    assert!(matches!(silent.begin(SOON).await, Err(Failure::LoginDropped(_))), "it brings no password");
    for waiting in [&mut quiet, &mut busy] {
        assert!(matches!(waiting.begin(SOON).await, Err(Failure::TooManyLogins(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_counts_for_its_peer_and_no_longer_at_the_target() {
    let logins = logins(1, 2);
    for _ in 0..20 {
        begun(&logins, 1, "a").await.slow_down(LONG).await;
    }
    let slowed = begun(&logins, 1, "a").await;
    let began = Instant::now();
    let mut others = Vec::new();
    let (slept, ()) = tokio::join!(
        async {
            slowed.slow_down(LONG).await;
            began.elapsed()
        },
        async {
            sleep(SOON).await;
            others.push(begun(&logins, 1, "a").await);
            let mut beyond = arrive(&logins, peer(1), "b", false);
            assert!(beyond.begin(SOON).await.is_err(), "the peer is at its limit");
            drop(beyond);
            begun(&logins, 2, "b").await;
        }
    );
    assert_eq!(slept, Duration::from_secs(5));
    let limited = Instant::now();
    others.remove(0).slow_down(Duration::from_secs(2)).await;
    assert_eq!(limited.elapsed(), Duration::from_secs(2), "the deadline of the handshake holds");
    begun(&logins, 1, "a").await.succeeded();
    let again = Instant::now();
    begun(&logins, 1, "a").await.slow_down(LONG).await;
    assert_eq!(again.elapsed(), Duration::ZERO, "a success resets it");
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_applies_to_those_that_wait_and_nothing_stays_behind() {
    let logins = logins(1, 64);
    let first = begun(&logins, 1, "a").await;
    let mut second = arrive(&logins, peer(1), "a", false);
    assert!(second.begin(SOON).await.is_err());
    logins.set_limits(&Limits::default());
    let mut third = arrive(&logins, peer(1), "a", false);
    assert!(!third.begin(SOON).await.unwrap());
    drop((first, second, third));
    assert_eq!(logins.state.lock().queue.len(), 0);
}
