//! Sends calls of the IAM API, without its SDK: that has 180 operations, of which two are needed.
//!
//! Source: AWS Identity and Access Management API Reference, "Making query requests".

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use http::{Method, Request, header};
use tokio::time::timeout;

use super::untraced::untraced;
use crate::error_chain;

/// The limit for one call.
const LIMIT: Duration = Duration::from_secs(5);

/// The version of the API.
const VERSION: &str = "2010-05-08";

/// The media type of parameters.
const FORM: &str = "application/x-www-form-urlencoded";

/// Partition, endpoint, and the region of signatures (AWS General Reference, "AWS Identity and Access Management endpoints").
const ENDPOINTS: [(&str, &str, &str); 3] = [
    ("aws", "https://iam.amazonaws.com", "us-east-1"),
    ("aws-cn", "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("aws-us-gov", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
];

/// The IAM API, with the credentials of one identity.
pub(super) struct IamApi<'a> {
    config: &'a SdkConfig,
    credentials: Credentials,
    endpoint: String,
    region: &'static str,
}

/// Why a call has no result.
pub(super) struct NoResult {
    /// The error code of IAM; empty without an answer of it.
    pub(super) code: String,
    /// The code, or why there is no answer.
    pub(super) detail: String,
}

impl<'a> IamApi<'a> {
    /// Absent for a partition whose endpoint is not known here.
    pub(super) fn new(config: &'a SdkConfig, credentials: Credentials, partition: &str) -> Option<Self> {
        let (_, endpoint, region) = ENDPOINTS.iter().find(|(name, ..)| *name == partition)?;
        let endpoint = configured_endpoint(config).unwrap_or_else(|| (*endpoint).to_owned());
        Some(Self { config, credentials, endpoint, region })
    }

    /// Calls an action. Returns the XML of the answer.
    pub(super) async fn call(
        &self,
        action: &'static str,
        parameters: &[(&str, &str)],
    ) -> Result<String, NoResult> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", VERSION).extend_pairs(parameters);
        let sent = timeout(LIMIT, untraced(Box::pin(self.send(action, form.finish())))).await;
        let (status, xml) = sent
            .unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
            .map_err(|detail| NoResult { code: String::new(), detail })?;
        if status == 200 {
            return Ok(xml);
        }
        let code = element(&xml, "Code").unwrap_or_default().to_owned();
        let detail = if code.is_empty() { format!("status {status}") } else { code.clone() };
        Err(NoResult { code, detail })
    }

    async fn send(&self, action: &'static str, form: String) -> Result<(u16, String), String> {
        let client = self.config.http_client().ok_or("there is no HTTP client")?;
        let (endpoint, region, credentials) = (self.endpoint.clone(), self.region, self.credentials.clone());
        let operation = Operation::builder()
            .service_name("iam")
            .operation_name(action)
            .http_client(client)
            .endpoint_url(&self.endpoint)
            .no_auth()
            .no_retry()
            .serializer(move |form: String| signed(&endpoint, region, &credentials, form))
            .deserializer(|response: &HttpResponse| {
                let body = response.body().bytes().unwrap_or_default();
                Ok::<_, OrchestratorError<Infallible>>((
                    response.status().as_u16(),
                    String::from_utf8_lossy(body).into_owned(),
                ))
            })
            .build();
        operation.invoke(form).await.map_err(|error| error_chain::text(&error))
    }
}

/// `AWS_ENDPOINT_URL_IAM`, `AWS_ENDPOINT_URL`, and `endpoint_url` of the profile and of its services.
fn configured_endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("IAM").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_service =
        config.service_config().zip(key.build().ok()).and_then(|(all, key)| all.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// The request, signed for this endpoint.
fn signed(
    endpoint: &str,
    region: &str,
    credentials: &Credentials,
    form: String,
) -> Result<HttpRequest, BoxError> {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("iam")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = [(header::CONTENT_TYPE.as_str(), FORM)].into_iter();
    let url = format!("{}/", endpoint.trim_end_matches('/'));
    let signable = SignableRequest::new("POST", url, headers, SignableBody::Bytes(form.as_bytes()))?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    // The client puts the endpoint before it.
    let request = Request::builder().method(Method::POST).uri("/").header(header::CONTENT_TYPE, FORM);
    let mut request = request.body(SdkBody::from(form))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.try_into()?)
}

/// The text of the first element of this name without attributes and children.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = behind.split_once(&format!("</{name}>"))?;
    Some(text)
}
