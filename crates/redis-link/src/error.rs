//! What can go wrong on a link, by what the caller can do about it.

use common::Unavailable;
use redis::{ErrorKind, RedisError};

/// Codes by which a server says that it cannot work now, whatever the command.
const UNAVAILABLE_CODES: [&str; 10] = [
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    // Of a transaction whose commands were refused before they ran, as when the memory is full.
    "EXECABORT",
];

/// A command that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server is down, unreachable, loading, read-only or full. Wait and repeat.
    // Not transparent: the runtime looks for the cause in the chain of sources.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    /// The server refused the command. Repeating it changes nothing.
    #[error("redis refused {command}: {code} {detail}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's error code, such as `WRONGTYPE` or `NOGROUP`.
        code: String,
        /// The server's words.
        detail: String,
    },
    /// The server answered something that the command never answers.
    #[error("redis answered {command} with {detail}")]
    Unexpected {
        /// The command's name.
        command: &'static str,
        /// What was seen instead of what was expected.
        detail: String,
    },
}

impl LinkError {
    /// The server's error code, if the server refused the command.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unavailable(_) | Self::Unexpected { .. } => None,
        }
    }

    /// The server's words after the code, if the server refused the command.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Refused { detail, .. } => Some(detail),
            Self::Unavailable(_) | Self::Unexpected { .. } => None,
        }
    }

    /// Whether the same command may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(crate) fn of(command: String, error: &RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        let refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        if refused && !UNAVAILABLE_CODES.contains(&code) {
            let detail = error.detail().unwrap_or_default().to_owned();
            return Self::Refused {
                command,
                code: code.to_owned(),
                detail,
            };
        }
        Self::Unavailable(Unavailable::new(
            "redis",
            format_args!("{command}: {error}"),
        ))
    }
}

/// Settings that do not name a Redis server.
#[derive(Debug, thiserror::Error)]
#[error("invalid redis server: {0}")]
pub struct InvalidServer(String);

impl InvalidServer {
    pub(crate) fn of_url(error: &RedisError) -> Self {
        Self(format!(
            "{error}; allowed are redis://[user:password@]host[:port][/db], rediss:// for TLS and \
             redis+unix:///path"
        ))
    }
}
