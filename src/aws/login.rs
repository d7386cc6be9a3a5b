//! Logins for which a person is needed, on the terminal, for the connections that wait for them.

use std::io::{self, BufRead, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::catalog::PersonLogin;
use crate::single_flight::{FlightError, SingleFlight};

/// How long a person has, and so how long connections wait.
const LIMIT: Duration = Duration::from_mins(2);

/// The time from a login that failed to the next one, in which connections are refused at once.
const PAUSE: Duration = Duration::from_secs(30);

/// The longest line that can be a code.
const MAX_CODE: usize = 64;

/// The logins of this process, one at a time. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Logins {
    /// Whether there is a terminal, and the configuration allows it.
    pub(super) is_on: bool,
    running: Arc<SingleFlight<Ended>>,
    last_failure: Arc<Mutex<Option<Instant>>>,
    pub(super) person: PersonLogin,
}

/// A login that credentials need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// The session of this profile, by the AWS command line.
    Sso(String),
    /// A code of this device.
    Code(String),
}

/// A login that has ended.
#[derive(Clone)]
struct Ended {
    login: Login,
    result: Result<(), String>,
}

/// What to do after waiting for a login.
pub(super) enum Next {
    /// Load the credentials again: the login was another one, and may have been enough.
    LoadAgain,
    /// Load them a last time.
    LoadOnce,
}

impl Logins {
    /// Logins on the terminal; `is_on` is false where there is none, or the configuration wants none.
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Waits for this login, which `work` does. All callers share one run of it. Absent where no login is possible now.
    ///
    /// # Errors
    /// It failed, or took longer than two minutes.
    pub(super) async fn once(
        &self,
        login: &Login,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Option<Result<Next, String>> {
        if !self.is_on || self.last_failure.lock().is_some_and(|failed| failed.elapsed() < PAUSE) {
            return None;
        }
        let (wanted, logins) = (login.clone(), self.clone());
        let running = self.running.join_or_start(|| tokio::spawn(logins.run(wanted, work)));
        Some(match running.result().await {
            Ok(Ended { login: other, .. }) if other != *login => Ok(Next::LoadAgain),
            Ok(Ended { result, .. }) => result.map(|()| Next::LoadOnce),
            Err(error @ (FlightError::Panicked(_) | FlightError::Aborted)) => Err(error.to_string()),
        })
    }

    async fn run(self, login: Login, work: impl Future<Output = Result<(), String>>) -> Ended {
        let _running = self.person.begin();
        login.announce();
        let result = timeout(LIMIT, work).await;
        let result = result.unwrap_or_else(|_| Err(format!("it took longer than {} s", LIMIT.as_secs())));
        match &result {
            Ok(()) => info!("the login to AWS has ended; the connections go on"),
            Err(reason) => {
                *self.last_failure.lock() = Some(Instant::now());
                warn!(reason, "the login to AWS failed");
            }
        }
        Ended { login, result }
    }
}

impl Login {
    fn announce(&self) {
        match self {
            Self::Sso(profile) => warn!(
                command = format!("aws sso login --profile {profile}"),
                "the AWS SSO session has expired, so the login command runs now; connections wait for it, two minutes at most"
            ),
            Self::Code(device) => warn!(
                device,
                "the AWS role needs a code of a second factor; connections wait for it, two minutes at most"
            ),
        }
    }
}

/// Runs the login command of the AWS command line. It writes to standard error and reads nothing: standard output and input may
/// belong to another program.
pub(super) async fn open_session(profile: String) -> Result<(), String> {
    let mut command = Command::new("aws");
    command
        .args(["sso", "login", "--profile", &profile])
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("the program aws cannot be started: {error}"))?;
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("it ended with {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The code that a person types. A prompt without an answer keeps its thread, and reads the next line.
pub(super) async fn code_of(device: &str) -> Result<String, String> {
    let prompt = format!("Code of the device {}: ", device.escape_debug());
    let typed = spawn_blocking(move || {
        let mut screen = io::stderr().lock();
        screen.write_all(prompt.as_bytes()).and_then(|()| screen.flush())?;
        drop(screen);
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let code = typed.trim();
    let is_code =
        (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code { Ok(code.to_owned()) } else { Err("no code was typed".into()) }
}
