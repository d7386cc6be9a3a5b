//! Carries bytes both ways between a client and the database behind the RDS-like listener.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

const BUFFER: usize = 64 * 1024;

/// Bytes pass while it is open, as it is at first.
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Gate {
    /// Lets bytes pass.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Holds bytes back.
    pub fn close(&self) {
        self.0.send_replace(false);
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        if !*self.0.borrow() {
            let _ = self.0.subscribe().wait_for(|open| *open).await;
        }
    }
}

/// Until both sides have sent their end; an end is passed on as the end of that direction alone.
pub async fn carry(
    client: impl AsyncRead + AsyncWrite,
    database: impl AsyncRead + AsyncWrite,
    gate: &Gate,
) -> io::Result<()> {
    let (client_reader, client_writer) = tokio::io::split(client);
    let (database_reader, database_writer) = tokio::io::split(database);
    tokio::try_join!(
        carry_one_way(client_reader, database_writer, gate),
        carry_one_way(database_reader, client_writer, gate)
    )
    .map(drop)
}

async fn carry_one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    gate: &Gate,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        gate.pass().await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}
