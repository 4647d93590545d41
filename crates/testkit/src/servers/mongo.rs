//! MongoDB for tests: a server of one's own, or a database of the shared one.

mod bson;
mod unwilling_primary;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::local_server::LocalServer;
use super::shared::{Shared, SharedServer};
use super::{environment, or_skip, url_of_database};
pub use unwilling_primary::{Refusal, UnwillingPrimary};

const SCRIPT: &str = "mongodb.sh";
const DEFAULT_PORT: u16 = 27_017;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);
const OP_MSG: i32 = 2013;
/// Length, request id, the id it answers, and the kind of message.
const HEADER_BYTES: usize = 16;
/// Flags, and the kind of the one section that follows.
const PREFIX_BYTES: usize = 5;

/// A MongoDB that a test may stop, kill and pause: `mongod`, or what `scripts/mongodb.sh` has in its
/// place. A write that asks for the journal survives its death.
#[derive(Debug)]
pub struct MongoServer(LocalServer);

impl MongoServer {
    /// Without access control.
    pub fn start() -> Result<Self> {
        LocalServer::start(SCRIPT, &[]).map(Self)
    }

    /// A new name of a database; the database comes with its first document and goes with the
    /// returned value.
    pub fn create_database(&self) -> MongoDatabase {
        MongoDatabase::new(self.url())
    }
}

impl Deref for MongoServer {
    type Target = LocalServer;

    fn deref(&self) -> &LocalServer {
        &self.0
    }
}

/// An empty database that nobody else uses; dropped when dropped.
#[derive(Debug)]
pub struct MongoDatabase {
    name: String,
    url: String,
}

impl MongoDatabase {
    fn new(server: &str) -> Self {
        let name = format!("millrace_test_{:016x}", RandomState::new().hash_one(()));
        let url = url_of_database(server, &name);
        Self { name, url }
    }

    /// With the name of the database as its path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path of [`MongoDatabase::url`].
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for MongoDatabase {
    fn drop(&mut self) {
        // The server may have been killed by the test.
        mongo_command(&self.url, &self.name, &[("dropDatabase", json!(1))]).ok();
    }
}

/// A database of the shared MongoDB, or `None` after a loud skip; panics where `CI=true`.
pub fn mongo_database() -> Option<MongoDatabase> {
    or_skip("MongoDB", shared_mongodb_url().map(MongoDatabase::new))
}

/// The MongoDB that tests of this process share: `MONGODB_URI`, else one started at the first call.
pub fn shared_mongodb_url() -> Result<&'static str> {
    static SHARED: SharedServer = SharedServer::new();
    SHARED.url(find)
}

/// Runs one command, its name first, and returns the answer; an error when the server says that the
/// command or one of its writes failed. Knows no passwords and no TLS, and dates as milliseconds.
///
/// ```no_run
/// # use serde_json::json;
/// # use testkit::servers::mongo_command;
/// let count = [("count", json!("events")), ("query", json!({"agentId": "a"}))];
/// let answer = mongo_command("mongodb://127.0.0.1:27017", "millrace", &count);
/// ```
pub fn mongo_command(url: &str, database: &str, command: &[(&str, Value)]) -> Result<Value> {
    let name = command.first().map_or("nothing", |&(name, _)| name);
    let answer =
        ask(url, database, command).with_context(|| format!("asking MongoDB for {name}"))?;
    let done = answer.get("ok").and_then(Value::as_f64) == Some(1.0);
    ensure!(
        done && answer.get("writeErrors").is_none(),
        "MongoDB refuses {name}: {answer}"
    );
    Ok(answer)
}

fn find() -> Result<Shared> {
    if let Some(url) = environment("TEST_MONGODB_URI").or_else(|| environment("MONGODB_URI")) {
        TcpStream::connect(address_of(&url))
            .context("MONGODB_URI is set, and its server cannot be reached")?;
        return Ok(Shared::Named(url));
    }
    LocalServer::start(SCRIPT, &[]).map(Shared::Own)
}

fn ask(url: &str, database: &str, command: &[(&str, Value)]) -> Result<Value> {
    let database = json!(database);
    let fields = command.iter().map(|(name, value)| (*name, value));
    let message = message(0, &bson::encode(fields.chain([("$db", &database)]))?)?;

    let mut connection = TcpStream::connect(address_of(url))?;
    connection.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    connection.write_all(&message)?;

    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let rest = usize::try_from(i32::from_le_bytes(length))?.checked_sub(length.len());
    let mut answer = vec![0; rest.context("an answer has no header")?];
    connection.read_exact(&mut answer)?;
    let document = answer.get(HEADER_BYTES - length.len() + PREFIX_BYTES..);
    bson::decode(document.context("an answer has no document")?)
}

/// A message of one document, which answers the one of that id.
fn message(answers: i32, document: &[u8]) -> Result<Vec<u8>> {
    let length = i32::try_from(HEADER_BYTES + PREFIX_BYTES + document.len())?;
    let mut message = Vec::new();
    for number in [length, 0, answers, OP_MSG, 0] {
        message.extend(number.to_le_bytes());
    }
    message.push(0);
    message.extend(document);
    Ok(message)
}

/// `host:port` of the first server that a URL names.
fn address_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let (_, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, _) = hosts.split_once(',').unwrap_or((hosts, ""));
    if host.contains(':') {
        return host.to_owned();
    }
    format!("{host}:{DEFAULT_PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_of_a_url_is_asked() {
        let check = |url, expected| assert_eq!(expected, address_of(url));
        check("mongodb://127.0.0.1:1", "127.0.0.1:1");
        check("mongodb://one:1,two:2/db", "one:1");
        check("mongodb://user:p@ss@host/db?w=majority", "host:27017");
        check("mongodb://host?w=majority", "host:27017");
    }
}
