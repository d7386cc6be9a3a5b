//! A TCP relay that impairs a network link: it delays bytes, splits them, or disrupts the connection at a chosen byte.
//!
//! It replaces tools such as netem, which need kernel modules and privileges.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::runtime;

const BUFFER: usize = 16 * 1024;

/// How long a stall lasts: longer than any timeout of a test.
const STALLED: Duration = Duration::from_mins(1);

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the application to the database.
    ToDatabase,
    /// From the database to the application.
    ToApplication,
}

/// What the relay does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// Sends RST to both sides; bytes in transit are lost.
    Reset,
    /// Sends FIN to both sides.
    Close,
    /// Sends FIN to the receiver of this direction and drops later bytes. The other direction continues.
    HalfClose,
    /// Forwards nothing more in this direction, without FIN or RST.
    Stall,
    /// Forwards nothing in this direction for this long.
    Pause(Duration),
}

/// The impairment of one direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impairment {
    /// The delay of every read.
    pub latency: Duration,
    /// The largest write, in bytes.
    pub chunk: Option<usize>,
    /// A disruption after this many bytes; 0 is at the start of the connection.
    pub disruption: Option<(u64, Disruption)>,
}

/// The impairments of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkProfile {
    pub to_database: Impairment,
    pub to_application: Impairment,
}

/// Counters of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    pub connections: u64,
    /// Open connections. The bytes of closed ones are counted completely.
    pub open: u64,
    /// Forwarded bytes by direction.
    pub to_database: u64,
    pub to_application: u64,
    /// Every disruption that took place.
    pub disruptions: Vec<Disruption>,
}

/// A loopback listener that forwards connections to another loopback port. It runs until the process ends.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<u16>,
    profiles: Mutex<Box<dyn FnMut() -> NetworkProfile + Send>>,
    stats: Mutex<RelayStats>,
    /// Cancelled to reset the connections accepted so far.
    reset: Mutex<CancellationToken>,
}

/// How the relay ends a connection that the two sides have not closed.
enum Abort {
    Reset,
    Close,
}

impl NetworkProfile {
    /// Delays both directions.
    pub fn delayed(latency: Duration) -> Self {
        let impairment = Impairment { latency, ..Impairment::default() };
        Self { to_database: impairment, to_application: impairment }
    }

    /// Splits both directions into writes of at most `chunk` bytes.
    pub fn in_chunks(chunk: usize) -> Self {
        let impairment = Impairment { chunk: Some(chunk), ..Impairment::default() };
        Self { to_database: impairment, to_application: impairment }
    }

    /// Adds a disruption of one direction after this many bytes.
    #[must_use]
    pub fn with(mut self, direction: Direction, after: u64, disruption: Disruption) -> Self {
        let impairment = match direction {
            Direction::ToDatabase => &mut self.to_database,
            Direction::ToApplication => &mut self.to_application,
        };
        impairment.disruption = Some((after, disruption));
        self
    }
}

impl Relay {
    /// Listens on a free port. [`Relay::set_target`] sets the port to forward to.
    pub async fn start() -> Self {
        runtime::within(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let shared = Arc::new(Shared {
                target: Mutex::default(),
                profiles: Mutex::new(Box::new(NetworkProfile::default)),
                stats: Mutex::default(),
                reset: Mutex::default(),
            });
            tokio::spawn(accept(listener, shared.clone()));
            Self { port, shared }
        })
        .await
    }

    /// Forwards connections to this loopback port.
    pub fn set_target(&self, port: u16) {
        *self.shared.target.lock().unwrap() = port;
    }

    /// Applies this profile to every new connection.
    pub fn apply(&self, profile: NetworkProfile) {
        self.apply_each(move || profile);
    }

    /// Calls `profiles` for the profile of every new connection.
    pub fn apply_each(&self, profiles: impl FnMut() -> NetworkProfile + Send + 'static) {
        *self.shared.profiles.lock().unwrap() = Box::new(profiles);
    }

    /// The counters so far.
    pub fn stats(&self) -> RelayStats {
        self.shared.stats.lock().unwrap().clone()
    }

    /// Resets every connection, stalled ones too; new ones are accepted.
    pub fn reset_connections(&self) {
        std::mem::take(&mut *self.shared.reset.lock().unwrap()).cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((from, _)) = listener.accept().await else { continue };
        let profile = (shared.profiles.lock().unwrap())();
        let reset = shared.reset.lock().unwrap().clone();
        {
            let mut stats = shared.stats.lock().unwrap();
            (stats.connections, stats.open) = (stats.connections + 1, stats.open + 1);
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            shared.relay(from, profile, &reset).await;
            shared.stats.lock().unwrap().open -= 1;
        });
    }
}

