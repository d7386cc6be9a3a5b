//! The shapes of the answers are those of the Amazon RDS API Reference: `DescribeDBProxies`, `DescribeDBProxyEndpoints`,
//! `DescribeDBProxyTargets`, `ListTagsForResource`.

use super::*;
use crate::catalog::RelatedKind;

/// A proxy whose secrets have these values of `IAMAuth`.
fn proxy(name: &str, family: &str, iam: &[&str]) -> String {
    let mut auth = String::new();
    for mode in iam {
        write!(auth, "<member><AuthScheme>SECRETS</AuthScheme><IAMAuth>{mode}</IAMAuth></member>").unwrap();
    }
    format!(
        "<member><DBProxyName>{name}</DBProxyName><EngineFamily>{family}</EngineFamily><Status>available</Status>\
         <Endpoint>{name}.proxy-abc.us-east-1.rds.amazonaws.com</Endpoint><Auth>{auth}</Auth>\
         <DBProxyArn>arn:aws:rds:us-east-1:111122223333:db-proxy:prx-{name}</DBProxyArn></member>"
    )
}

fn endpoint(proxy: &str, name: &str, is_default: bool) -> String {
    format!(
        "<member><DBProxyEndpointName>{name}</DBProxyEndpointName><DBProxyName>{proxy}</DBProxyName>\
         <Endpoint>{name}.endpoint.proxy-abc.us-east-1.rds.amazonaws.com</Endpoint><IsDefault>{is_default}</IsDefault></member>"
    )
}

fn target(id: &str, tracked: Option<&str>) -> String {
    let tracked = tracked.map(|id| format!("<TrackedClusterId>{id}</TrackedClusterId>")).unwrap_or_default();
    format!("<member><RdsResourceId>{id}</RdsResourceId>{tracked}</member>")
}

/// An account with these proxies, further endpoints and targets, and with the tags of the first test for each proxy.
fn proxies(call: &Call, proxies: &str, endpoints: &str, targets: &str) -> Response {
    match call.action() {
        "DescribeDBProxies" => response(call.action(), "DBProxies", proxies, ""),
        "DescribeDBProxyEndpoints" => response(call.action(), "DBProxyEndpoints", endpoints, ""),
        "DescribeDBProxyTargets" => response(call.action(), "Targets", targets, ""),
        "ListTagsForResource" => {
            let (mut status, mut xml) = response(call.action(), "TagList", "", "");
            if call.parameter("ResourceName").ends_with(":db-proxy:prx-gone") {
                (status, xml) = failure(404, "DBProxyNotFoundFault", "gone");
            }
            let tags = tag_list(&[
                ("team", "blue"),
                ("rds-auth-proxy:local-port", "54020"),
                ("rds-auth-proxy:notice", "pool"),
            ]);
            (status, xml.replace("<TagList></TagList>", &tags))
        }
        _ => {
            let member = instance(&Instance { id: "prod-1", cluster: Some("prod"), ..PLAIN });
            account(
                call,
                &(instance(&PLAIN) + &member),
                &cluster("prod", "aurora-postgresql", true, false),
                "",
            )
        }
    }
}

fn of_proxies(found: &[Discovered]) -> Vec<&Discovered> {
    found.iter().filter(|database| database.name.contains(":proxy")).collect()
}

#[tokio::test]
async fn a_proxy_has_its_endpoint_and_further_ones() {
    let fake_aws = FakeAws::start(|call| {
        let endpoints = [
            endpoint("pool", "pool", true),
            endpoint("pool", "readers", false),
            endpoint("other", "x", false),
        ];
        let listed = proxy("pool", "POSTGRESQL", &["DISABLED", "REQUIRED"]);
        proxies(call, &listed, &endpoints.concat(), &target("db-1", None))
    })
    .await;
    let found = discover(&fake_aws, &[]).await.0.unwrap();
    let found = of_proxies(&found);
    let expected = [
        ("pool:proxy", "pool.proxy-abc.us-east-1.rds.amazonaws.com:5432", Some(54020)),
        ("pool:proxy:readers", "readers.endpoint.proxy-abc.us-east-1.rds.amazonaws.com:5432", None),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, (name, address, local_port)) in found.into_iter().zip(expected) {
        assert_eq!((found.name.as_str(), found.address.to_string().as_str()), (name, address));
        assert_eq!((found.local_port, found.database.as_deref()), (local_port, None));
        assert_eq!((&found.roots, found.region.as_str()), (&Roots::Amazon, "us-east-1"));
        assert_eq!(found.tags[0], Tag { name: "team".into(), value: "blue".into() });
        assert_eq!(found.guard_rails.notice.as_deref(), Some("pool"));
        assert_eq!(found.related[0].name, "db-1");
    }
    let calls = fake_aws.calls();
    let call = |action: &str| calls.iter().find(|call| call.action() == action).unwrap();
    let arn = "arn:aws:rds:us-east-1:111122223333:db-proxy:prx-pool";
    assert_eq!(call("ListTagsForResource").parameter("ResourceName"), arn);
    assert_eq!(call("DescribeDBProxyTargets").parameter("DBProxyName"), "pool");
    assert_eq!(call("DescribeDBProxies").parameter("MaxRecords"), "100");
}

