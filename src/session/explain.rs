//! Hints for a login that the database refused.

use std::time::SystemTime;

use super::response::DISABLE_BINDING;
use crate::catalog::{AwsClock, ClockDifference, IamService, Signer, dsql_action};
use crate::wire::{ErrorResponse, SqlState};

/// What is known about a login when the database refuses it.
#[derive(Default)]
pub(super) struct Circumstances<'a> {
    /// The database user of the login.
    pub(super) user: &'a str,
    /// The signer of the IAM token, where one was used.
    pub(super) signer: Option<&'a Signer>,
    /// The service that verifies the token.
    pub(super) service: Option<IamService>,
    /// The application could have bound its login to TLS, but did not see that the database can too.
    pub(super) binding_missed: bool,
    /// How far the signer's clock is off, where that is visible.
    pub(super) clock: Option<WrongClock>,
    /// Why there is no token, for a password that the application sent in clear text.
    pub(super) no_token: Option<&'a str>,
}

/// A clock that makes tokens too old or too young.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WrongClock {
    /// That of the machine where the token was signed, by a clock nearer to that of AWS.
    OfSigner {
        /// The age of the token, as a clause.
        age: String,
        /// The clock that measured it is that of AWS; else that of this proxy.
        by_aws: bool,
    },
    /// That of this machine, where the token was signed.
    Own(ClockDifference),
}

impl WrongClock {
    /// That of the machine which signed a token at this time. A token is made for each login, so its age shows how far the clocks
    /// differ.
    pub(super) fn of_signer(signed: SystemTime, clock: &AwsClock) -> Option<Self> {
        let by_aws = clock.now();
        let difference = ClockDifference::of(signed, by_aws.unwrap_or_else(SystemTime::now))?;
        let direction = if difference.is_ahead { "in the future" } else { "ago" };
        let age = format!("the IAM token was signed {} minutes {direction}", difference.minutes);
        Some(Self::OfSigner { age, by_aws: by_aws.is_some() })
    }

    /// That of this machine.
    pub(super) fn own(clock: &AwsClock) -> Option<Self> {
        ClockDifference::of(SystemTime::now(), clock.now()?).map(Self::Own)
    }

    /// The clause about a token that another machine signed, for the log.
    pub(super) fn age(&self) -> Option<&str> {
        match self {
            Self::OfSigner { age, .. } => Some(age),
            Self::Own(_) => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::OfSigner { age, by_aws: true } => {
                format!("By the clock of AWS, {age}; set the clock of the machine that signed it.")
            }
            Self::OfSigner { age, by_aws: false } => {
                format!("By the clock of this proxy, {age}; check the clocks.")
            }
            Self::Own(difference) => format!("The clock of this machine is {difference}; set it."),
        }
    }
}

/// Whether the database refuses the user or the password, so that the login was perhaps a guess.
pub(super) fn refuses_credential(error: &ErrorResponse) -> bool {
    error.is(SqlState::InvalidAuthorizationSpecification) || error.is(SqlState::InvalidPassword)
}

/// Adds a HINT to a refused login; the database's own text stays as it is.
pub(super) fn explain(error: &mut ErrorResponse, circumstances: &Circumstances<'_>) {
    if !refuses_credential(error) {
        return;
    }
    if let Some(signer) = circumstances.signer {
        explain_iam(error, circumstances, signer);
        explain_clock(error, circumstances.clock.as_ref());
    } else if let Some(no_token) = circumstances.no_token {
        add_hint(error, no_token);
    } else if circumstances.binding_missed
        && error.is(SqlState::InvalidAuthorizationSpecification)
        && error.hint().is_none()
    {
        error.set_hint(DISABLE_BINDING);
    }
}

fn explain_iam(error: &mut ErrorResponse, circumstances: &Circumstances<'_>, signer: &Signer) {
    let hint = match error.hint() {
        None => needs(circumstances, signer),
        // The other half of the proxy has added a hint, but may know the signer less well.
        Some(hint) => {
            signer.complete(&hint).unwrap_or_else(|| format!("{hint} Here {signer} signed the token."))
        }
    };
    error.set_hint(hint);
}

/// Names a wrong clock, unless the other half of the proxy has done so.
fn explain_clock(error: &mut ErrorResponse, clock: Option<&WrongClock>) {
    let is_named = error.hint().is_some_and(|hint| hint.contains("clock"));
    if let Some(clock) = clock.filter(|_| !is_named) {
        add_hint(error, &clock.sentence());
    }
}

/// Adds whole sentences to the hint of an error.
pub(super) fn add_hint(error: &mut ErrorResponse, sentence: &str) {
    let hint = match error.hint() {
        Some(hint) => format!("{hint} {sentence}"),
        None => sentence.to_owned(),
    };
    error.set_hint(hint);
}

