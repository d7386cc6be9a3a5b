//! The output of the processes under test, and the search for secrets in it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use super::runtime;

/// How long output of a process takes at most to arrive at the test.
pub const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// After this long without output, all of it has arrived.
const QUIET: Duration = Duration::from_millis(30);

/// The collected output of one stream of a process. Clones share it.
#[derive(Clone)]
pub struct Output {
    /// For example `server's stderr`.
    name: String,
    bytes: Arc<Mutex<Vec<u8>>>,
    state: watch::Receiver<State>,
    paused: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct State {
    length: usize,
    ended: bool,
}

impl Output {
    /// Collects the bytes of `reader` until its end.
    pub fn collect(name: String, mut reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (sender, state) = watch::channel(State::default());
        let collected = bytes.clone();
        let paused = Arc::new(AtomicBool::new(false));
        let stops = paused.clone();
        runtime::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                while stops.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let count = reader.read(&mut buffer).await.unwrap_or(0);
                let mut collected = collected.lock().unwrap();
                collected.extend_from_slice(&buffer[..count]);
                sender.send_replace(State { length: collected.len(), ended: count == 0 });
                if count == 0 {
                    return;
                }
            }
        });
        Self { name, bytes, state, paused }
    }

    /// Stops reading, or goes on: the process fills the pipe meanwhile.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// The text, once no output has arrived for [`QUIET`]. Waits at most [`ON_ITS_WAY`].
    pub fn settled(&self) -> String {
        let end = Instant::now() + ON_ITS_WAY;
        let mut length = self.state.borrow().length;
        loop {
            thread::sleep(QUIET);
            let State { length: now, ended } = *self.state.borrow();
            if ended || now == length || Instant::now() >= end {
                return self.text();
            }
            length = now;
        }
    }

    /// Waits until `find` finds something in the complete lines. None if the stream ends or `limit` passes before.
    pub async fn wait_for<T>(&self, limit: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut state = self.state.clone();
        let search = async {
            loop {
                let ended = state.borrow_and_update().ended;
                let text = self.text();
                let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
                let found = find(complete);
                if found.is_some() || ended || state.changed().await.is_err() {
                    return found;
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    /// Waits until the process has closed the stream, for code that cannot await.
    pub fn wait_for_end(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.state.borrow().ended && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last lines with a heading, for the report of a failed test.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<_> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].join("\n");
        format!("--- {} ({} lines)\n{last}\n", self.name, all.len())
    }
}

/// The secrets of a test, each with its kind.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

/// A leaked secret: its kind and place, without the secret itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    pub output: String,
    pub kind: String,
    /// The number of the first line with it, from 1.
    pub line: usize,
}

impl Secrets {
    /// Adds a secret. Panics if it is too short to be distinguished from ordinary text.
    pub fn add(&mut self, kind: &str, secret: &str) {
        assert!(secret.len() >= 8, "{kind} is too short for the search");
        self.0.push((kind.to_owned(), secret.to_owned()));
    }

    /// Adds an IAM token: the whole token, its decoded form and its secret parts.
    pub fn add_token(&mut self, token: &str) {
        self.add("IAM token", token);
        self.add("decoded IAM token", &percent_decode_str(token).decode_utf8_lossy());
        for pair in token.split(['?', '&']) {
            match pair.split_once('=') {
                Some(("X-Amz-Signature", signature)) => self.add("signature of an IAM token", signature),
                Some(("X-Amz-Security-Token", token)) => self.add("session token", token),
                _ => {}
            }
        }
    }

    /// Adds a private key: each line of its PEM text without the header and footer.
    pub fn add_key(&mut self, pem: &str) {
        for line in pem.lines().filter(|line| !line.starts_with("-----") && line.len() >= 16) {
            self.add("private key", line);
        }
    }

    /// The leaks in an output, one of each kind.
    pub fn leaks(&self, output: &Output) -> Vec<Leak> {
        let text = output.text();
        let mut leaks: Vec<Leak> = Vec::new();
        for (kind, secret) in &self.0 {
            let Some(at) = text.find(secret.as_str()) else { continue };
            if leaks.iter().all(|leak| leak.kind != *kind) {
                let line = text[..at].matches('\n').count() + 1;
                leaks.push(Leak { output: output.name.clone(), kind: kind.clone(), line });
            }
        }
        leaks
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} has a {} in line {}", self.output, self.kind, self.line)
    }
}
