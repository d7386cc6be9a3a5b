//! Log lines on their way to standard error. The thread that writes a line never waits: where the reader of standard error
//! stops, lines wait in a bounded queue, and further ones are counted and lost.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use metrics::{counter, describe_counter};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::{Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::kind::{Kind, PerKind};

const DROPPED: &str = "rds_auth_proxy_log_lines_dropped_total";

/// The pause before a non-blocking standard error is tried again.
const RETRY: Duration = Duration::from_millis(10);

/// How long lost lines may go unreported while no line arrives.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long [`LogQueue::flush`] waits.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The queue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Notified when a line arrives.
    arrived: Condvar,
    /// Notified when no line waits any more.
    empty: Condvar,
    /// The last write failed.
    failing: AtomicBool,
    /// The numbers in a report of lost lines that is not written yet.
    reporting: Mutex<PerKind<u64>>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Kind, Vec<u8>)>,
    /// The bytes of the lines that are not written yet.
    bytes: PerKind<usize>,
    /// Lines that were lost since the last report of it.
    lost: PerKind<u64>,
}

/// Describes the metric to the recorder, and begins it at 0.
pub(crate) fn describe() {
    describe_counter!(DROPPED, "Log lines that were not written, by kind and cause.");
    for kind in [Kind::Audit, Kind::Log] {
        for cause in ["queue_full", "write_failed"] {
            counter!(DROPPED, "kind" => kind.name(), "cause" => cause).absolute(0);
        }
    }
}

impl LogQueue {
    /// Starts the thread that writes the lines to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let shared = Arc::clone(&queue.0);
        thread::Builder::new().name("log".into()).spawn(move || shared.write_to(output))?;
        Ok(queue)
    }

    /// Whether the lines of a new session could be lost: half of the audit queue is in use, or the last write failed. The other
    /// half is for the sessions that run.
    pub(super) fn may_lose_audit_lines(&self) -> bool {
        self.0.waiting.lock().bytes.audit >= Kind::Audit.limit() / 2 || self.0.failing.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, for a second at most.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_LIMIT;
        let mut waiting = self.0.waiting.lock();
        while !waiting.all_written() {
            if self.0.empty.wait_until(&mut waiting, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn push(&self, kind: Kind, line: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        let bytes = waiting.bytes.of(kind);
        if *bytes + line.len() > kind.limit() {
            drop(waiting);
            self.lose(kind, "queue_full");
            return;
        }
        *bytes += line.len();
        waiting.lines.push_back((kind, line));
        self.arrived.notify_one();
    }

    /// Writes lines as they arrive, for the rest of the process.
    fn write_to(&self, mut output: impl Write) {
        loop {
            let (kind, line) = self.next();
            let written = write_line(&mut output, &line);
            self.failing.store(written.is_err(), Ordering::Relaxed);
            let reported = std::mem::take(&mut *self.reporting.lock());
            if written.is_err() {
                self.lose(kind, "write_failed");
                self.waiting.lock().lost.add(&reported);
            }
            let mut waiting = self.waiting.lock();
            *waiting.bytes.of(kind) -= line.len();
            if waiting.all_written() {
                self.empty.notify_all();
                drop(waiting);
                if written.is_ok() {
                    self.report_lost();
                }
            }
        }
    }

    fn next(&self) -> (Kind, Vec<u8>) {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(next) = waiting.lines.pop_front() {
                return next;
            }
            if waiting.lost.any() {
                if self.arrived.wait_for(&mut waiting, REPORT_INTERVAL).timed_out() {
                    MutexGuard::unlocked(&mut waiting, || self.report_lost());
                }
            } else {
                self.arrived.wait(&mut waiting);
            }
        }
    }

    fn lose(&self, kind: Kind, cause: &'static str) {
        counter!(DROPPED, "kind" => kind.name(), "cause" => cause).increment(1);
        *self.waiting.lock().lost.of(kind) += 1;
    }

    /// Writes how many lines are missing, once the reader is back.
    fn report_lost(&self) {
        let lost = std::mem::take(&mut self.waiting.lock().lost);
        if lost.any() {
            self.reporting.lock().add(&lost);
            warn!(
                lines = lost.log,
                audit_lines = lost.audit,
                "log lines were lost: standard error was not read, or could not be written"
            );
        }
    }
}

impl Waiting {
    const fn all_written(&self) -> bool {
        self.bytes.audit + self.bytes.log == 0
    }
}

/// Writes a whole line. Another process may have made standard error non-blocking.
pub(super) fn write_line(output: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match output.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

/// One line; it joins the queue when it is dropped.
pub(crate) struct Line {
    shared: Arc<Shared>,
    kind: Kind,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.shared.push(self.kind, std::mem::take(&mut self.bytes));
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { shared: Arc::clone(&self.0), kind: Kind::Log, bytes: Vec::new() }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { shared: Arc::clone(&self.0), kind: Kind::of(metadata), bytes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A standard error that writes as much as the test allows.
    struct Gate(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_the_queue_are_lost_by_kind_and_the_others_keep_their_order() {
        let ((open, gate), (written, lines)) = (channel(), channel());
        let queue = LogQueue::start(Gate(gate, written)).unwrap();
        let line = |kind, first: u8| {
            let mut bytes = vec![first; 1024];
            bytes.push(b'\n');
            drop(Line { shared: Arc::clone(&queue.0), kind, bytes });
        };
        for _ in 0..2 * Kind::Log.limit() / 1024 {
            line(Kind::Log, b'l');
        }
        let lost = |kind: Kind| *queue.0.waiting.lock().lost.of(kind);
        assert!(lost(Kind::Log) > 0);
        assert!(!queue.may_lose_audit_lines(), "a flood of others displaces no audit line");
        let mut audit = 0;
        while !queue.may_lose_audit_lines() {
            line(Kind::Audit, b'a');
            audit += 1;
        }
        assert_eq!((audit, lost(Kind::Audit)), ((Kind::Audit.limit() / 2).div_ceil(1025), 0));
        let began = Instant::now();
        queue.flush();
        assert!(began.elapsed() >= FLUSH_LIMIT, "the end of the process waits for a second only");
        let kept = Kind::Log.limit() / 1025 + audit;
        for number in 0..kept {
            open.send(()).unwrap();
            let expected = if number < kept - audit { b'l' } else { b'a' };
            assert_eq!(lines.recv().unwrap().first(), Some(&expected), "{number}");
        }
        queue.flush();
        assert!(queue.0.waiting.lock().all_written());
        drop(open);
        line(Kind::Audit, b'x');
        queue.flush();
        assert!(queue.may_lose_audit_lines() && lost(Kind::Audit) > 0, "a failed write is known");
    }

    /// A standard error that fails while it is full.
    struct Disk(Arc<AtomicBool>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.load(Ordering::Relaxed) {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(bytes.len())
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lost_lines_are_reported_without_a_further_line() {
        let full = Arc::new(AtomicBool::new(true));
        let queue = LogQueue::start(Disk(Arc::clone(&full))).unwrap();
        drop(Line { shared: Arc::clone(&queue.0), kind: Kind::Audit, bytes: b"x".to_vec() });
        queue.flush();
        let lost = || queue.0.waiting.lock().lost.any();
        let deadline = Instant::now() + REPORT_INTERVAL + Duration::from_secs(5);
        full.store(false, Ordering::Relaxed);
        assert!(lost());
        while lost() {
            assert!(Instant::now() < deadline, "they are not reported");
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(queue.0.reporting.lock().audit, 1, "the numbers are kept until the report is written");
    }
}
