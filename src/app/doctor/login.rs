//! The login at the target, and a query.

use std::borrow::Cow;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::{Finding, Report};
use super::session::{Names, Refused, Session};
use super::{tls, upstream};
use crate::aws::Accounts;
use crate::catalog::{Mint, Target};
use crate::client::{Client, Targets, UpstreamMode};
use crate::config::Config;
use crate::session::{Engine, Hop, Probe, Stage};
use crate::wire::ErrorResponse;

/// The checks of the database before the login.
const REACHED: [&str; 2] = ["database", "database_tls"];

/// The checks of the session.
const SESSION: [&str; 4] = ["login", "rds_iam", "query", "round_trip"];

/// All of them, in their order.
pub(super) const CHECKS: [&str; 6] = ["database", "database_tls", "login", "rds_iam", "query", "round_trip"];

/// The database of a login where the target has none. Every database of RDS has it.
const DATABASE: &str = "postgres";

/// The user may log in with a token. The role does not exist outside of RDS.
const IS_MEMBER: &str =
    "select pg_catalog.pg_has_role(oid, 'member') from pg_catalog.pg_roles where rolname = 'rds_iam'";

/// What shows that queries work.
const VERSION: &str = "select pg_catalog.current_database() || ' of PostgreSQL ' || \
                       pg_catalog.current_setting('server_version')";

/// How many round trips are measured. The median counts.
const ROUND_TRIPS: usize = 5;

/// What the checks of AWS and of the target found.
pub(super) struct Found {
    pub(super) aws: Option<Accounts>,
    /// Whether RDS has listed its databases.
    pub(super) is_discovered: bool,
    pub(super) target: Option<Target>,
}

/// What a login needs.
pub(super) struct Login<'a> {
    pub(super) config: &'a Config,
    pub(super) target: &'a Target,
    pub(super) user: &'a str,
    pub(super) found: &'a Found,
}

/// Logs in through an upstream proxy, whose errors show how far it came.
pub(super) async fn examine_through(mode: UpstreamMode, login: &Login<'_>, report: &mut Report<'_>) {
    let start = Instant::now();
    let outcome = log_in(mode, login).await;
    let took = start.elapsed();
    let [database, database_tls] = REACHED;
    let stage = match &outcome {
        Err(Refused::Error(error)) => Some((Stage::of(error), error)),
        Ok(_) | Err(Refused::WantsPassword | Refused::Broken(_)) => None,
    };
    match stage {
        Some((Stage::Proxy | Stage::Database, error)) => {
            report.add(database, refusal::<()>(error), took);
            report.skip(&[&[database_tls][..], &SESSION].concat(), database);
        }
        Some((Stage::DatabaseTls, error)) => {
            report.check(database, ready(reached())).await;
            report.add(database_tls, refusal::<()>(error), took);
            report.skip(&SESSION, database_tls);
        }
        Some((Stage::Login, _)) | None => {
            report.check(database, ready(reached())).await;
            let detail = "the upstream proxy made the TLS that its configuration demands";
            report.check(database_tls, ready(Finding::ok(detail, ()))).await;
            examine_session(outcome, took, login, report).await;
        }
    }
}

fn reached() -> Finding<()> {
    Finding::ok("the upstream proxy reaches it", ())
}

/// Connects to the database itself.
pub(super) async fn examine_direct(
    login: Option<&Login<'_>>,
    target: &Target,
    config: &Config,
    report: &mut Report<'_>,
) {
    let (hop, limits) = (Hop::database(target), &config.limits);
    let [database, database_tls] = REACHED;
    if report.check(database, upstream::reach(&hop, limits)).await.is_none() {
        return report.skip(&[&[database_tls][..], &SESSION].concat(), database);
    }
    let weakness = target.weaker_mode().map(|mode| {
        format!("the configuration weakens it to {mode}; remove targets.{}.ssl.mode", target.name)
    });
    let secured = async {
        match Probe::secure(&hop, limits).await {
            Ok(probe) => tls::finding(probe, &target.tls, weakness.as_deref()),
            Err(failure) => Finding::failure(&failure),
        }
    };
    if report.check(database_tls, secured).await.is_none() {
        return report.skip(&SESSION, database_tls);
    }
    let Some(login) = login else { return without_user(&SESSION, report) };
    let start = Instant::now();
    let outcome = log_in(UpstreamMode::Direct, login).await;
    examine_session(outcome, start.elapsed(), login, report).await;
}

