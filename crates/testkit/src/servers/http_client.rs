//! The smallest HTTP client: enough to ask a worker and to send it events.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

const TIMEOUT: Duration = Duration::from_secs(5);

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 200, 503, …
    pub status: u16,
    /// Without the head.
    pub body: String,
}

/// `GET <path>` from `127.0.0.1:<port>`, in plain HTTP/1.0, waiting at most five seconds per read.
pub fn http_get(address: &str, path: &str) -> Result<HttpAnswer> {
    request(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
        b"",
    )
}

/// `POST <path>` with a body, like [`http_get`].
pub fn http_post(address: &str, path: &str, body: &[u8]) -> Result<HttpAnswer> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    request(address, &head, body)
}

fn request(address: &str, head: &str, body: &[u8]) -> Result<HttpAnswer> {
    let target: SocketAddr = address.parse().context("reading an IP address and port")?;
    let mut connection = TcpStream::connect_timeout(&target, TIMEOUT)
        .with_context(|| format!("connecting to {address}"))?;
    connection
        .set_read_timeout(Some(TIMEOUT))
        .context("setting a timeout")?;
    // 1.0, so that the answer ends with the connection and is never chunked.
    connection
        .write_all(head.as_bytes())
        .context("sending a request")?;
    connection.write_all(body).context("sending a body")?;
    let mut answer = String::new();
    connection
        .read_to_string(&mut answer)
        .context("reading an answer")?;

    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a head")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.get(..3)?.parse().ok());
    Ok(HttpAnswer {
        status: status.context("an answer without a status")?,
        body: body.to_owned(),
    })
}
