//! Stands before a MongoDB and answers as a primary that is stepping down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{HEADER_BYTES, OP_MSG, PREFIX_BYTES, bson, message};

/// What a primary says that is none any more; <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `NotWritablePrimary`; nothing was done.
    NotPrimary,
    /// `PrimarySteppedDown`; nothing was done.
    SteppedDown,
    /// `InterruptedDueToReplStateChange`; all of it was done.
    InterruptedAfter,
}

impl Refusal {
    fn answer(self) -> Value {
        let (code, name) = match self {
            Self::NotPrimary => (10_107, "NotWritablePrimary"),
            Self::SteppedDown => (189, "PrimarySteppedDown"),
            Self::InterruptedAfter => (11_602, "InterruptedDueToReplStateChange"),
        };
        json!({"ok": 0.0, "code": code, "codeName": name, "errmsg": name})
    }
}

/// A proxy on the loopback before one MongoDB. It ends when dropped, its connections with it.
#[derive(Debug)]
pub struct UnwillingPrimary {
    address: String,
    mood: Arc<Mood>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What becomes of commands; those by which drivers get to know a server are always answered.
#[derive(Debug, Default)]
struct Mood {
    refusal: Mutex<Option<(Refusal, u64)>>,
    refused: AtomicU64,
}

impl Mood {
    fn refusal_of(&self, command: &str) -> Option<Refusal> {
        const WORK: [&str; 7] = [
            "update",
            "insert",
            "delete",
            "findAndModify",
            "find",
            "aggregate",
            "createIndexes",
        ];
        if !WORK.contains(&command) {
            return None;
        }
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, left) = refusal.as_mut()?;
        let kind = *kind;
        *left -= 1;
        if *left == 0 {
            *refusal = None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Some(kind)
    }
}

impl UnwillingPrimary {
    /// Before the MongoDB at an address, and willing.
    pub fn start(server: &str) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listening")?;
        listener.set_nonblocking(true).context("listening")?;
        let address = listener.local_addr().context("listening")?.to_string();
        let mood = Arc::new(Mood::default());
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a proxy's runtime")?;
        let (server, same) = (server.to_owned(), Arc::clone(&mood));
        let thread = std::thread::Builder::new()
            .name("unwilling-primary".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        serve(&listener, &server, &same, stopped).await;
                    }
                });
            })
            .context("starting a proxy's thread")?;
        Ok(Self {
            address,
            mood,
            stop,
            thread: Some(thread),
        })
    }

    /// `127.0.0.1:<port>`, what the worker is told instead of the server's.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Refuses so many of the next commands.
    pub fn refuse(&self, refusal: Refusal, count: u64) {
        self.set((count > 0).then_some((refusal, count)));
    }

    /// Is willing again.
    pub fn relent(&self) {
        self.set(None);
    }

    /// How many commands were refused so far.
    pub fn refused(&self) -> u64 {
        self.mood.refused.load(Ordering::Relaxed)
    }

    fn set(&self, refusal: Option<(Refusal, u64)>) {
        let mood = self.mood.refusal.lock();
        *mood.unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl Drop for UnwillingPrimary {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A proxy that panicked has failed the test already.
            thread.join().ok();
        }
    }
}

async fn serve(
    listener: &TcpListener,
    server: &str,
    mood: &Arc<Mood>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(carry(client, server.to_owned(), Arc::clone(mood)));
            }
        }
    }
}

/// Carries until one side closes; then the other is closed, too.
async fn carry(client: TcpStream, server: String, mood: Arc<Mood>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let to_client = tokio::sync::Mutex::new(to_client);
    let swallow = AtomicBool::new(false);
    tokio::select! {
        ended = ask(from_client, to_server, (&to_client, &swallow), &mood) => ended,
        ended = answer(from_server, &to_client, &swallow) => ended,
    }
}

