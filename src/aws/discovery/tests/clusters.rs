use super::*;

#[tokio::test]
async fn clusters_have_writer_reader_and_custom_endpoints() {
    let fake_aws = FakeAws::start(|call| {
        let members = [
            instance(&Instance { id: "prod-1", iam: false, cluster: Some("prod"), ..PLAIN }),
            instance(&Instance { id: "off-1", iam: true, cluster: Some("off"), ..PLAIN }),
        ];
        let clusters = [
            cluster("prod", "aurora-postgresql", true, true),
            cluster("multi-az", "postgres", true, false),
            cluster("off", "aurora-postgresql", false, true),
        ];
        let custom = [custom("prod", "batch"), custom("off", "batch"), custom("mysql", "other")];
        account(call, &members.concat(), &clusters.concat(), &custom.concat())
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    let found = found.unwrap();
    let expected = ["multi-az:writer", "prod-1", "prod:custom:batch", "prod:reader", "prod:writer"];
    assert_eq!(names(&found), expected, "the cluster decides about IAM");
    let hosts: Vec<_> = found.iter().map(|database| database.address.host.as_str()).collect();
    let expected = [
        "multi-az.cluster-abc.us-east-1.rds.amazonaws.com",
        "prod-1.abc.us-east-1.rds.amazonaws.com",
        "batch.cluster-custom-abc.us-east-1.rds.amazonaws.com",
        "prod.cluster-ro-abc.us-east-1.rds.amazonaws.com",
        "prod.cluster-abc.us-east-1.rds.amazonaws.com",
    ];
    assert_eq!(hosts, expected);
    assert!(!found[1].guard_rails.read_only, "an instance has its own tags");
    let related =
        |index: usize| found[index].related.iter().map(|other| other.name.as_str()).collect::<Vec<_>>();
    assert_eq!(related(1), ["prod"], "an instance has the blocked tags of its cluster too");
    for endpoint in &found[2..] {
        assert_eq!(endpoint.address.port, 5432);
        assert_eq!(endpoint.database.as_deref(), Some("orders"));
        assert_eq!(endpoint.tags[0], Tag { name: "team".into(), value: "blue".into() });
        let is_writer = endpoint.name == "prod:writer";
        assert_eq!(endpoint.local_port, is_writer.then_some(54010), "{}", endpoint.name);
        assert!(endpoint.guard_rails.read_only, "{}", endpoint.name);
    }
    let remarks = discovery.reported.remarks();
    assert_eq!(remarks["off:writer in us-east-1"], Remark::IamOff);
    assert_eq!(remarks["off-1 in us-east-1"], Remark::IamOff);
    let calls = fake_aws.calls();
    let filter = calls.iter().find(|call| call.action() == "DescribeDBClusterEndpoints").unwrap();
    assert_eq!(filter.parameter("Filters.Filter.1.Name"), "db-cluster-endpoint-type");
    assert_eq!(filter.parameter("Filters.Filter.1.Values.Value.1"), "custom");
}

/// A custom endpoint with a list of members, `StaticMembers` or `ExcludedMembers`.
fn custom_of(name: &str, list: &str, members: &[&str]) -> String {
    let mut xml = String::new();
    for member in members {
        write!(xml, "<member>{member}</member>").unwrap();
    }
    let end = "</DBClusterEndpointList>";
    custom("prod", name).replace(end, &format!("<{list}>{xml}</{list}>{end}"))
}

#[tokio::test]
async fn an_endpoint_has_the_blocked_tags_of_every_instance_that_it_can_lead_to() {
    let fake_aws = FakeAws::start(|call| {
        let members = [
            instance(&Instance { id: "prod-1", cluster: Some("prod"), ..PLAIN }),
            // Only in the cluster's list, and skipped itself.
            instance(&Instance { id: "prod-2", endpoint: false, tags: &[("frozen", "true")], ..PLAIN }),
            instance(&Instance { id: "lone", ..PLAIN }),
        ];
        let listed = "<DBClusterMembers><DBClusterMember><DBInstanceIdentifier>prod-2</DBInstanceIdentifier>\
                      </DBClusterMember></DBClusterMembers></DBCluster>";
        let cluster = cluster("prod", "aurora-postgresql", true, true).replace("</DBCluster>", listed);
        let custom = [
            custom_of("all", "StaticMembers", &[]),
            custom_of("first", "StaticMembers", &["prod-1"]),
            custom_of("second", "StaticMembers", &["PROD-2", "prod-9"]),
            custom_of("but-second", "ExcludedMembers", &["prod-2"]),
            custom_of("but-first", "ExcludedMembers", &["prod-1"]),
        ];
        account(call, &members.concat(), &cluster, &custom.concat())
    })
    .await;
    let found = discover(&fake_aws, &[]).await.0.unwrap();
    let related: Vec<_> = found
        .iter()
        .map(|database| {
            let names: Vec<_> = database.related.iter().map(|other| other.name.as_str()).collect();
            (database.name.as_str(), names.join(" "))
        })
        .collect();
    let both = || "prod-1 prod-2".to_owned();
    let expected = [
        ("lone", String::new()),
        ("prod-1", "prod".into()),
        ("prod:custom:all", both()),
        ("prod:custom:but-first", "prod-2".into()),
        ("prod:custom:but-second", "prod-1".into()),
        ("prod:custom:first", "prod-1".into()),
        ("prod:custom:second", "prod-2".into()),
        ("prod:reader", both()),
        ("prod:writer", both()),
    ];
    assert_eq!(related, expected);
    let frozen = Tag { name: "frozen".into(), value: "true".into() };
    assert_eq!(found[8].related[1].tags, [frozen]);
    assert_eq!(found[1].related[0].tags[0].name, "team", "the tags of the cluster");
}

/// An account with an instance, and an Aurora cluster with an instance that reports IAM authentication as off.
fn aurora(call: &Call) -> Response {
    let member = Instance { id: "prod-1", iam: false, cluster: Some("prod"), ..PLAIN };
    let instances = [instance(&PLAIN), instance(&member)];
    let cluster = cluster("prod", "aurora-postgresql", true, true);
    account(call, &instances.concat(), &cluster, &custom("prod", "batch"))
}

/// Answers that say nothing about other calls: the API of AWS, and endpoints that lack a call.
const UNAVAILABLE: [(u16, &str, &str); 9] = [
    (403, "AccessDenied", "may not call rds:DescribeDB"),
    (400, "UnauthorizedOperation", "may not call rds:DescribeDB"),
    (400, "Throttling", "AWS throttles rds:DescribeDB"),
    (400, "RequestLimitExceeded", "AWS throttles rds:DescribeDB"),
    (400, "InvalidAction", "does not know rds:DescribeDB"),
    (501, "InternalFailure", "does not know rds:DescribeDB"),
    (500, "", "does not know rds:DescribeDB"),
    (404, "", "does not know rds:DescribeDB"),
    (405, "", "does not know rds:DescribeDB"),
];

fn unavailable(status: u16, code: &str) -> Response {
    if code.is_empty() { (status, "<h1>no such page</h1>".into()) } else { failure(status, code, "no") }
}

#[tokio::test]
async fn a_cluster_call_that_is_refused_unknown_or_throttled_costs_its_endpoints_only() {
    let all = ["db-1", "prod-1", "prod:custom:batch", "prod:reader", "prod:writer"];
    for (action, rest) in [
        ("DescribeDBClusters", vec!["db-1", "prod-1"]),
        ("DescribeDBClusterEndpoints", vec!["db-1", "prod-1", "prod:reader", "prod:writer"]),
    ] {
        for (status, code, reason) in UNAVAILABLE {
            let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
            let now = Arc::clone(&broken);
            let fake_aws = FakeAws::start(move |call| {
                let breaks = call.action() == action && now.load(std::sync::atomic::Ordering::SeqCst);
                if breaks { unavailable(status, code) } else { aurora(call) }
            })
            .await;
            let (found, discovery) = discover(&fake_aws, &[]).await;
            assert_eq!(names(&found.unwrap()), rest, "{action} {status} {code}");
            let calls = discovery.reported_calls.calls();
            assert_eq!(calls.len(), 1, "{calls:?}");
            assert_eq!(calls[0].0, format!("rds:{action}"));
            assert!(calls[0].1.contains(reason), "{calls:?}");

            broken.store(false, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(names(&discovery.discover().await.unwrap().databases), all);
            assert!(discovery.reported_calls.calls().is_empty());
        }
    }
}

#[tokio::test]
async fn any_other_failure_of_a_cluster_call_fails_the_region() {
    for (status, body) in [
        failure(500, "InternalFailure", "sorry"),
        failure(503, "ServiceUnavailable", "sorry"),
        (502, "<h1>bad gateway</h1>".into()),
        (200, "<h1>log in to the hotel network</h1>".into()),
        failure(403, "ExpiredToken", "expired"),
    ] {
        for action in ["DescribeDBClusters", "DescribeDBClusterEndpoints"] {
            let body = body.clone();
            let answer = move |call: &Call| {
                if call.action() == action { (status, body.clone()) } else { aurora(call) }
            };
            let fake_aws = FakeAws::start(answer).await;
            let (found, discovery) = discover(&fake_aws, &[]).await;
            assert!(found.is_err(), "{action} {status}: the tags of the clusters are not known");
            assert!(discovery.reported_calls.calls().is_empty());
        }
    }
}

#[tokio::test]
async fn the_last_clusters_stand_in_for_a_call_that_is_throttled_later() {
    let stage = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = Arc::clone(&stage);
    let fake_aws =
        FakeAws::start(move |call| match (now.load(std::sync::atomic::Ordering::SeqCst), call.action()) {
            (0, _) => aurora(call),
            (_, "DescribeDBInstances") => {
                let [known, new] = ["prod", "new"].map(|cluster| {
                    let id = format!("{cluster}-2");
                    instance(&Instance { id: &id, iam: false, cluster: Some(cluster), ..PLAIN })
                });
                response(call.action(), "DBInstances", &(known + &new), "")
            }
            (_, _) => failure(400, "Throttling", "slow"),
        })
        .await;
    let (first, discovery) = discover(&fake_aws, &[]).await;
    let first = first.unwrap();
    stage.store(1, std::sync::atomic::Ordering::SeqCst);
    let second = discovery.discover().await.unwrap();
    let expected = ["new-2", "prod-2", "prod:custom:batch", "prod:reader", "prod:writer"];
    assert_eq!(
        names(&second.databases),
        expected,
        "the database decides about IAM in a cluster that is not known"
    );
    let [new, known, endpoints @ ..] = second.databases.as_slice() else { panic!("{expected:?}") };
    assert_eq!((new.related.len(), known.related[0].name.as_str()), (0, "prod"));
    for (endpoint, before) in endpoints.iter().zip(&first[2..]) {
        assert_eq!(endpoint.listed_at, before.listed_at, "{} grows old", endpoint.name);
        assert_eq!(endpoint.related[0].name, "prod-2", "its instances are those of now");
    }
    assert_eq!(known.listed_at, second.listed_at);
    assert_ne!(known.listed_at, first[0].listed_at);
}

#[tokio::test]
async fn a_throttled_page_is_retried_alone() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let fake_aws = FakeAws::start(move |call| match (call.action(), call.parameter("Marker")) {
        ("DescribeDBClusters", "") => {
            response(call.action(), "DBClusters", &cluster("a", "aurora-postgresql", true, false), "2")
        }
        ("DescribeDBClusters", _) if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
            failure(400, "Throttling", "slow")
        }
        ("DescribeDBClusters", _) => {
            response(call.action(), "DBClusters", &cluster("b", "aurora-postgresql", true, false), "")
        }
        _ => account(call, "", "", ""),
    })
    .await;
    assert_eq!(names(&discover(&fake_aws, &[]).await.0.unwrap()), ["a:writer", "b:writer"]);
    let pages = fake_aws.calls();
    let pages: Vec<_> = pages.iter().filter(|call| call.action() == "DescribeDBClusters").collect();
    let markers: Vec<_> = pages.iter().map(|call| call.parameter("Marker")).collect();
    assert_eq!(markers, ["", "2", "2"]);
}
