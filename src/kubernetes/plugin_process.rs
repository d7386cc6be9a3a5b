//! The process of a credential plugin: what it prints while it runs, and its end with the client.

use std::io::{self, IsTerminal, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::info;

use super::explain::quote;

/// How often the end of the process is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The most bytes of standard error that are shown while it runs.
const MAX_SHOWN: usize = 16 * 1024;

/// The most bytes of each of its outputs that are kept. A credential has some kilobytes.
const MAX_KEPT: usize = 1024 * 1024;

/// The plugin of a tunnel, if one runs. Dropping it ends the plugin.
#[derive(Default)]
pub(super) struct Plugin(Arc<Shared>);

/// The same for the thread that runs the plugin.
#[derive(Clone)]
pub(super) struct Runner(Arc<Shared>);

#[derive(Default)]
struct Shared {
    child: Mutex<State>,
    /// The standard error of the last run so far.
    printed: Mutex<Vec<u8>>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Running(Child),
    /// The client ends, and no plugin may start any more.
    Ended,
}

impl Plugin {
    pub(super) fn runner(&self) -> Runner {
        Runner(Arc::clone(&self.0))
    }

    /// What the plugin has printed to standard error so far, as a part of a sentence; absent if nothing.
    pub(super) fn printed(&self) -> Option<String> {
        let text = quote(&String::from_utf8_lossy(&self.0.printed.lock()));
        (!text.is_empty()).then_some(text)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let State::Running(mut child) = std::mem::replace(&mut *self.0.child.lock(), State::Ended) {
            kill(&mut child);
        }
    }
}

impl Runner {
    /// Runs the command to its end, and logs what it prints to standard error meanwhile: it may be the address at which a
    /// person has to log in. Blocks.
    pub(super) fn run(&self, command: &mut Command, name: &str) -> io::Result<Output> {
        self.0.printed.lock().clear();
        let (stdout, stderr) = self.start(command)?;
        let (shared, name) = (Arc::clone(&self.0), name.to_owned());
        // The standard output is a credential, so it is not logged.
        let reading = thread::spawn(move || read_all(stdout, |_| {}));
        let errors = thread::spawn(move || read_all(stderr, |bytes| shared.print(&name, bytes)));
        let status = self.wait()?;
        let joined = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
        Ok(Output { status, stdout: joined(reading), stderr: joined(errors) })
    }

    fn start(&self, command: &mut Command) -> io::Result<(impl Read + use<>, impl Read + use<>)> {
        let mut state = self.0.child.lock();
        if let State::Ended = *state {
            return Err(io::Error::other("the client ends"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        separate(command);
        let mut child = command.spawn()?;
        let pipes = (child.stdout.take(), child.stderr.take());
        *state = State::Running(child);
        match pipes {
            (Some(stdout), Some(stderr)) => Ok((stdout, stderr)),
            _ => Err(io::Error::other("its output cannot be read")),
        }
    }

    fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            {
                let mut state = self.0.child.lock();
                let State::Running(child) = &mut *state else {
                    return Err(io::Error::other("the client ends"));
                };
                if let Some(status) = child.try_wait()? {
                    *state = State::Idle;
                    return Ok(status);
                }
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Shared {
    fn print(&self, plugin: &str, bytes: &[u8]) {
        for line in String::from_utf8_lossy(bytes).lines().map(quote).filter(|line| !line.is_empty()) {
            info!(plugin, "the credential plugin of the kubeconfig prints: {line}");
        }
        let mut printed = self.printed.lock();
        let room = MAX_SHOWN.saturating_sub(printed.len()).min(bytes.len());
        printed.extend(bytes.iter().take(room));
    }
}

/// Reads to the end, and passes on each part as it arrives. Returns the first [`MAX_KEPT`] bytes.
fn read_all(mut from: impl Read, mut seen: impl FnMut(&[u8])) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(got @ 1..) = from.read(&mut buffer) {
        let part = buffer.get(..got).unwrap_or_default();
        seen(part);
        let room = MAX_KEPT.saturating_sub(all.len());
        all.extend(part.iter().take(room));
    }
    all
}

/// Without a terminal the plugin gets a process group, so that its children end with it. On a terminal it stays in the one of the
/// client, so that it may use the terminal, and Ctrl-C reaches all of them.
#[cfg(unix)]
fn separate(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    if !io::stderr().is_terminal() {
        command.process_group(0);
    }
}

#[cfg(not(unix))]
fn separate(_command: &mut Command) {}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let (false, Some(group)) = (io::stderr().is_terminal(), rustix::process::Pid::from_raw(pid(child))) {
        // It may have ended by itself.
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
    }
    let _gone = child.kill();
    let _status = child.wait();
}

#[cfg(unix)]
fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_output_is_read_to_its_end_and_kept_in_part() {
        let mut seen = 0;
        let kept = read_all(io::repeat(b'x').take(3_000_000), |part| seen += part.len());
        assert_eq!((seen, kept.len()), (3_000_000, MAX_KEPT));
    }
}
