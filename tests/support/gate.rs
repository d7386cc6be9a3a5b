//! The splice between a client and PostgreSQL in the fake RDS, with a gate that can hold all bytes back.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

const BUFFER: usize = 64 * 1024;

/// Bytes pass while the gate is open. It starts open.
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Gate {
    /// Opens the gate: bytes pass.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Closes the gate: bytes wait.
    pub fn close(&self) {
        self.0.send_replace(false);
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        if !*self.0.borrow() {
            let _ = self.0.subscribe().wait_for(|open| *open).await;
        }
    }
}

/// Copies bytes both ways until both sides have closed. A close of one side closes only that direction.
pub async fn splice(
    client: impl AsyncRead + AsyncWrite,
    database: impl AsyncRead + AsyncWrite,
    gate: &Gate,
) -> io::Result<()> {
    let (client_reader, client_writer) = tokio::io::split(client);
    let (database_reader, database_writer) = tokio::io::split(database);
    tokio::try_join!(
        copy_one_way(client_reader, database_writer, gate),
        copy_one_way(database_reader, client_writer, gate)
    )
    .map(drop)
}

async fn copy_one_way(
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
