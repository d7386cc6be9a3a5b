//! The targets: their tags and access list, the directory that finds them, and the ports to the outside.

mod acl;
mod allowed_clients;
mod auth_methods;
mod aws_clock;
mod aws_identity;
mod described;
mod directory;
mod front_door;
mod guard_rails;
mod listed_at;
mod listing;
mod local_ports;
mod login_permission;
mod lookup;
mod merge;
mod metrics;
mod names;
mod person_login;
mod port_forward;
mod ports;
mod resource;
mod selection;
mod signer;
mod skipped;
mod target;
mod tls_check;
mod token;
mod token_error;

pub use acl::{Acl, Refusal, Related, RelatedKind, Tag};
pub use allowed_clients::AllowedClients;
pub use auth_methods::{AuthMethod, AuthMethods, InvalidAuthMethods};
pub use aws_clock::{AwsClock, ClockDifference};
pub use aws_identity::{AwsAccount, AwsIdentity, IamRole};
pub use described::Described;
pub use directory::Directory;
pub use front_door::{FrontDoor, WILDCARD};
pub use guard_rails::GuardRails;
pub use listed_at::ListedAt;
pub use local_ports::{LocalPort, local_ports};
pub use login_permission::LoginPermission;
pub use lookup::LookupError;
pub use metrics::describe;
pub use names::{named, nearest, only_case_differs};
pub use person_login::{PersonLogin, RunningLogin};
pub use port_forward::{Pods, PortForward};
pub use ports::{
    Boxed, Dial, Discover, DiscoverError, Hinted, Inventory, LateRefusal, Mint, MintError, Minted,
    SkippedList, TunnelStream,
};
pub use resource::{EndpointKind, Resource};
pub use selection::NamePattern;
pub use signer::Signer;
pub use skipped::Skipped;
pub use target::{DefaultTls, Discovered, Iam, IamService, Location, Policy, StaticTarget, Target};
pub use token::{TokenClaim, TokenRule, dsql_action};
pub use token_error::TokenError;