/// What an IAM login needs.
fn needs(circumstances: &Circumstances<'_>, signer: &Signer) -> String {
    let user = circumstances.user;
    match circumstances.service {
        Some(IamService::Rds) | None => format!(
            "IAM login: the database user needs GRANT rds_iam TO \"{user}\", and {signer} needs a \
             policy that allows rds-db:connect for this user on this database."
        ),
        // The user "admin" exists in every cluster and needs no grant.
        Some(IamService::Dsql) => {
            let action = dsql_action(user);
            let grant = if user == "admin" {
                String::new()
            } else {
                format!("the database user needs AWS IAM GRANT \"{user}\" TO the ARN of the IAM role, and ")
            };
            format!("IAM login: {grant}{signer} needs a policy that allows dsql:{action} on this cluster.")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::Severity;

    const AHEAD: WrongClock = WrongClock::Own(ClockDifference { minutes: 12, is_ahead: true });

    fn refused(sqlstate: SqlState) -> ErrorResponse {
        ErrorResponse::new(Severity::Fatal, sqlstate, "PAM authentication failed for user \"alice\"")
    }

    fn signer(arn: Option<&str>) -> Signer {
        Signer { access_key_id: "AKIDEXAMPLE".into(), arn: arn.map(str::to_owned) }
    }

    fn iam(signer: &Signer) -> Circumstances<'_> {
        Circumstances { user: "alice", signer: Some(signer), ..Circumstances::default() }
    }

    #[test]
    fn a_refused_iam_login_names_grant_policy_and_one_identity() {
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        let (server, arn) = (signer(None), "arn:aws:iam::123456789012:user/alice");
        explain(&mut error, &iam(&server));
        let hint = error.hint().unwrap().into_owned();
        for part in [
            "GRANT rds_iam TO \"alice\"",
            "rds-db:connect",
            "the AWS identity with the access key AKIDEXAMPLE",
        ] {
            assert!(hint.contains(part), "{hint}");
        }
        assert_eq!(error.message().unwrap(), "PAM authentication failed for user \"alice\"");
        explain(&mut error, &iam(&server));
        assert_eq!(error.hint().unwrap(), hint, "the second proxy adds nothing");
        explain(&mut error, &iam(&signer(Some(arn))));
        let hint = error.hint().unwrap();
        assert!(
            hint.contains(&format!("and the AWS identity {arn} (access key AKIDEXAMPLE) needs a policy")),
            "{hint}"
        );
        assert_eq!(hint.matches("AWS identity").count(), 1, "{hint}");
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        error.set_hint("See the manual.");
        explain(&mut error, &iam(&server));
        let expected =
            "See the manual. Here the AWS identity with the access key AKIDEXAMPLE signed the token.";
        assert_eq!(error.hint().unwrap(), expected);
    }

    #[test]
    fn a_refused_login_to_aurora_dsql_names_the_action_of_its_user() {
        for (user, hint) in [
            (
                "admin",
                "IAM login: the AWS identity with the access key AKIDEXAMPLE needs a policy that allows dsql:DbConnectAdmin on this cluster.",
            ),
            (
                "alice",
                "IAM login: the database user needs AWS IAM GRANT \"alice\" TO the ARN of the IAM role, and the AWS identity \
                 with the access key AKIDEXAMPLE needs a policy that allows dsql:DbConnect on this cluster.",
            ),
        ] {
            let mut error = refused(SqlState::InvalidAuthorizationSpecification);
            explain(
                &mut error,
                &Circumstances { user, service: Some(IamService::Dsql), ..iam(&signer(None)) },
            );
            assert_eq!(error.hint().unwrap(), hint);
        }
    }

    #[test]
    fn a_token_of_another_clock_names_the_difference() {
        let (now, unknown) = (SystemTime::now(), AwsClock::default());
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes + 30);
        assert_eq!(WrongClock::of_signer(now - Duration::from_secs(30), &unknown), None);
        let clock = WrongClock::of_signer(now - minutes(4), &unknown);
        assert_eq!(clock.as_ref().unwrap().age(), Some("the IAM token was signed 4 minutes ago"));
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        explain(&mut error, &Circumstances { clock, ..iam(&signer(None)) });
        let hint = error.hint().unwrap().into_owned();
        assert!(hint.ends_with(
            " By the clock of this proxy, the IAM token was signed 4 minutes ago; check the clocks."
        ));
        explain(&mut error, &Circumstances { clock: Some(AHEAD), ..iam(&signer(None)) });
        assert_eq!(error.hint().unwrap(), hint, "the half behind has named a clock");

        let aws = AwsClock::default();
        aws.report(now - minutes(4));
        assert_eq!(WrongClock::of_signer(now - minutes(4), &aws), None, "the clock of this proxy is wrong");
        let sentence = WrongClock::of_signer(now, &aws).unwrap().sentence();
        assert_eq!(
            sentence,
            "By the clock of AWS, the IAM token was signed 4 minutes in the future; set the clock of the machine that \
             signed it."
        );
    }

    #[test]
    fn a_wrong_clock_of_this_machine_is_named() {
        assert_eq!(WrongClock::own(&AwsClock::default()), None);
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        explain(&mut error, &Circumstances { clock: Some(AHEAD), ..iam(&signer(None)) });
        let sentence = " The clock of this machine is 12 minutes ahead of that of AWS; set it.";
        assert!(error.hint().unwrap().ends_with(sentence), "{error:?}");
    }

    #[test]
    fn a_login_without_a_token_says_why() {
        let mut error = refused(SqlState::InvalidPassword);
        let no_token = Circumstances { no_token: Some("No IAM token is made."), ..Circumstances::default() };
        explain(&mut error, &no_token);
        assert_eq!(error.hint().unwrap(), "No IAM token is made.");
        let mut error = refused(SqlState::InvalidCatalogName);
        explain(&mut error, &no_token);
        assert!(error.hint().is_none());
    }

    #[test]
    fn other_errors_pass_unchanged() {
        let mut error = refused(SqlState::InvalidCatalogName);
        explain(&mut error, &Circumstances { binding_missed: true, ..iam(&signer(None)) });
        assert!(error.hint().is_none());
        let mut error = refused(SqlState::InvalidPassword);
        explain(&mut error, &Circumstances { binding_missed: true, ..Circumstances::default() });
        assert!(error.hint().is_none(), "a wrong password has nothing to do with channel binding");
    }

    #[test]
    fn a_lost_channel_binding_is_explained() {
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        explain(&mut error, &Circumstances { binding_missed: true, ..Circumstances::default() });
        assert!(error.hint().unwrap().contains("channel_binding=disable"));
    }
}