/// Reports that the checks need a database user.
pub(super) fn without_user(checks: &[&'static str], report: &mut Report<'_>) {
    report.skip_because(checks, "name the database user with --user");
}

async fn log_in(mode: UpstreamMode, login: &Login<'_>) -> Result<Session, Refused> {
    let aws = login.found.aws.as_ref();
    let targets = Targets::default();
    targets.replace([Arc::new(login.target.clone())]);
    let client = Client {
        targets,
        upstream_mode: mode,
        password: None,
        mint: aws.map(|aws| Arc::new(aws.minter()) as Arc<dyn Mint>),
        is_discovered: login.found.is_discovered,
        clock: aws.map(Accounts::clock).unwrap_or_default(),
    };
    let engine = Engine::new(client, None, login.config.limits.clone());
    let database = login.target.database.as_deref().unwrap_or(DATABASE);
    let names = Names { target: &login.target.name, user: login.user, database };
    Session::log_in(engine, &names).await
}

async fn examine_session(
    outcome: Result<Session, Refused>,
    took: Duration,
    login: &Login<'_>,
    report: &mut Report<'_>,
) {
    let [logged_in, rds_iam, query, round_trip] = SESSION;
    let finding = match outcome {
        Ok(session) => Finding::ok(format_args!("{} is logged in", login.user), session),
        Err(Refused::WantsPassword) => Finding::skipped(
            "the database requests a password, and this program has no token for it; doctor logs in with tokens only",
        ),
        Err(refused) => refused.into(),
    };
    let Some(mut session) = report.add(logged_in, finding, took) else {
        return report.skip(&[rds_iam, query, round_trip], logged_in);
    };
    report.check(rds_iam, membership(&mut session, login)).await;
    if report.check(query, version(&mut session)).await.is_some() {
        report.check(round_trip, round_trips(&mut session)).await;
    } else {
        report.skip(&[round_trip], query);
    }
    session.close().await;
}

async fn membership(session: &mut Session, login: &Login<'_>) -> Finding<()> {
    let user = login.user;
    if login.target.iam.is_none() {
        return Finding::skipped("the target has no IAM authentication");
    }
    match session.query(IS_MEMBER).await {
        Ok(Some(value)) if value == "t" => Finding::ok(format_args!("{user} is a member of rds_iam"), ()),
        Ok(Some(_)) => Finding::warning(
            format_args!("{user} is no member of rds_iam"),
            Some(format!("GRANT rds_iam TO \"{user}\"")),
            (),
        ),
        Ok(None) => Finding::skipped("the database has no role rds_iam"),
        Err(refused) => refused.into(),
    }
}

async fn version(session: &mut Session) -> Finding<()> {
    match session.query(VERSION).await {
        Ok(version) => Finding::ok(version.unwrap_or_default(), ()),
        Err(refused) => refused.into(),
    }
}

async fn round_trips(session: &mut Session) -> Finding<()> {
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        if let Err(refused) = session.query("select 1").await {
            return refused.into();
        }
        times.push(start.elapsed());
    }
    times.sort();
    let median = times.get(ROUND_TRIPS / 2).copied().unwrap_or_default();
    Finding::ok(format_args!("{median:.1?} for a query, the median of {ROUND_TRIPS}"), ())
}

impl<T> From<Refused> for Finding<T> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Error(error) => refusal(&error),
            Refused::WantsPassword => Self::failed("the database requests a password", None),
            Refused::Broken(reason) => Self::failed(reason, None),
        }
    }
}

/// The error that an application reads, with its HINT.
fn refusal<T>(error: &ErrorResponse) -> Finding<T> {
    let message = error.message().unwrap_or_default();
    Finding::failed(message, error.hint().map(Cow::into_owned))
}
