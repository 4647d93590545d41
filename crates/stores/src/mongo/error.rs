//! What MongoDB's errors say about whose fault it is.

use mongodb::bson::{Bson, Document};
use mongodb::error::{Error, ErrorKind};

use super::unavailable;
use crate::error::StoreError;

/// Codes that blame the values of a command: too large, not valid, against the collection's rules,
/// names of fields, a key that is too long for an index. Any other is the server's own trouble: then
/// nothing may be given up.
const BLAMES_VALUES: [i32; 9] = [10_334, 17_419, 17_420, 121, 22, 52, 56, 57, 17_280];
/// Those that do so when they are said of one statement. Said of a command they may be about its form.
const BLAMES_STATEMENT: [i32; 3] = [2, 9, 14];
/// Another document has the same value in a unique index.
const DUPLICATE_KEY: [i32; 3] = [11_000, 11_001, 12_582];
/// At start nobody gets in by waiting: not authorised, wrong user or password (also Atlas' code).
const SETTINGS: [i32; 3] = [13, 18, 8_000];

impl StoreError {
    /// Sorts an error of MongoDB.
    pub(crate) fn of_mongo(doing: &'static str, error: Error) -> Self {
        if code(&error).is_some_and(|code| BLAMES_VALUES.contains(&code)) {
            return refused(doing, &error);
        }
        unavailable(format_args!("{doing}: {}", error.kind))
    }

    /// [`StoreError::of_mongo`] for the first call: a user that is not let in is final then. Later it
    /// may be a password that is being changed, and is waited for.
    pub(crate) fn of_mongo_at_start(doing: &'static str, error: Error) -> Self {
        let settings = match &*error.kind {
            ErrorKind::Authentication { .. } | ErrorKind::InvalidTlsConfig { .. } => true,
            _ => code(&error).is_some_and(|code| SETTINGS.contains(&code)),
        };
        if settings {
            return refused(doing, &error);
        }
        Self::of_mongo(doing, error)
    }
}

fn refused(doing: &'static str, error: &Error) -> StoreError {
    // Not the error itself: its text has the whole answer of the server in it.
    StoreError::MongoRefused {
        doing,
        detail: error.kind.to_string(),
    }
}

/// The code that the server gave to a command that failed.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// What is said of one statement of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatementError {
    /// Another document has its id, or its value in another unique index.
    Duplicate(String),
    /// It can never be written.
    Refused(String),
}

/// What became of the statements of a write command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriteReply {
    /// Statements that failed, by their index.
    pub(crate) failed: Vec<(usize, StatementError)>,
    /// How many documents were found or inserted.
    pub(crate) count: u64,
}

impl WriteReply {
    /// Reads the answer to a command that ran. A statement that failed by no fault of its own, and a
    /// write that too few servers have, are the server's trouble.
    pub(crate) fn parse(doing: &'static str, reply: &Document) -> Result<Self, StoreError> {
        if let Some(concern) = reply.get("writeConcernError") {
            return Err(unavailable(format_args!("{doing}: {concern}")));
        }
        let errors = match reply.get("writeErrors") {
            Some(Bson::Array(errors)) => errors.as_slice(),
            _ => &[],
        };
        let failed = errors
            .iter()
            .map(|error| statement_error(doing, error))
            .collect::<Result<_, _>>()?;
        let count = number(reply, "n").unwrap_or(0);
        Ok(Self { failed, count })
    }
}

fn statement_error(
    doing: &'static str,
    error: &Bson,
) -> Result<(usize, StatementError), StoreError> {
    let broken = || unavailable(format_args!("{doing}: {error}"));
    let error_fields = error.as_document().ok_or_else(broken)?;
    let index = number(error_fields, "index").ok_or_else(broken)?;
    let index = usize::try_from(index).map_err(|_| broken())?;
    let code = number(error_fields, "code").and_then(|code| i32::try_from(code).ok());
    let code = code.ok_or_else(broken)?;
    let message = error_fields.get_str("errmsg").unwrap_or_default();
    let message = format!("{message} (code {code})");
    if DUPLICATE_KEY.contains(&code) {
        return Ok((index, StatementError::Duplicate(message)));
    }
    if BLAMES_VALUES.contains(&code) || BLAMES_STATEMENT.contains(&code) {
        return Ok((index, StatementError::Refused(message)));
    }
    Err(unavailable(format_args!("{doing}: {message}")))
}

/// A whole number of any of BSON's types, if it is not negative. Servers answer with what they like.
pub(crate) fn number(document: &Document, field: &str) -> Option<u64> {
    match document.get(field)? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Double(number) => format!("{number:.0}").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
