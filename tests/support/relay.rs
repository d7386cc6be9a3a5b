//! A TCP relay that treats a leg of the chain badly: late, in small pieces, or broken at a byte that a test chose.
//!
//! netem and the like need a kernel and rights that a test does not have; this needs neither.

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

/// How long a stalled connection stays with the relay, which is longer than anybody in the tests waits.
const STALLED: Duration = Duration::from_mins(1);

/// A direction on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the application to the database.
    Up,
    /// From the database to the application.
    Down,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides get a RST; what is under way is lost.
    Reset,
    /// Both sides get a FIN.
    Close,
    /// The receiver of this direction gets a FIN, and nothing that is sent later. The other direction goes on.
    HalfClose,
    /// Nothing more passes in this direction; nobody is told.
    Stall,
    /// Nothing passes in this direction for this long.
    Pause(Duration),
}

/// How one direction of a connection is treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Treatment {
    /// Bytes are handed on this much later, one read at a time.
    pub latency: Duration,
    /// At most so many bytes are written at once.
    pub piece: Option<usize>,
    /// After so many bytes this happens; after 0, as soon as the connection is accepted.
    pub fault: Option<(u64, Fault)>,
}

/// How a connection is treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    pub up: Treatment,
    pub down: Treatment,
}

/// What a relay has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub connections: u64,
    /// Those that are not over; once they are, all their bytes are counted.
    pub open: u64,
    /// Bytes handed on.
    pub up: u64,
    pub down: u64,
    /// Every fault that came to pass.
    pub faults: Vec<Fault>,
}

/// A listener on loopback that hands its connections on to another port there. It ends with the test process.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<u16>,
    plans: Mutex<Box<dyn FnMut() -> Plan + Send>>,
    seen: Mutex<Seen>,
    cut: Mutex<CancellationToken>,
}

/// How a connection ends before both sides have closed it.
enum Broken {
    Reset,
    Close,
}

impl Plan {
    /// Both directions late.
    pub fn late(latency: Duration) -> Self {
        let treatment = Treatment { latency, ..Treatment::default() };
        Self { up: treatment, down: treatment }
    }

    /// Both directions in pieces.
    pub fn pieces(piece: usize) -> Self {
        let treatment = Treatment { piece: Some(piece), ..Treatment::default() };
        Self { up: treatment, down: treatment }
    }

    /// A fault in one direction.
    #[must_use]
    pub fn with(mut self, way: Way, after: u64, fault: Fault) -> Self {
        let treatment = if way == Way::Up { &mut self.up } else { &mut self.down };
        treatment.fault = Some((after, fault));
        self
    }
}

impl Relay {
    /// Listens on a free port. It hands connections on once [`Relay::point_at`] said where.
    pub async fn start() -> Self {
        runtime::within(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let shared = Arc::new(Shared {
                target: Mutex::default(),
                plans: Mutex::new(Box::new(Plan::default)),
                seen: Mutex::default(),
                cut: Mutex::default(),
            });
            tokio::spawn(accept(listener, shared.clone()));
            Self { port, shared }
        })
        .await
    }

    /// The loopback port that connections go to.
    pub fn point_at(&self, port: u16) {
        *self.shared.target.lock().unwrap() = port;
    }

    /// Treats every connection from now on like this.
    pub fn treat(&self, plan: Plan) {
        self.treat_each(move || plan);
    }

    /// Asks for the treatment of each connection from now on.
    pub fn treat_each(&self, plans: impl FnMut() -> Plan + Send + 'static) {
        *self.shared.plans.lock().unwrap() = Box::new(plans);
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Resets every connection, stalled ones too; new ones are accepted.
    pub fn cut(&self) {
        std::mem::take(&mut *self.shared.cut.lock().unwrap()).cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((from, _)) = listener.accept().await else { continue };
        let plan = (shared.plans.lock().unwrap())();
        let cut = shared.cut.lock().unwrap().clone();
        {
            let mut seen = shared.seen.lock().unwrap();
            (seen.connections, seen.open) = (seen.connections + 1, seen.open + 1);
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            shared.relay(from, plan, &cut).await;
            shared.seen.lock().unwrap().open -= 1;
        });
    }
}

impl Shared {
    async fn relay(&self, mut from: TcpStream, plan: Plan, cut: &CancellationToken) {
        let target = *self.target.lock().unwrap();
        let Ok(mut to) = TcpStream::connect(("127.0.0.1", target)).await else { return reset(&from) };
        from.set_nodelay(true).unwrap();
        to.set_nodelay(true).unwrap();
        let ended = {
            let (from_reader, from_writer) = from.split();
            let (to_reader, to_writer) = to.split();
            let both = async {
                tokio::try_join!(
                    self.one_way(Way::Up, from_reader, to_writer, plan.up),
                    self.one_way(Way::Down, to_reader, from_writer, plan.down),
                )
            };
            cut.run_until_cancelled(both).await.unwrap_or(Err(Broken::Reset))
        };
        if let Err(Broken::Reset) = ended {
            reset(&from);
            reset(&to);
        }
    }

    async fn one_way(
        &self,
        way: Way,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut treatment: Treatment,
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        let mut passed = 0;
        loop {
            let mut room = treatment.piece.unwrap_or(BUFFER).min(BUFFER);
            if let Some((after, fault)) = treatment.fault {
                if passed == after {
                    treatment.fault = None;
                    self.inject(fault, &mut from, &mut to).await?;
                    continue;
                }
                room = room.min(usize::try_from(after - passed).unwrap_or(room));
            }
            let count = from.read(&mut buffer[..room]).await?;
            if !treatment.latency.is_zero() {
                tokio::time::sleep(treatment.latency).await;
            }
            if count == 0 {
                return Ok(to.shutdown().await?);
            }
            to.write_all(&buffer[..count]).await?;
            passed += count as u64;
            self.passed(way, count as u64);
            if treatment.piece.is_some() {
                // Gives the receiver a chance to read the piece by itself.
                yield_now().await;
            }
        }
    }

    async fn inject(
        &self,
        fault: Fault,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Broken> {
        self.seen.lock().unwrap().faults.push(fault);
        match fault {
            Fault::Reset => Err(Broken::Reset),
            Fault::Close => Err(Broken::Close),
            Fault::HalfClose => {
                to.shutdown().await?;
                tokio::io::copy(from, &mut tokio::io::sink()).await?;
                Ok(())
            }
            Fault::Stall => {
                tokio::time::sleep(STALLED).await;
                Err(Broken::Reset)
            }
            Fault::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    fn passed(&self, way: Way, count: u64) {
        let mut seen = self.seen.lock().unwrap();
        match way {
            Way::Up => seen.up += count,
            Way::Down => seen.down += count,
        }
    }
}

/// A connection that breaks on one side breaks on the other.
impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Reset
    }
}

/// Makes the close that follows a RST (socket(7), `SO_LINGER` of zero).
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
