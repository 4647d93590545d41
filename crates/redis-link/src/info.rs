//! What a server says of itself. `INFO` is used because hosted servers refuse `CONFIG`.

use redis::Value;

use crate::error::LinkError;
use crate::link::Link;

/// The text of sections, one after the other.
pub(crate) async fn info(link: &Link, sections: &[&str]) -> Result<String, LinkError> {
    let mut text = String::new();
    for section in sections {
        match link.send(redis::cmd("INFO").arg(*section)).await? {
            Value::BulkString(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Value::VerbatimString { text: part, .. } => text.push_str(&part),
            other => {
                let detail = format!("{other:?}");
                return Err(LinkError::Unexpected {
                    command: "INFO",
                    detail,
                });
            }
        }
    }
    Ok(text)
}

/// The value of a line; empty if there is none of that name.
pub(crate) fn value<'a>(info: &'a str, name: &str) -> &'a str {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}
