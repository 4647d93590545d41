//! One connection through a proxy.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Control, Counts, ProxyMode};

/// What is carried at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often a slow connection carries a little.
const DRIP_INTERVAL: Duration = Duration::from_millis(50);

/// How a connection ends.
enum End {
    /// One side has closed it, or failed.
    Closed,
    /// With a reset of both sides.
    Reset,
    /// It was half-open.
    Swallowed,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    control: watch::Receiver<Control>,
    counts: Arc<Counts>,
    /// Resets that were before it.
    resets: u64,
    /// The next reply is lost.
    doomed: bool,
}

enum Piece {
    Request(usize),
    Reply(usize),
    Control,
}

/// Carries until one side closes or the connection is reset.
pub(super) async fn carry(
    mut client: TcpStream,
    server: String,
    control: watch::Receiver<Control>,
    counts: Arc<Counts>,
) {
    let Control { mode, resets, .. } = *control.borrow();
    if mode == ProxyMode::HalfOpen {
        return swallow(&mut [&mut client], control, resets).await;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        client.set_zero_linger().ok();
        return;
    };
    let mut connection = Connection {
        client,
        server,
        control,
        counts,
        resets,
        doomed: false,
    };
    match connection.run().await {
        Ok(End::Closed) | Err(_) => {}
        Ok(End::Reset) => connection.reset(),
        Ok(End::Swallowed) => {
            let Connection {
                client,
                server,
                control,
                ..
            } = &mut connection;
            swallow(&mut [client, server], control.clone(), resets).await;
        }
    }
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        self.client.set_nodelay(true)?;
        self.server.set_nodelay(true)?;
        let mut upward = vec![0; BUFFER_BYTES];
        let mut downward = vec![0; BUFFER_BYTES];
        loop {
            let piece = tokio::select! {
                changed = self.control.changed() => {
                    if changed.is_err() { return Ok(End::Closed) }
                    Piece::Control
                }
                length = self.client.read(&mut upward) => Piece::Request(length?),
                length = self.server.read(&mut downward) => Piece::Reply(length?),
            };
            let Control { mode, resets, .. } = *self.control.borrow();
            if resets != self.resets {
                return Ok(End::Reset);
            }
            if mode == ProxyMode::HalfOpen {
                return Ok(End::Swallowed);
            }
            match piece {
                Piece::Control => {}
                Piece::Request(0) | Piece::Reply(0) => return Ok(End::Closed),
                Piece::Request(length) => {
                    self.count_request(mode);
                    let bytes = upward.get(..length).unwrap_or_default();
                    write(&mut self.server, bytes, mode).await?;
                }
                Piece::Reply(_) if self.doomed => {
                    self.counts.replies_lost.fetch_add(1, Ordering::Relaxed);
                    return Ok(End::Reset);
                }
                Piece::Reply(length) => {
                    if let ProxyMode::Delay(wait) = mode {
                        tokio::time::sleep(wait).await;
                    }
                    let bytes = downward.get(..length).unwrap_or_default();
                    write(&mut self.client, bytes, mode).await?;
                }
            }
        }
    }

    fn count_request(&mut self, mode: ProxyMode) {
        let number = 1 + self.counts.requests.fetch_add(1, Ordering::Relaxed);
        if let ProxyMode::LoseReplies { every } = mode {
            self.doomed |= number.is_multiple_of(every.get());
        }
    }

    fn reset(&self) {
        // A side that is gone needs no reset.
        self.client.set_zero_linger().ok();
        self.server.set_zero_linger().ok();
    }
}

async fn write(to: &mut TcpStream, bytes: &[u8], mode: ProxyMode) -> io::Result<()> {
    let ProxyMode::Drip { bytes_per_second } = mode else {
        return to.write_all(bytes).await;
    };
    let drops_per_second = u128::from(bytes_per_second) * DRIP_INTERVAL.as_millis() / 1_000;
    let drop = usize::try_from(drops_per_second).unwrap_or(BUFFER_BYTES);
    for piece in bytes.chunks(drop.max(1)) {
        tokio::time::sleep(DRIP_INTERVAL).await;
        to.write_all(piece).await?;
    }
    Ok(())
}

/// Reads and forgets until the first side closes or all connections are reset.
async fn swallow(sides: &mut [&mut TcpStream], mut control: watch::Receiver<Control>, resets: u64) {
    let Some((client, others)) = sides.split_first_mut() else {
        return;
    };
    let mut forgotten = vec![0; BUFFER_BYTES];
    loop {
        let ended = tokio::select! {
            changed = control.changed() => changed.is_err() || control.borrow().resets != resets,
            length = client.read(&mut forgotten) => matches!(length, Ok(0) | Err(_)),
        };
        if ended {
            client.set_zero_linger().ok();
            for side in others {
                side.set_zero_linger().ok();
            }
            return;
        }
    }
}
