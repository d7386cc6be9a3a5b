//! A fake AWS endpoint for `AWS_ENDPOINT_URL`: it answers the RDS and STS calls of the proxies.
//!
//! It speaks the AWS query protocol as RDS (2014-10-31), STS (2011-06-15) and IAM (2010-05-08) do: form parameters in, XML out, errors
//! with their codes and statuses ("Common errors" in both API references), and REST with JSON as Aurora DSQL does. The region is the one in the request's
//! signature. It looks the access key up but does not verify the signature; the fake RDS verifies IAM tokens.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};
use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::aws_failure::{AwsFailure, Rule};
use super::dsql_api::{self, DsqlCluster};
use super::iam;
use super::identity::{AccessKey, Identities};
use super::rds_api::{ACCOUNT, DbCluster, DbInstance, DbProxy, Listed, element, wrap};
use super::runtime;
use super::sts::{Refused, Role};

const RDS: &str = "http://rds.amazonaws.com/doc/2014-10-31/";
const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const IAM: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A running endpoint. Clones share it.
#[derive(Clone)]
pub struct FakeAws {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    identities: Identities,
    state: Arc<Mutex<Contents>>,
}

#[derive(Default)]
struct Contents {
    instances: Vec<DbInstance>,
    clusters: Vec<DbCluster>,
    proxies: Vec<DbProxy>,
    dsql: Vec<DsqlCluster>,
    roles: Vec<Role>,
    /// The credentials of roles, by the role's ARN.
    assumed: Vec<(String, AccessKey)>,
    rules: Vec<Rule>,
    page_size: Option<usize>,
    requests: BTreeMap<String, usize>,
    clock_ahead: Duration,
}

/// A parsed request.
struct Request {
    action: String,
    region: String,
    /// That of the access key.
    account: String,
    form: HashMap<String, String>,
}