impl Shared {
    async fn relay(&self, mut from: TcpStream, profile: NetworkProfile, reset_all: &CancellationToken) {
        let target = *self.target.lock().unwrap();
        let Ok(mut to) = TcpStream::connect(("127.0.0.1", target)).await else { return reset(&from) };
        from.set_nodelay(true).unwrap();
        to.set_nodelay(true).unwrap();
        let ended = {
            let (from_reader, from_writer) = from.split();
            let (to_reader, to_writer) = to.split();
            let both = async {
                tokio::try_join!(
                    self.one_way(Direction::ToDatabase, from_reader, to_writer, profile.to_database),
                    self.one_way(Direction::ToApplication, to_reader, from_writer, profile.to_application),
                )
            };
            reset_all.run_until_cancelled(both).await.unwrap_or(Err(Abort::Reset))
        };
        if let Err(Abort::Reset) = ended {
            reset(&from);
            reset(&to);
        }
    }

    async fn one_way(
        &self,
        direction: Direction,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut impairment: Impairment,
    ) -> Result<(), Abort> {
        let mut buffer = vec![0; BUFFER];
        let mut passed = 0;
        loop {
            let mut room = impairment.chunk.unwrap_or(BUFFER).min(BUFFER);
            if let Some((after, disruption)) = impairment.disruption {
                if passed == after {
                    impairment.disruption = None;
                    self.inject(disruption, &mut from, &mut to).await?;
                    continue;
                }
                room = room.min(usize::try_from(after - passed).unwrap_or(room));
            }
            let count = from.read(&mut buffer[..room]).await?;
            if !impairment.latency.is_zero() {
                tokio::time::sleep(impairment.latency).await;
            }
            if count == 0 {
                return Ok(to.shutdown().await?);
            }
            to.write_all(&buffer[..count]).await?;
            passed += count as u64;
            self.count(direction, count as u64);
            if impairment.chunk.is_some() {
                // The receiver should read each chunk separately.
                yield_now().await;
            }
        }
    }

    async fn inject(
        &self,
        disruption: Disruption,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Abort> {
        self.stats.lock().unwrap().disruptions.push(disruption);
        match disruption {
            Disruption::Reset => Err(Abort::Reset),
            Disruption::Close => Err(Abort::Close),
            Disruption::HalfClose => {
                to.shutdown().await?;
                tokio::io::copy(from, &mut tokio::io::sink()).await?;
                Ok(())
            }
            Disruption::Stall => {
                tokio::time::sleep(STALLED).await;
                Err(Abort::Reset)
            }
            Disruption::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    fn count(&self, direction: Direction, count: u64) {
        let mut stats = self.stats.lock().unwrap();
        match direction {
            Direction::ToDatabase => stats.to_database += count,
            Direction::ToApplication => stats.to_application += count,
        }
    }
}

/// A failure of one side resets both.
impl From<io::Error> for Abort {
    fn from(_: io::Error) -> Self {
        Self::Reset
    }
}

/// Makes the next close send RST (socket(7), `SO_LINGER` of zero).
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