async fn ask(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    (to_client, swallow): (&tokio::sync::Mutex<OwnedWriteHalf>, &AtomicBool),
    mood: &Mood,
) -> io::Result<()> {
    loop {
        let asked = read(&mut client).await?;
        let refusal = command(&asked).and_then(|command| mood.refusal_of(&command));
        match refusal {
            None => server.write_all(&asked).await?,
            Some(Refusal::InterruptedAfter) => {
                swallow.store(true, Ordering::Relaxed);
                server.write_all(&asked).await?;
            }
            Some(refusal) => {
                let refused = refused(&asked, refusal)?;
                to_client.lock().await.write_all(&refused).await?;
            }
        }
    }
}

async fn answer(
    mut server: OwnedReadHalf,
    to_client: &tokio::sync::Mutex<OwnedWriteHalf>,
    swallow: &AtomicBool,
) -> io::Result<()> {
    loop {
        let mut answer = read(&mut server).await?;
        if swallow.swap(false, Ordering::Relaxed) {
            // An answer names what it answers in the place after its own id.
            let answered = number(&answer, 8).unwrap_or_default();
            answer = refusal_to(answered, Refusal::InterruptedAfter)?;
        }
        to_client.lock().await.write_all(&answer).await?;
    }
}

/// One message, whole.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    from.read_exact(&mut bytes).await?;
    let length = number(&bytes, 0).and_then(|length| usize::try_from(length).ok());
    let length = length.unwrap_or_default().max(bytes.len());
    let mut rest = vec![0; length - bytes.len()];
    from.read_exact(&mut rest).await?;
    bytes.extend(rest);
    Ok(bytes)
}

fn refused(asked: &[u8], refusal: Refusal) -> io::Result<Vec<u8>> {
    refusal_to(number(asked, 4).unwrap_or_default(), refusal)
}

fn refusal_to(id: i32, refusal: Refusal) -> io::Result<Vec<u8>> {
    let answer = refusal.answer();
    let fields = answer.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (name.as_str(), value));
    let document = bson::encode(fields).map_err(io::Error::other)?;
    message(id, &document).map_err(io::Error::other)
}

/// The name of the command, which is the name of the first field, if it is a message of today.
fn command(message: &[u8]) -> Option<String> {
    if number(message, 12)? != OP_MSG {
        return None;
    }
    // The document's length and the kind of its first value come before the name.
    let name = message.get(HEADER_BYTES + PREFIX_BYTES + 5..)?;
    let end = name.iter().position(|&byte| byte == 0)?;
    String::from_utf8(name.get(..end)?.to_vec()).ok()
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{mongo_command, mongo_database};

    #[test]
    fn commands_are_refused_before_and_after_they_are_done() {
        let Some(database) = mongo_database() else {
            return;
        };
        let server = super::super::address_of(database.url());
        let primary = UnwillingPrimary::start(&server).unwrap();
        let url = format!("mongodb://{}", primary.address());
        let insert = |id: i32| {
            let documents = json!([{"_id": id}]);
            let command = [("insert", json!("things")), ("documents", documents)];
            mongo_command(&url, database.name(), &command)
        };
        let count = || {
            let command = [("count", json!("things"))];
            mongo_command(&url, database.name(), &command).unwrap()["n"]
                .as_f64()
                .unwrap()
        };
        insert(1).unwrap();
        primary.refuse(Refusal::NotPrimary, 2);
        for _ in 0..2 {
            let refused = format!("{:#}", insert(2).unwrap_err());
            assert!(refused.contains("10107"), "{refused}");
        }
        assert_eq!((count(), primary.refused()), (1.0, 2));
        insert(2).unwrap();
        primary.refuse(Refusal::InterruptedAfter, 9);
        assert!(format!("{:#}", insert(3).unwrap_err()).contains("11602"));
        primary.relent();
        assert_eq!((count(), primary.refused()), (3.0, 3));
        insert(4).unwrap();
    }
}