#[tokio::test]
async fn the_settings_of_a_proxy_decide_whether_it_is_usable() {
    let fake_aws = FakeAws::start(|call| {
        let by_default = "<DefaultAuthScheme>IAM_AUTH</DefaultAuthScheme><Auth></Auth>";
        let listed = [
            proxy("required", "POSTGRESQL", &["REQUIRED"]),
            proxy("enabled", "POSTGRESQL", &["ENABLED"]),
            proxy("by-default", "POSTGRESQL", &[]).replace("<Auth></Auth>", by_default),
            proxy("disabled", "POSTGRESQL", &["DISABLED"]),
            proxy("silent", "POSTGRESQL", &[]),
            proxy("mysql", "MYSQL", &["REQUIRED"]),
            proxy("creating", "POSTGRESQL", &["REQUIRED"])
                .replace("<Endpoint>creating.proxy-abc.us-east-1.rds.amazonaws.com</Endpoint>", ""),
            proxy("elsewhere", "POSTGRESQL", &["REQUIRED"]).replace("rds:us-east-1", "rds:eu-west-1"),
            proxy("gone", "POSTGRESQL", &["REQUIRED"]),
        ];
        proxies(call, &listed.concat(), "", "")
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    let found = found.unwrap();
    let names: Vec<_> = of_proxies(&found).iter().map(|database| database.name.as_str()).collect();
    assert_eq!(names, ["by-default:proxy", "enabled:proxy", "required:proxy"]);
    let remarks = discovery.reported.remarks();
    let remark = |name: &str| remarks.get(&format!("{name}:proxy in us-east-1")).cloned();
    assert_eq!(remark("disabled"), Some(Remark::ProxyIamOff));
    assert_eq!(remark("silent"), Some(Remark::ProxyIamOff));
    assert_eq!(remark("mysql"), None, "another protocol needs no remark");
    assert_eq!(remark("creating"), Some(Remark::NoEndpoint));
    assert_eq!(remark("elsewhere"), Some(Remark::OtherRegion("eu-west-1".into())));
    let actions: Vec<_> = discovery.reported_calls.calls().into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["rds:ListTagsForResource"], "a proxy that is gone costs itself");
}

/// One database must not have an unguarded side door: blocked tags of what a proxy leads to count.
#[tokio::test]
async fn a_proxy_is_related_to_all_that_it_can_lead_to() {
    let related_to = async |targets: String| {
        let fake_aws = FakeAws::start(move |call| {
            proxies(call, &proxy("pool", "POSTGRESQL", &["REQUIRED"]), "", &targets)
        })
        .await;
        let found = discover(&fake_aws, &[]).await.0.unwrap();
        let related = of_proxies(&found)[0].related.iter().map(|other| (other.kind, other.name.clone()));
        related.collect::<Vec<_>>()
    };
    let cluster = (RelatedKind::Cluster, "prod".to_owned());
    let member = (RelatedKind::Instance, "prod-1".to_owned());
    assert_eq!(related_to(target("db-1", None)).await, [(RelatedKind::Instance, "db-1".to_owned())]);
    for targets in [target("prod", None), target("prod-1", Some("prod")), target("prod-1", None)] {
        assert_eq!(related_to(targets.clone()).await, [cluster.clone(), member.clone()], "{targets}");
    }
}

#[tokio::test]
async fn a_call_that_is_throttled_later_keeps_its_answer() {
    let throttled = Arc::new(Mutex::new(None::<&'static str>));
    let state = Arc::clone(&throttled);
    let fake_aws = FakeAws::start(move |call| {
        if *state.lock() == Some(call.action()) {
            return failure(400, "Throttling", "Rate exceeded");
        }
        let listed = proxy("pool", "POSTGRESQL", &["REQUIRED"]);
        proxies(call, &listed, &endpoint("pool", "readers", false), &target("db-1", None))
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    let first = found.unwrap();
    for action in
        ["DescribeDBProxies", "DescribeDBProxyEndpoints", "DescribeDBProxyTargets", "ListTagsForResource"]
    {
        *throttled.lock() = Some(action);
        let again = discovery.discover().await.unwrap().databases;
        assert_eq!(names(&again), names(&first), "{action}");
        assert_eq!(of_proxies(&again)[0].tags, of_proxies(&first)[0].tags);
        assert_eq!(of_proxies(&again)[1].related, of_proxies(&first)[1].related);
        let calls = discovery.reported_calls.calls();
        assert!(calls.len() == 1 && calls[0].0 == format!("rds:{action}"), "{calls:?}");
    }
}
