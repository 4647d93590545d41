//! A peer that vanished without a word: its connections look alive and carry nothing.

use std::time::Duration;

use anyhow::Result;
use bus::Bus;
use testkit::servers::{RedisServer, eventually_async, or_skip};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bench::{finish_all_and_account, publish_surely, settle_surely};
use crate::notes::{Notes, notes};
use crate::readers::{Reader, SOON, done, options};

/// Stands between a client and a server.
struct Proxy {
    address: String,
    freezes: watch::Sender<u32>,
}

impl Proxy {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no worker whose task the proxy could be; it ends with the test"
    )]
    async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (freezes, frozen) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server.clone(), frozen.clone()));
            }
        });
        Ok(Self { address, freezes })
    }

    /// From now on the connections that there are carry nothing. New ones work.
    fn freeze(&self) {
        self.freezes.send_modify(|count| *count += 1);
    }
}

async fn forward(mut client: TcpStream, server: String, mut frozen: watch::Receiver<u32>) {
    frozen.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = frozen.changed() => std::future::pending().await,
    }
}

/// The client waits for answers on such a connection for ever, command after command. Remedy: two
/// timeouts in a row replace the connection, that of the reader as well.
#[tokio::test]
async fn half_open_connections_are_replaced() -> Result<()> {
    let Some(server) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let proxy = Proxy::start(server.address()).await?;
    let url = format!("redis://{}", proxy.address);
    let bus = Bus::on_redis(&url, Duration::from_millis(300))?;
    bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bus, options());
    let held = reader.take(1).await?;

    proxy.freeze();
    let failure = bus.publish::<Notes>(&notes(1..2)).await;
    assert!(failure.is_err_and(|error| error.is_unavailable()));
    publish_surely(&bus, 2..5).await?;
    settle_surely(&reader.consumer, &done(held.ids())).await?;
    drop(held);
    finish_all_and_account(&bus, &mut reader, 2..5).await
}

/// Remedy: connecting has a timeout, too.
#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_unavailable() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("redis://{}", silent.local_addr()?);
    let bus = Bus::on_redis(&url, Duration::from_millis(300))?;
    eventually_async("an answer", SOON, async || {
        let failure = bus.publish::<Notes>(&notes(0..1)).await;
        failure
            .is_err_and(|error| error.is_unavailable())
            .then_some(())
    })
    .await
}
