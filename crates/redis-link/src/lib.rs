//! A connection to a Redis server that heals, and the settings that say where the servers are.
//!
//! `bus` and `stores` speak to Redis through [`Link`]. It knows nothing of streams, keys or
//! messages. Its promises: every command has a timeout; a connection that is broken, half-open or
//! points to a read-only replica is replaced; a script is always loaded; and an error says whether
//! the server is to blame (wait) or the command (do not repeat it).

mod durability;
mod error;
mod info;
mod link;
mod servers;
mod status;

pub use durability::Durability;
pub use error::{InvalidServer, LinkError};
pub use link::{Link, Replies, Script};
pub use redis::{Cmd, Pipeline, Value, cmd, pipe};
pub use servers::{RedisServers, Role};
pub use status::ServerStatus;
