//! A client that costs little: requests made ready beforehand, answers read as far as needed.

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as it goes over the wire.
pub(crate) fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends the requests of each connection one after another, all connections at once. Every answer
/// must be 202.
pub(crate) async fn send(address: &str, connections: &[Vec<Vec<u8>>]) -> Result<()> {
    try_join_all(connections.iter().map(|all| send_on_one(address, all))).await?;
    Ok(())
}

async fn send_on_one(address: &str, requests: &[Vec<u8>]) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    for request in requests {
        stream.write_all(request).await?;
        buffer.clear();
        loop {
            ensure!(
                stream.read_buf(&mut buffer).await? > 0,
                "the server hung up"
            );
            if is_complete(&buffer)? {
                break;
            }
        }
    }
    Ok(())
}

fn is_complete(answer: &[u8]) -> Result<bool> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let Some((head, body)) = end.and_then(|at| answer.split_at_checked(at + 4)) else {
        return Ok(false);
    };
    let head = std::str::from_utf8(head)?;
    ensure!(
        head.starts_with("HTTP/1.1 202"),
        "{head}{}",
        String::from_utf8_lossy(body)
    );
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .context("an answer without content-length")?;
    Ok(body.len() >= length.parse()?)
}
