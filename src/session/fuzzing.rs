//! Access for `tests/fuzz` to private steps. Only in builds of cargo-fuzz.

use std::time::Duration;

use super::authenticate::authenticate;
use super::connect::HopStream;
use super::deadline::Deadline;
use super::logins::{Arrival, Logins};
use super::proxy_header::read_proxy_header;
use super::{Failure, Limits, Login, Opening};
use crate::catalog::{AwsClock, IamService, Signer};
use crate::net::{Framed, Peer, Socket};
use crate::secret::Secret;
use crate::tls::Acceptor;
use crate::wire::{CancelRequest, StartupMessage};

/// How long a login may take; nothing in memory takes as long.
const LONG: Duration = Duration::from_mins(1);

/// The step `negotiate`, after the header of a load balancer if there is one. A refusal comes with the connection if it can still
/// carry a message.
pub async fn negotiate(
    socket: Socket,
    acceptor: Option<&Acceptor>,
    is_load_balancer: bool,
) -> Result<(Framed, Opening), (Option<Framed>, Failure)> {
    let negotiated = async {
        let mut app = Framed::new(socket);
        if is_load_balancer {
            (app, _) = read_proxy_header(app, Peer::Unix).await?;
        }
        super::negotiate::negotiate(app, acceptor.cloned()).await
    };
    match negotiated.await {
        Ok(negotiated) => Ok((negotiated.app, negotiated.opening)),
        Err(refused) => Err((refused.app, refused.failure)),
    }
}

/// The step `authenticate`, with a password of the proxy or with the application's.
pub async fn login(
    app: &mut Framed,
    hop: Framed,
    startup: StartupMessage,
    password: Option<Secret>,
) -> Result<Option<CancelRequest>, Failure> {
    let login = Login {
        startup,
        password,
        signer: Some(Signer { access_key_id: "someone".to_owned(), arn: None }),
        signed: None,
        iam: Some(IamService::Rds),
        token_rule: None,
        no_token: None,
        notice: None,
        clock: AwsClock::default(),
        of_client: false,
    };
    let arrival = Arrival { peer: None, target: "hop", has_password: false, slot: None };
    let permit = Logins::new(&Limits::default()).arrive(arrival);
    authenticate(app, &mut HopStream::trusted(hop, "hop"), &login, &permit, &mut Deadline::new(LONG))
        .await
        .map(|logged_in| logged_in.cancel)
}