/// An error response: HTTP status, code, message.
struct ErrorReply(StatusCode, &'static str, String);

impl FakeAws {
    /// Listens on a free port.
    pub async fn start(identities: Identities) -> Self {
        runtime::within(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let aws = Self { url, identities, state: Arc::default() };
            let router = Router::new()
                .route("/cluster", get(list_clusters))
                .route("/cluster/{identifier}", get(get_cluster))
                .fallback(answer)
                .with_state(aws.clone());
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            aws
        })
        .await
    }

    /// Adds an instance, or replaces the one with the same name, account and region.
    pub fn put_instance(&self, instance: DbInstance) {
        let instances = &mut self.state.lock().unwrap().instances;
        let place = |of: &DbInstance| (of.identifier.clone(), of.account.clone(), of.region.clone());
        instances.retain(|known| place(known) != place(&instance));
        instances.push(instance);
    }

    /// Adds a cluster, or replaces the one with the same name and region. Add its instances separately.
    pub fn put_cluster(&self, cluster: DbCluster) {
        let clusters = &mut self.state.lock().unwrap().clusters;
        clusters.retain(|known| (&known.identifier, &known.region) != (&cluster.identifier, &cluster.region));
        clusters.push(cluster);
    }

    /// Adds an RDS Proxy.
    pub fn put_proxy(&self, proxy: DbProxy) {
        self.state.lock().unwrap().proxies.push(proxy);
    }

    /// Adds a cluster of Aurora DSQL, or replaces the one with the same identifier.
    pub fn put_dsql(&self, cluster: DsqlCluster) {
        let clusters = &mut self.state.lock().unwrap().dsql;
        clusters.retain(|known| known.identifier != cluster.identifier);
        clusters.push(cluster);
    }

    /// Adds a role, or replaces the one with the same ARN.
    pub fn put_role(&self, role: Role) {
        let roles = &mut self.state.lock().unwrap().roles;
        roles.retain(|known| known.arn != role.arn);
        roles.push(role);
    }

    /// The credentials that were returned for a role, the last ones at the end.
    pub fn assumed(&self, arn: &str) -> Vec<AccessKey> {
        let state = self.state.lock().unwrap();
        state.assumed.iter().filter(|(role, _)| role == arn).map(|(_, key)| key.clone()).collect()
    }

    /// Changes the instance with this name.
    pub fn change_instance(&self, identifier: &str, change: impl FnOnce(&mut DbInstance)) {
        let instances = &mut self.state.lock().unwrap().instances;
        change(instances.iter_mut().find(|instance| instance.identifier == identifier).unwrap());
    }

    /// Removes the instance with this name.
    pub fn remove_instance(&self, identifier: &str) {
        self.state.lock().unwrap().instances.retain(|instance| instance.identifier != identifier);
    }

    /// Lets requests fail by this rule from now on.
    pub fn fail(&self, rule: Rule) {
        self.state.lock().unwrap().rules.push(rule);
    }

    /// Removes all failure rules.
    pub fn recover(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// Limits pages to this many entries, whatever `MaxRecords` a request has.
    pub fn set_page_size(&self, size: usize) {
        self.state.lock().unwrap().page_size = Some(size);
    }

    /// Sets how far the clock of AWS is ahead: the `Date` of its responses.
    pub fn set_clock_ahead(&self, ahead: Duration) {
        self.state.lock().unwrap().clock_ahead = ahead;
    }

    /// The number of requests for an action, failed ones included.
    pub fn requests(&self, action: &str) -> usize {
        self.state.lock().unwrap().requests.get(action).copied().unwrap_or_default()
    }

    /// The number of all requests.
    pub fn all_requests(&self) -> usize {
        self.state.lock().unwrap().requests.values().sum()
    }

    fn authenticate(
        &self,
        headers: &HeaderMap,
        form: HashMap<String, String>,
    ) -> Result<(Request, AccessKey), ErrorReply> {
        let forbidden = |code, text: &str| ErrorReply(StatusCode::FORBIDDEN, code, text.to_owned());
        let scope = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 Credential="))
            .and_then(|value| value.split_once(',').map(|(scope, _)| scope))
            .ok_or(forbidden("MissingAuthenticationToken", "Request is missing Authentication Token"))?;
        let parts: Vec<_> = scope.split('/').collect();
        let [access_key, _, region, _, _] = parts[..] else {
            return Err(forbidden("IncompleteSignature", "The Credential is not of five parts"));
        };
        let token = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
        let key = self.identities.find(access_key).filter(|key| key.session_token.as_deref() == token);
        let key = key.ok_or(forbidden(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ))?;
        if key.expired(SystemTime::now()) {
            return Err(forbidden("ExpiredToken", "The security token included in the request is expired"));
        }
        let action = form.get("Action").cloned().unwrap_or_default();
        Ok((Request { action, region: region.to_owned(), account: key.account(), form }, key))
    }

    fn injected_failure(&self, request: &Request) -> Option<AwsFailure> {
        let rules = &mut self.state.lock().unwrap().rules;
        rules.iter_mut().find_map(|rule| rule.applies(&request.action, &request.region))
    }

    fn describe(&self, request: &Request, key: &AccessKey) -> Result<String, ErrorReply> {
        if request.action == "AssumeRole" {
            return self.assume_role(request, key);
        }
        let contents = self.state.lock().unwrap();
        let page = contents.page_size;
        match request.action.as_str() {
            "DescribeDBInstances" => {
                request.list(&contents.instances, "DBInstances", "DBInstanceIdentifier", page)
            }
            "DescribeDBClusters" => {
                request.list(&contents.clusters, "DBClusters", "DBClusterIdentifier", page)
            }
            "DescribeDBClusterEndpoints" => {
                let kinds = request.filter("db-cluster-endpoint-type")?;
                let endpoints = contents.clusters.iter().flat_map(DbCluster::endpoints);
                let endpoints: Vec<_> = endpoints.filter(|endpoint| endpoint.is_one_of(&kinds)).collect();
                request.page(&endpoints, "DBClusterEndpoints", "DBClusterIdentifier", page)
            }
            "DescribeDBProxies" => request.page(&contents.proxies, "DBProxies", "DBProxyName", page),
            "DescribeDBProxyEndpoints" => {
                let endpoints: Vec<_> = contents.proxies.iter().flat_map(DbProxy::all_endpoints).collect();
                request.page(&endpoints, "DBProxyEndpoints", "DBProxyName", page)
            }
            "DescribeDBProxyTargets" => {
                let targets: Vec<_> = contents.proxies.iter().flat_map(DbProxy::targets).collect();
                request.page(&targets, "Targets", "DBProxyName", page)
            }
            "ListTagsForResource" => request.tags(&contents.proxies),
            "GetCallerIdentity" => Ok(caller_identity(key)),
            "SimulatePrincipalPolicy" => {
                iam::simulate(&contents.roles, key, &request.form).map_err(ErrorReply::from)
            }
            "GetRole" => iam::role(&contents.roles, &request.form).map_err(ErrorReply::from),
            other => {
                let text = format!("The action {other} is not valid for this web service.");
                Err(ErrorReply(StatusCode::BAD_REQUEST, "InvalidAction", text))
            }
        }
    }

    fn assume_role(&self, request: &Request, key: &AccessKey) -> Result<String, ErrorReply> {
        let mut state = self.state.lock().unwrap();
        let (assumed, answer) =
            Role::assume(&state.roles, &key.owner(), &request.form).map_err(ErrorReply::from)?;
        self.identities.add(assumed.clone());
        let arn = request.form.get("RoleArn").cloned().unwrap_or_default();
        state.assumed.push((arn, assumed));
        Ok(answer)
    }
}

impl From<Refused> for ErrorReply {
    fn from((code, text): Refused) -> Self {
        let status = match code {
            "AccessDenied" => StatusCode::FORBIDDEN,
            "NoSuchEntity" => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, code, text)
    }
}

impl Request {
    /// [`Request::page`] of the items whose engine passes the request's filter.
    fn list<I: Listed>(
        &self,
        items: &[I],
        list: &str,
        identifier: &str,
        page_size: Option<usize>,
    ) -> Result<String, ErrorReply> {
        let engines = self.filter("engine")?;
        let fits = |item: &&I| engines.is_empty() || engines.contains(&item.engine());
        let items: Vec<_> = items.iter().filter(fits).cloned().collect();
        self.page(&items, list, identifier, page_size)
    }

    /// One page of the `items` with the request's region and account and, if it names one, its identifier.
    fn page(
        &self,
        items: &[impl Listed],
        list: &str,
        identifier: &str,
        page_size: Option<usize>,
    ) -> Result<String, ErrorReply> {
        let identifier = self.form.get(identifier);
        let fitting: Vec<_> = items
            .iter()
            .filter(|item| (item.region(), item.account()) == (&self.region, &self.account))
            .filter(|item| identifier.is_none_or(|wanted| item.identifier() == wanted))
            .collect();
        let size = self.page_size()?.min(page_size.unwrap_or(usize::MAX));
        let start = self.marker()?;
        let page: String = fitting.iter().skip(start).take(size).map(|item| item.xml()).collect();
        let next = start + size;
        let marker = if next < fitting.len() {
            element("Marker", &format!("page-from-{next}"))
        } else {
            String::new()
        };
        Ok(marker + &wrap(list, &page))
    }

    /// The tags of the proxy that the request names.
    fn tags(&self, proxies: &[DbProxy]) -> Result<String, ErrorReply> {
        let arn = self.form.get("ResourceName").cloned().unwrap_or_default();
        let proxy = proxies.iter().find(|proxy| proxy.arn() == arn);
        let missing = format!("DBProxy {arn} not found");
        proxy.map(DbProxy::tag_list).ok_or(ErrorReply(StatusCode::NOT_FOUND, "DBProxyNotFoundFault", missing))
    }

    /// RDS accepts 20 to 100; the default is 100.
    fn page_size(&self) -> Result<usize, ErrorReply> {
        let Some(text) = self.form.get("MaxRecords") else { return Ok(100) };
        let size = text.parse().ok().filter(|size| (20..=100).contains(size));
        size.ok_or(invalid(format!("Invalid value {text} for MaxRecords. Must be between 20 and 100")))
    }

    fn marker(&self) -> Result<usize, ErrorReply> {
        let Some(marker) = self.form.get("Marker") else { return Ok(0) };
        let start = marker.strip_prefix("page-from-").and_then(|start| start.parse().ok());
        start.ok_or(invalid("Invalid Marker parameter value".into()))
    }

    /// The values of `Filters.Filter.N.Values.Value.M` where `Filters.Filter.N.Name` is `name`.
    fn filter(&self, name: &str) -> Result<Vec<&str>, ErrorReply> {
        let mut values = Vec::new();
        for number in 1.. {
            let Some(found) = self.form.get(&format!("Filters.Filter.{number}.Name")) else { break };
            if found != name {
                return Err(invalid(format!("Unrecognized filter name: {found}")));
            }
            let value = |index| self.form.get(&format!("Filters.Filter.{number}.Values.Value.{index}"));
            values.extend((1..).map_while(value).map(String::as_str));
        }
        Ok(values)
    }
}

type Parameters = HashMap<String, String>;

async fn list_clusters(
    State(aws): State<FakeAws>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Response {
    aws.dsql("ListClusters", &headers, |contents, region| {
        let clusters: Vec<_> = contents.dsql.iter().filter(|cluster| cluster.region == region).collect();
        let size = contents.page_size.unwrap_or(usize::MAX);
        dsql_api::page(&clusters, query.get("next-token").map(String::as_str), size)
    })
    .await
}

async fn get_cluster(
    State(aws): State<FakeAws>,
    headers: HeaderMap,
    Path(identifier): Path<String>,
) -> Response {
    aws.dsql("GetCluster", &headers, |contents, region| {
        let mut clusters = contents.dsql.iter().filter(|cluster| cluster.region == region);
        match clusters.find(|cluster| cluster.identifier == identifier) {
            Some(cluster) => dsql_api::json(StatusCode::OK, &cluster.json()),
            None => dsql_api::error(StatusCode::NOT_FOUND, "ResourceNotFoundException", "no such cluster"),
        }
    })
    .await
}

impl FakeAws {
    /// Answers a call of Aurora DSQL. Of the failure rules only those for this action apply to it.
    async fn dsql(
        &self,
        action: &str,
        headers: &HeaderMap,
        describe: impl FnOnce(&Contents, &str) -> Response,
    ) -> Response {
        *self.state.lock().unwrap().requests.entry(action.to_owned()).or_default() += 1;
        let form = HashMap::from([("Action".to_owned(), action.to_owned())]);
        let request = match self.authenticate(headers, form) {
            Ok((request, _)) => request,
            Err(ErrorReply(status, code, message)) => return dsql_api::error(status, code, &message),
        };
        let failure = {
            let rules = &mut self.state.lock().unwrap().rules;
            let mut named = rules.iter_mut().filter(|rule| rule.names_an_action());
            named.find_map(|rule| rule.applies(action, &request.region))
        };
        match failure {
            Some(AwsFailure::Slow(delay)) => tokio::time::sleep(delay).await,
            Some(failure) => return dsql_api::failure(failure, action),
            None => {}
        }
        describe(&self.state.lock().unwrap(), &request.region)
    }
}

async fn answer(
    State(aws): State<FakeAws>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut response = respond(&aws, headers, form).await;
    let time = DateTime::from(SystemTime::now() + aws.state.lock().unwrap().clock_ahead);
    let date = time.fmt(DateTimeFormat::HttpDate).unwrap();
    response.headers_mut().insert(header::DATE, date.parse().unwrap());
    response
}

async fn respond(aws: &FakeAws, headers: HeaderMap, form: HashMap<String, String>) -> Response {
    let action = form.get("Action").cloned().unwrap_or_default();
    let namespace = match action.as_str() {
        "GetCallerIdentity" | "AssumeRole" => STS,
        "SimulatePrincipalPolicy" | "GetRole" => IAM,
        _ => RDS,
    };
    *aws.state.lock().unwrap().requests.entry(action.clone()).or_default() += 1;
    let result = match aws.authenticate(&headers, form) {
        Err(reply) => Err(reply),
        Ok((request, key)) => match aws.injected_failure(&request) {
            Some(AwsFailure::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                aws.describe(&request, &key)
            }
            Some(AwsFailure::Malformed) => {
                return xml(StatusCode::OK, "<html><body><p>Please log in<br></body></html>".into());
            }
            Some(AwsFailure::Truncated) => {
                return xml(
                    StatusCode::OK,
                    format!("<{action}Response xmlns=\"{namespace}\"><{action}Result><DB"),
                );
            }
            Some(failure) => Err(error_reply(failure, &action)),
            None => aws.describe(&request, &key),
        },
    };
    match result {
        Ok(result) => {
            let body = wrap(&format!("{action}Result"), &result) + &wrap("ResponseMetadata", &request_id());
            xml(StatusCode::OK, format!("<{action}Response xmlns=\"{namespace}\">{body}</{action}Response>"))
        }
        Err(ErrorReply(status, code, message)) => {
            let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
            let error = element("Type", kind) + &element("Code", code) + &element("Message", &message);
            let body = wrap("Error", &error) + &request_id();
            xml(status, format!("<ErrorResponse xmlns=\"{namespace}\">{body}</ErrorResponse>"))
        }
    }
}

fn error_reply(failure: AwsFailure, action: &str) -> ErrorReply {
    match failure {
        AwsFailure::Throttling => ErrorReply(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded".into()),
        AwsFailure::AccessDenied => {
            let text = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: rds:{action} on resource: * \
                 because no identity-based policy allows the rds:{action} action"
            );
            ErrorReply(StatusCode::FORBIDDEN, "AccessDenied", text)
        }
        AwsFailure::Unknown => {
            let text = format!("The action {action} is not valid for this web service.");
            ErrorReply(StatusCode::BAD_REQUEST, "InvalidAction", text)
        }
        AwsFailure::Expired => {
            let text = "The security token included in the request is expired";
            ErrorReply(StatusCode::FORBIDDEN, "ExpiredToken", text.into())
        }
        AwsFailure::UnknownCredentials => {
            let text = "The security token included in the request is invalid.";
            ErrorReply(StatusCode::FORBIDDEN, "InvalidClientTokenId", text.into())
        }
        AwsFailure::Internal | AwsFailure::Malformed | AwsFailure::Truncated | AwsFailure::Slow(_) => {
            let text = "An internal error occurred. Try again later.";
            ErrorReply(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", text.into())
        }
    }
}

fn caller_identity(key: &AccessKey) -> String {
    element("Arn", &key.owner())
        + &element("UserId", &format!("{}:session", key.id))
        + &element("Account", &key.account())
}

fn invalid(message: String) -> ErrorReply {
    ErrorReply(StatusCode::BAD_REQUEST, "InvalidParameterValue", message)
}

fn request_id() -> String {
    element("RequestId", "01234567-89ab-cdef-0123-456789abcdef")
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}
