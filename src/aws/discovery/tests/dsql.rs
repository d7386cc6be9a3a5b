//! The shapes of the answers are those of the Amazon Aurora DSQL API Reference: `ListClusters`, `GetCluster`, "Common Error
//! Types".

use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::aws::credentials::CredentialSource;
use crate::aws::discovery::dsql::{Api, DsqlClusters, list};
use crate::aws::fake_aws::JsonResponse;

const ORDERS: &str = "orders7890abcdefghijklmnop";
const LEDGER: &str = "ledger7890abcdefghijklmnop";

/// The clusters of an account: identifier, status, tags.
type Clusters = Vec<(&'static str, &'static str, &'static [(&'static str, &'static str)])>;

fn found(body: &serde_json::Value) -> JsonResponse {
    (200, "", body.to_string())
}

fn refused(status: u16, code: &'static str) -> JsonResponse {
    (status, code, json!({"message": "no"}).to_string())
}

fn arn(identifier: &str, region: &str) -> String {
    format!("arn:aws:dsql:{region}:111122223333:cluster/{identifier}")
}

/// The answer to a call: one cluster on each page of the list.
fn answer(clusters: &Clusters, call: &str) -> JsonResponse {
    let (path, query) = call.split_once('?').unwrap_or((call, ""));
    let Some(identifier) = path.strip_prefix("/cluster/") else {
        assert!(query.contains("max-results=100"), "{call}");
        let page: usize = query.split_once("next-token=").map_or(0, |(_, token)| token[..1].parse().unwrap());
        let listed = clusters.iter().skip(page).take(1);
        let listed: Vec<_> = listed
            .map(|(identifier, ..)| json!({"identifier": identifier, "arn": arn(identifier, "us-east-1")}))
            .collect();
        let next = (page + 1 < clusters.len()).then(|| (page + 1).to_string());
        return found(&json!({"clusters": listed, "nextToken": next}));
    };
    let Some((_, status, tags)) = clusters.iter().find(|(known, ..)| *known == identifier) else {
        return refused(404, "ResourceNotFoundException");
    };
    found(&json!({
        "identifier": identifier,
        "arn": arn(identifier, "us-east-1"),
        "status": status,
        "creationTime": 1_748_600_000.5,
        "deletionProtectionEnabled": true,
        "endpoint": format!("{identifier}.dsql.us-east-1.on.aws"),
        "tags": tags.iter().copied().collect::<HashMap<_, _>>(),
    }))
}

/// An account with the instance `db-1` and these answers of Aurora DSQL.
async fn account_with(dsql: impl Fn(&str) -> JsonResponse + Clone + Send + Sync + 'static) -> FakeAws {
    FakeAws::start_with(|call| account(call, &instance(&PLAIN), "", ""), dsql).await
}

#[tokio::test]
async fn a_cluster_is_listed_with_all_its_properties() {
    let tags = [
        ("Name", "orders"),
        ("rds-auth-proxy:local-port", "54001"),
        ("rds-auth-proxy:notice", "PRODUCTION"),
        ("team", "blue"),
    ];
    let clusters: Clusters = vec![
        (
            ORDERS,
            "ACTIVE",
            &[
                ("team", "blue"),
                ("rds-auth-proxy:local-port", "54001"),
                ("rds-auth-proxy:notice", "PRODUCTION"),
                ("Name", "orders"),
            ],
        ),
        (LEDGER, "INACTIVE", &[("rds-auth-proxy:db-name", "other")]),
    ];
    let fake_aws = account_with(move |call| answer(&clusters, call)).await;
    let found = discover(&fake_aws, &[]).await.0.unwrap();
    assert_eq!(names(&found), ["db-1", LEDGER, "orders"]);
    let expected = Discovered {
        name: "orders".into(),
        identifier: Some(ORDERS.into()),
        address: HostPort::new(&format!("{ORDERS}.dsql.us-east-1.on.aws"), 5432),
        region: "us-east-1".into(),
        service: IamService::Dsql,
        account: None,
        resource: Resource {
            kind: EndpointKind::Dsql,
            engine: Some("aurora-dsql".into()),
            version: None,
            account: found[2].resource.account.clone(),
            login_arn: Some(arn(ORDERS, "us-east-1")),
        },
        roots: Roots::Amazon,
        database: Some("postgres".into()),
        local_port: Some(54001),
        guard_rails: GuardRails { notice: Some("PRODUCTION".into()), ..GuardRails::default() },
        tags: tags.map(|(name, value)| Tag { name: name.into(), value: value.into() }).to_vec(),
        related: Vec::new(),
        listed_at: found[2].listed_at,
    };
    assert_eq!(found[2], expected);
    assert_eq!((found[1].identifier.as_deref(), found[1].database.as_deref()), (None, Some("other")));
}

#[tokio::test]
async fn a_cluster_that_accepts_no_connections_is_skipped_with_its_status() {
    let states =
        ["ACTIVE", "IDLE", "INACTIVE", "UPDATING", "NEW_ONE", "CREATING", "FAILED", "PENDING_DELETE"];
    let clusters: Clusters = states.map(|status| (status, status, &[] as &[_])).to_vec();
    let fake_aws = account_with(move |call| answer(&clusters, call)).await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    assert_eq!(names(&found.unwrap()), ["ACTIVE", "IDLE", "INACTIVE", "NEW_ONE", "UPDATING", "db-1"]);
    let why = discovery.why_skipped("creating").await.unwrap();
    assert_eq!(why, "us-east-1: its status is CREATING, in which it accepts no connections");
}

#[tokio::test]
async fn a_name_that_is_not_unique_or_an_address_is_no_name() {
    let clusters: Clusters = vec![
        ("a1", "ACTIVE", &[("Name", "ledger")]),
        ("a2", "ACTIVE", &[("Name", "Ledger")]),
        ("a3", "ACTIVE", &[("Name", "DB-1")]),
        ("a4", "ACTIVE", &[("Name", "a1")]),
        ("a5", "ACTIVE", &[("Name", " ")]),
        ("a6", "ACTIVE", &[("Name", "db.example.com:5432")]),
        ("a7", "ACTIVE", &[("Name", "my cluster")]),
    ];
    let fake_aws = account_with(move |call| answer(&clusters, call)).await;
    let found = discover(&fake_aws, &[]).await.0.unwrap();
    assert_eq!(names(&found), ["a1", "a2", "a3", "a4", "a5", "a6", "db-1", "my cluster"]);
    assert_eq!(found[7].identifier.as_deref(), Some("a7"));
}

#[tokio::test]
async fn an_answer_without_an_endpoint_or_for_another_region_is_checked() {
    let clusters: Clusters = vec![(ORDERS, "ACTIVE", &[]), (LEDGER, "ACTIVE", &[])];
    let fake_aws = account_with(move |call| {
        let (status, code, body) = answer(&clusters, call);
        let body = match call.strip_prefix("/cluster/") {
            Some(ORDERS) => body.replace("\"endpoint\"", "\"other\""),
            Some(LEDGER) => body.replace("dsql:us-east-1", "dsql:eu-west-1"),
            _ => body,
        };
        (status, code, body)
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    let found = found.unwrap();
    assert_eq!(names(&found), ["db-1", ORDERS]);
    assert_eq!(found[1].address.to_string(), format!("{ORDERS}.dsql.us-east-1.on.aws:5432"));
    let remarks = discovery.reported.remarks();
    assert_eq!(remarks[&format!("{LEDGER} in us-east-1")], Remark::OtherRegion("eu-west-1".into()));
}

#[tokio::test]
async fn a_call_that_fails_costs_its_clusters_and_keeps_its_last_answer() {
    let failing = Arc::new(Mutex::new(None::<(&'static str, JsonResponse)>));
    let state = Arc::clone(&failing);
    let clusters: Clusters = vec![(ORDERS, "ACTIVE", &[]), (LEDGER, "ACTIVE", &[])];
    let fake_aws = account_with(move |call| match &*state.lock() {
        Some((path, failure)) if call.starts_with(path) => failure.clone(),
        _ => answer(&clusters, call),
    })
    .await;
    let list = "dsql:ListClusters";
    let get = "dsql:GetCluster";
    let may_not = "the AWS identity may not call";
    for (path, failure, action, reason) in [
        ("/cluster?", refused(403, "AccessDeniedException"), list, may_not),
        ("/cluster?", refused(429, "ThrottlingException"), list, "AWS throttles dsql:ListClusters"),
        ("/cluster?", refused(404, ""), list, "the endpoint of the Aurora DSQL API does not know"),
        ("/cluster?", (200, "", "<html>".into()), list, "is not a complete Aurora DSQL document"),
        ("/cluster/", refused(403, "AccessDeniedException"), get, may_not),
        ("/cluster/led", refused(403, "AccessDeniedException"), get, may_not),
    ] {
        *failing.lock() = Some((path, failure));
        let (found, discovery) = discover(&fake_aws, &[]).await;
        let expected = if path == "/cluster/led" { &["db-1", ORDERS][..] } else { &["db-1"] };
        assert_eq!(names(&found.unwrap()), expected, "{path}");
        let calls = discovery.reported_calls.calls();
        let [(found, text)] = calls.as_slice() else { panic!("{calls:?}") };
        assert!(*found == action && text.contains(reason), "{calls:?}");

        *failing.lock() = None;
        let all = ["db-1", LEDGER, ORDERS];
        assert_eq!(names(&discovery.discover().await.unwrap().databases), all);
        assert!(discovery.reported_calls.calls().is_empty());
        *failing.lock() = Some((path, refused(403, "AccessDeniedException")));
        assert_eq!(names(&discovery.discover().await.unwrap().databases), all, "the last answer stays");
    }
}

#[tokio::test]
async fn a_cluster_that_is_deleted_after_it_was_listed_needs_no_warning() {
    let clusters: Clusters = vec![(ORDERS, "ACTIVE", &[]), (LEDGER, "ACTIVE", &[])];
    let fake_aws = account_with(move |call| match call.strip_prefix("/cluster/") {
        Some(LEDGER) => refused(404, "ResourceNotFoundException"),
        _ => answer(&clusters, call),
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    assert_eq!(names(&found.unwrap()), ["db-1", ORDERS]);
    assert!(discovery.reported_calls.calls().is_empty());
}

#[tokio::test]
async fn a_region_without_the_service_costs_nothing() {
    let fake_aws = account_with(|_| refused(404, "")).await;
    let aws = fake_aws.aws(Some("us-east-1")).await;
    let clients = |endpoint: &str| {
        let config = aws.config.clone().into_builder().endpoint_url(endpoint).build();
        Api::new(&config, "us-east-1")
    };
    let source = CredentialSource::Environment;
    // RFC 6761, section 6.4: no resolver finds a name below `.invalid`.
    let api = clients("http://dsql.us-east-1.invalid");
    let (listed, unavailable) = list(&api, &source, "us-east-1", DsqlClusters::default()).await;
    assert!(unavailable.is_empty(), "no warning");
    // The answer is remembered: the API of the second call would work.
    let api = clients(fake_aws.url());
    assert!(list(&api, &source, "us-east-1", listed).await.1.is_empty());

    let api = clients("http://127.0.0.1:1");
    let (listed, unavailable) = list(&api, &source, "us-east-1", DsqlClusters::default()).await;
    let reasons: Vec<_> = unavailable.iter().map(|call| (call.action, call.reason.clone())).collect();
    assert!(
        reasons[0].0 == "dsql:ListClusters" && reasons[0].1.contains("Aurora DSQL API could not be reached")
    );
    let again = list(&api, &source, "us-east-1", listed).await.1;
    assert_eq!(again[0].reason, reasons[0].1, "the same warning, without a call");
}
