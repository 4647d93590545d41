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
    /// The status line and the headers.
    pub head: String,
    /// What follows them.
    pub body: String,
}

impl HttpAnswer {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// `GET <path>` from `127.0.0.1:<port>`, in plain HTTP/1.0, waiting at most five seconds per read.
pub fn http_get(address: &str, path: &str) -> Result<HttpAnswer> {
    http_send(address, ("GET", path), &[], b"")
}

/// `POST <path>` with a body, like [`http_get`].
pub fn http_post(address: &str, path: &str, body: &[u8]) -> Result<HttpAnswer> {
    http_send(address, ("POST", path), &[], body)
}

/// Any method and path, with more headers, like [`http_get`].
pub fn http_send(
    address: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<HttpAnswer> {
    let length = body.len();
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
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
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
