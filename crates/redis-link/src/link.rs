//! One multiplexed connection that is made when needed and replaced when it is bad.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use common::Unavailable;
use crash_points::{CrashPoint, reached};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, RedisError,
    Value,
};
use tokio::sync::Mutex;

use crate::error::{InvalidServer, LinkError};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a peer may be silent before the kernel asks whether it is alive.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged by the peer's kernel.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// So many timeouts in a row mean that the connection is half-open.
const TIMEOUTS_MAX: u32 = 2;

/// A Lua script with its name, for errors.
pub struct Script {
    name: &'static str,
    source: &'static str,
    compiled: redis::Script,
}

impl Script {
    /// A script by its source text.
    pub fn new(name: &'static str, source: &'static str) -> Self {
        Self {
            name,
            source,
            compiled: redis::Script::new(source),
        }
    }

    /// An `EVALSHA` command that still lacks its keys and arguments.
    pub fn command(&self, key_count: usize) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.compiled.get_hash()).arg(key_count);
        command
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.name).finish()
    }
}

/// The reply to each command of several.
pub type Replies = Vec<Result<Value, LinkError>>;

type Unsorted = Vec<Result<Value, RedisError>>;

/// A handle on one connection; clones share it. A blocking command holds up every command behind
/// it, so a blocking reader opens a link of its own.
#[derive(Clone)]
pub struct Link {
    client: Client,
    response_timeout: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late error does not throw away a newer connection.
    generation: u64,
    timeouts_in_a_row: u32,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link to the server of a URL (`redis://`, `rediss://`, `redis+unix://`). Connects at the
    /// first command.
    pub fn open(url: &str, response_timeout: Duration) -> Result<Self, InvalidServer> {
        // The default provider may have been installed by another link: either is fine.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let info = url
            .into_connection_info()
            .map_err(|error| InvalidServer::of_url(&error))?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_AFTER);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive)
            .set_user_timeout(USER_TIMEOUT);
        let client = Client::open(info.set_tcp_settings(tcp))
            .map_err(|error| InvalidServer::of_url(&error))?;
        Ok(Self {
            client,
            response_timeout,
            state: Arc::default(),
        })
    }

    /// Another connection to the same server, with its own response timeout.
    #[must_use]
    pub fn separate(&self, response_timeout: Duration) -> Self {
        Self {
            client: self.client.clone(),
            response_timeout,
            state: Arc::default(),
        }
    }

    /// Sends one command.
    pub async fn send(&self, command: &Cmd) -> Result<Value, LinkError> {
        let (mut connection, generation) = self.connection().await?;
        let result = connection.send_packed_command(command).await;
        reached(CrashPoint::RedisReplied);
        let result = result.and_then(Value::extract_error);
        self.observe(generation, result.as_ref().err()).await;
        result.map_err(|error| LinkError::of(name_of(command), &error))
    }

    /// Sends several commands at once; one refused command does not stop the others.
    pub async fn send_all(&self, commands: &Pipeline) -> Result<Replies, LinkError> {
        let (mut connection, generation) = self.connection().await?;
        let result = connection
            .send_packed_commands(commands, 0, commands.len())
            .await;
        let replies: Result<Unsorted, RedisError> =
            result.map(|values| values.into_iter().map(Value::extract_error).collect());
        self.sort(generation, replies, "a pipeline").await
    }

    /// Learns from replies, and sorts their errors.
    async fn sort(
        &self,
        generation: u64,
        replies: Result<Unsorted, RedisError>,
        what: &str,
    ) -> Result<Replies, LinkError> {
        let first_error = match &replies {
            Ok(replies) => replies.iter().find_map(|reply| reply.as_ref().err()),
            Err(error) => Some(error),
        };
        self.observe(generation, first_error).await;
        let sort = |error: RedisError| LinkError::of(what.to_owned(), &error);
        let each = |reply: Result<Value, RedisError>| reply.map_err(sort);
        Ok(replies.map_err(sort)?.into_iter().map(each).collect())
    }

    /// Sends the commands of an atomic pipeline as one transaction: all are run, or none. A command
    /// that is refused while it runs does not stop the others.
    pub async fn send_transaction(&self, commands: &Pipeline) -> Result<Replies, LinkError> {
        let (mut connection, generation) = self.connection().await?;
        // Before the reply of EXEC come those of MULTI and of each command: that it is queued.
        let result = connection
            .send_packed_commands(commands, commands.len() + 1, 1)
            .await;
        reached(CrashPoint::RedisReplied);
        let replies = result.map(|mut replies| replies.pop().unwrap_or_default());
        let replies = replies.and_then(|exec| match exec {
            Value::Array(replies) => Ok(replies),
            other => other.extract_error().map(|_| Vec::new()),
        });
        let replies: Result<Unsorted, RedisError> =
            replies.map(|values| values.into_iter().map(Value::extract_error).collect());
        self.sort(generation, replies, "a transaction").await
    }

    /// Runs a script; `command` is [`Script::command`] with its keys and arguments. A server that
    /// does not know the script has not run it, so it is loaded and called again.
    pub async fn run(&self, script: &Script, command: &Cmd) -> Result<Value, LinkError> {
        match self.send(command).await {
            Err(LinkError::Refused { code, .. }) if code == "NOSCRIPT" => {}
            Err(LinkError::Refused { code, detail, .. }) => {
                return Err(LinkError::Refused {
                    command: script.name.to_owned(),
                    code,
                    detail,
                });
            }
            result => return result,
        }
        self.load(script).await?;
        self.send(command).await
    }

    /// Makes a script known to the server, for who sends its command within a pipeline.
    pub async fn load(&self, script: &Script) -> Result<(), LinkError> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(script.source);
        self.send(&command).await.map(drop)
    }

    /// The server's host and port, or its socket; never the password.
    fn address(&self) -> &ConnectionAddr {
        self.client.get_connection_info().addr()
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), LinkError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.generation));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.response_timeout));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| {
                let address = self.address();
                Unavailable::new("redis", format_args!("connecting to {address}: {error}"))
            })?;
        state.generation += 1;
        state.timeouts_in_a_row = 0;
        state.connection = Some(connection.clone());
        Ok((connection, state.generation))
    }

    /// Learns from a result: a timeout may be a slow command once, but not twice in a row.
    async fn observe(&self, generation: u64, error: Option<&RedisError>) {
        let mut state = self.state.lock().await;
        if state.generation != generation {
            return;
        }
        let Some(error) = error else {
            state.timeouts_in_a_row = 0;
            return;
        };
        if error.is_timeout() {
            state.timeouts_in_a_row += 1;
        }
        let replaced = error.code() == Some("READONLY")
            || state.timeouts_in_a_row >= TIMEOUTS_MAX
            || (!error.is_timeout() && error.is_unrecoverable_error());
        if replaced {
            let address = self.address();
            tracing::warn!(%address, %error, "replacing the connection to redis");
            state.connection = None;
        }
    }
}

fn name_of(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        Some(_) | None => "a command".to_owned(),
    }
}
