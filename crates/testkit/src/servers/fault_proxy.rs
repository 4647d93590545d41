//! Stands between a worker and its server, and breaks their connections as networks do.

mod carrying;

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ports::free_address;

/// Between two tries to listen again.
const LISTEN_AGAIN: Duration = Duration::from_millis(10);

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// It passes.
    Pass,
    /// What the server says arrives so much later.
    Delay(Duration),
    /// Connections that are there work; nobody listens for new ones.
    Refuse,
    /// Connections stay open and carry nothing: a peer that vanished without a word. One that was
    /// half-open once is so for ever, new ones made in another mode work.
    HalfOpen,
    /// Both directions are slow.
    Drip {
        /// In each direction of each connection.
        bytes_per_second: u32,
    },
    /// Every so many requests, counted over all connections, the server does what it is asked and
    /// its reply is lost with the connection.
    LoseReplies {
        /// 1 for every request.
        every: NonZeroU64,
    },
}

/// A proxy on the loopback before one server. It ends when dropped, its connections with it.
#[derive(Debug)]
pub struct FaultProxy {
    address: String,
    control: watch::Sender<Control>,
    counts: Arc<Counts>,
    server: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Control {
    mode: ProxyMode,
    /// How often all connections were reset.
    resets: u64,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    replies_lost: AtomicU64,
}

impl FaultProxy {
    /// Before the server at an address, letting everything pass.
    pub fn start(server: &str) -> Result<Self> {
        let address = free_address()?;
        let (control, watched) = watch::channel(Control {
            mode: ProxyMode::Pass,
            resets: 0,
            stopped: false,
        });
        let counts = Arc::new(Counts::default());
        let server = Arc::new(Mutex::new(server.to_owned()));
        let place = Place {
            address: address.clone(),
            server: Arc::clone(&server),
            counts: Arc::clone(&counts),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a proxy's runtime")?;
        let listener = std::net::TcpListener::bind(&address).context("listening as a proxy")?;
        listener
            .set_nonblocking(true)
            .context("setting up a proxy's listener")?;
        let thread = std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let listener = TcpListener::from_std(listener).ok();
                    serve(place, listener, watched).await;
                });
            })
            .context("starting a proxy's thread")?;
        Ok(Self {
            address,
            control,
            counts,
            server,
            thread: Some(thread),
        })
    }

    /// `127.0.0.1:<port>`, what the worker is told instead of the server's.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on.
    pub fn set(&self, mode: ProxyMode) {
        self.control.send_modify(|control| control.mode = mode);
    }

    /// Ends every connection that is there with a reset.
    pub fn reset(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }

    /// New connections go to the server at this address.
    pub fn point_at(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How many replies were lost so far.
    pub fn replies_lost(&self) -> u64 {
        self.counts.replies_lost.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.stopped = true);
        if let Some(thread) = self.thread.take() {
            // A proxy that panicked has failed the test already.
            thread.join().ok();
        }
    }
}

/// Where the proxy stands.
struct Place {
    address: String,
    server: Arc<Mutex<String>>,
    counts: Arc<Counts>,
}

impl Place {
    fn server(&self) -> String {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.clone()
    }
}

async fn serve(
    place: Place,
    mut listener: Option<TcpListener>,
    mut control: watch::Receiver<Control>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Control { mode, stopped, .. } = *control.borrow_and_update();
        if stopped {
            return;
        }
        if mode == ProxyMode::Refuse {
            listener = None;
        } else if listener.is_none() {
            // The port may be held for a moment by a connection that just ended.
            listener = TcpListener::bind(&place.address).await.ok();
        }
        let due = listener.is_none() && mode != ProxyMode::Refuse;
        tokio::select! {
            _ = control.changed() => {}
            () = tokio::time::sleep(LISTEN_AGAIN), if due => {}
            Some(_) = connections.join_next() => {}
            accepted = accept(listener.as_ref()) => {
                let Some(client) = accepted else { continue };
                let counts = Arc::clone(&place.counts);
                let carried = carrying::carry(client, place.server(), control.clone(), counts);
                connections.spawn(carried);
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}
