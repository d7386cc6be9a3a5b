//! The port `RoleSources`: credentials of roles, for the services of `credentials`.
//!
//! Services with equal source credentials share one chain, so that a `credential_process` or a login runs once for all.

use std::sync::{Arc, Weak};

use aws_config::Region;
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

use super::environment::Environment;
use super::sts::{self, Issued, NotIssued};
use super::{Aws, Shared};
use crate::catalog::Boxed;
use crate::secret::Secret;
use crate::services::{
    AssumeError, AssumedRole, Base, RoleCredentials, RoleSource, RoleSources, Service, SourceCredentials,
};

/// The most calls at once: hundreds of services start together.
const CALLS_AT_ONCE: usize = 8;

/// Makes the sources.
pub struct RolesByService {
    shared: Mutex<Vec<Weak<SharedSource>>>,
    permits: Arc<Semaphore>,
}

/// Source credentials that services share.
struct SharedSource {
    source: SourceCredentials,
    /// Loaded by the first call.
    aws: OnceCell<Aws>,
}

struct RoleOfService {
    shared: Arc<SharedSource>,
    role: AssumedRole,
    permits: Arc<Semaphore>,
}

impl Default for RolesByService {
    fn default() -> Self {
        Self { shared: Mutex::default(), permits: Arc::new(Semaphore::new(CALLS_AT_ONCE)) }
    }
}

impl RoleSources for RolesByService {
    fn source(&self, service: &Service) -> Arc<dyn RoleSource> {
        let (shared, permits) = (self.shared(&service.source), Arc::clone(&self.permits));
        Arc::new(RoleOfService { shared, role: service.role.clone(), permits })
    }
}

impl RolesByService {
    fn shared(&self, source: &SourceCredentials) -> Arc<SharedSource> {
        let mut all = self.shared.lock();
        all.retain(|shared| shared.strong_count() > 0);
        if let Some(known) = all.iter().filter_map(Weak::upgrade).find(|shared| shared.source == *source) {
            return known;
        }
        let shared = Arc::new(SharedSource { source: source.clone(), aws: OnceCell::new() });
        all.push(Arc::downgrade(&shared));
        shared
    }
}

impl RoleSource for RoleOfService {
    fn assume(&self) -> Boxed<'_, Result<RoleCredentials, AssumeError>> {
        Box::pin(self.call())
    }
}

impl RoleOfService {
    async fn call(&self) -> Result<RoleCredentials, AssumeError> {
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let aws = self.shared.aws().await;
        let base = aws.chain.current().await.map_err(|error| failure(error.to_string()))?;
        let region = self.shared.source.region.clone().map(Region::new);
        let region = region.or_else(|| aws.config.region().cloned()).ok_or_else(|| {
            failure(
                "no AWS region is set: name it in source_credentials or aws_defaults, or set AWS_REGION"
                    .into(),
            )
        })?;
        let role = &self.role;
        let seconds = i32::try_from(role.duration.as_secs()).ok();
        let policy = |arn: &String| PolicyDescriptorType::builder().arn(arn).build();
        let policies: Vec<_> = role.policy_arns.iter().map(policy).collect();
        let call = aws_sdk_sts::Client::new(&aws.config)
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.session_name)
            .set_duration_seconds(seconds)
            .set_external_id(role.external_id.clone())
            .set_policy(role.policy.clone())
            .set_policy_arns((!policies.is_empty()).then_some(policies))
            .set_source_identity(role.source_identity.clone())
            .set_tags(tags(role))
            .set_transitive_tag_keys(some(&role.transitive_tag_keys));
        let issued = sts::assume_role(call, base, Some(region)).await;
        issued.map(credentials).map_err(|error| refused(role, &error))
    }
}

impl SharedSource {
    async fn aws(&self) -> &Aws {
        let environment = Environment::of_this_process();
        let environment = match &self.source.base {
            Base::Chain => environment,
            Base::Profile { name, config_file } => {
                let environment = environment.with_profile(name);
                match config_file {
                    Some(file) => environment.with("AWS_CONFIG_FILE", &file.to_string_lossy()),
                    None => environment,
                }
            }
            Base::Keys { access_key_id, secret_access_key, session_token } => {
                environment.with_keys(access_key_id, secret_access_key, session_token.as_ref())
            }
        };
        let regions: Vec<_> = self.source.region.iter().cloned().collect();
        self.aws
            .get_or_init(|| {
                Box::pin(async move { Aws::load_from(environment, &regions, &Shared::default()).await })
            })
            .await
    }
}

fn tags(role: &AssumedRole) -> Option<Vec<Tag>> {
    // Both are set.
    let tags = role.tags.iter().filter_map(|tag| Tag::builder().key(&tag.key).value(&tag.value).build().ok());
    some(&tags.collect::<Vec<_>>())
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn refused(role: &AssumedRole, error: &NotIssued) -> AssumeError {
    let remedy = error.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    failure(format!("AWS STS did not assume the role {}: {}{remedy}", role.arn, error.detail))
}

fn failure(reason: String) -> AssumeError {
    AssumeError { reason }
}

fn credentials(issued: Issued) -> RoleCredentials {
    RoleCredentials {
        access_key_id: issued.access_key_id,
        secret_access_key: Secret::new(issued.secret_access_key),
        session_token: Secret::new(issued.session_token),
        expires: issued.expires,
    }
}
