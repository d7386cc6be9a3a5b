use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ports::free_port;

/// The server in a pod. The first byte of a connection is a command. `E` echoes all data. `U` reads as many bytes as the
/// next eight bytes say and answers with their checksum; `W` does the same after 4 s. `D` sends as many bytes; `L` does
/// the same after 300 ms. `N` sends the name of the pod. Anything else closes the connection.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    closed: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(name: &str) -> Self {
        // No other listener may get the port after this one is closed.
        Self::start_at(name, SocketAddr::from(([127, 0, 0, 1], free_port()))).await
    }

    pub(crate) async fn start_at(name: &str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (accepted, closed) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (count, name, open) = (Arc::clone(&accepted), name.to_owned(), closed.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    // Connections in the queue are served before the listener closes. It would reset them otherwise, which a
                    // pod does not do when it stops in order.
                    biased;
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = open.cancelled() => return,
                };
                stream.set_nodelay(true).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                // The other end of the connection sees its errors.
                drop(tokio::spawn(serve(stream, name.clone())));
            }
        });
        Self { address, accepted, closed, accepting }
    }

    /// Stops listening. Open connections go on.
    pub(crate) async fn close(&mut self) {
        self.closed.cancel();
        (&mut self.accepting).await.unwrap();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

async fn serve(mut stream: TcpStream, name: String) -> std::io::Result<()> {
    match stream.read_u8().await? {
        b'E' => {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await?;
        }
        command @ (b'U' | b'W') => {
            if command == b'W' {
                tokio::time::sleep(std::time::Duration::from_secs(4)).await;
            }
            let amount = stream.read_u64().await?;
            let sum = checksum(&mut stream, amount).await?;
            stream.write_all(&sum).await?;
            stream.read_u8().await?;
        }
        b'D' => {
            let amount = stream.read_u64().await?;
            send(&mut stream, amount).await?;
        }
        b'L' => {
            let amount = stream.read_u64().await?;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            send(&mut stream, amount).await?;
        }
        b'N' => stream.write_all(name.as_bytes()).await?,
        _ => {}
    }
    Ok(())
}

/// Block `number` of the test data. Neighbouring blocks differ.
fn block(number: u64) -> &'static [u8] {
    static ROW: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..BLOCK as u64 + 4096).map(|index| ((index * 2_654_435_761) >> 13) as u8).collect()
    });
    let start = (number as usize * 61) % 4096;
    &ROW[start..start + BLOCK]
}

/// The size of a block in bytes.
const BLOCK: usize = 65_536;

/// Sends `amount` bytes of the test data.
pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin), amount: u64) -> std::io::Result<()> {
    let mut left = amount;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let block = block(number);
        let part = left.min(block.len() as u64);
        to.write_all(&block[..part as usize]).await?;
        left -= part;
    }
    to.flush().await
}

/// The checksum of `amount` bytes of the test data.
pub(crate) fn expected(amount: u64) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    let mut left = amount;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let block = block(number);
        let part = left.min(block.len() as u64);
        hash.update(&block[..part as usize]);
        left -= part;
    }
    hash.finish().as_ref().try_into().unwrap()
}

/// The checksum of the next `amount` bytes.
pub(crate) async fn checksum(from: &mut (impl AsyncRead + Unpin), amount: u64) -> std::io::Result<[u8; 32]> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 65_536];
    let mut left = amount;
    while left > 0 {
        let part = (left as usize).min(buffer.len());
        let got = from.read(&mut buffer[..part]).await?;
        if got == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&buffer[..got]);
        left -= got as u64;
    }
    Ok(hash.finish().as_ref().try_into().unwrap())
}
