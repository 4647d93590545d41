//! Lines of a stream, in bounded memory: of a line that is too long only the start is kept.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// How much is read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A line without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its bytes, as far as the limit.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes it has beyond those.
    pub(crate) cut: u64,
    /// How many bytes of the stream were read up to its end, line feed included.
    pub(crate) end: u64,
}

/// Reads lines.
#[derive(Debug)]
pub(crate) struct BoundedLines<R> {
    reader: BufReader<R>,
    line_bytes_max: usize,
    bytes: Vec<u8>,
    cut: u64,
    position: u64,
}

impl<R: AsyncRead + Unpin> BoundedLines<R> {
    /// Reads lines from a stream of which `position` bytes were read before.
    pub(crate) fn new(stream: R, position: u64, line_bytes_max: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, stream),
            line_bytes_max,
            bytes: Vec::new(),
            cut: 0,
            position,
        }
    }

    /// The next line, `None` at the end. Dropping the call and repeating it loses nothing.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                let nothing = self.bytes.is_empty() && self.cut == 0;
                return Ok((!nothing).then(|| self.take()));
            }
            let mut parts = available.splitn(2, |&byte| byte == b'\n');
            let part = parts.next().unwrap_or_default();
            let complete = parts.next().is_some();
            let room = self.line_bytes_max.saturating_sub(self.bytes.len());
            let (kept, cut) = part.split_at(room.min(part.len()));
            self.bytes.extend_from_slice(kept);
            self.cut = self.cut.saturating_add(count(cut.len()));
            let consumed = part.len() + usize::from(complete);
            self.position = self.position.saturating_add(count(consumed));
            self.reader.consume(consumed);
            if complete {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        Line {
            bytes: std::mem::take(&mut self.bytes),
            cut: std::mem::take(&mut self.cut),
            end: self.position,
        }
    }
}

/// A length in memory as a number that does not depend on the machine.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], line_bytes_max: usize) -> Vec<(String, u64, u64)> {
        let mut lines = BoundedLines::new(text, 100, line_bytes_max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            let text = String::from_utf8(line.bytes).expect("text");
            all.push((text, line.cut, line.end));
        }
        all
    }

    fn line(text: &str, cut: u64, end: u64) -> (String, u64, u64) {
        (text.to_owned(), cut, end)
    }

    #[tokio::test]
    async fn lines_end_at_a_line_feed_or_at_the_end_of_the_stream() {
        assert_eq!(lines(b"", 9).await, []);
        assert_eq!(lines(b"\n", 9).await, [line("", 0, 101)]);
        let expected = [line("ab\r", 0, 104), line("", 0, 105), line("c", 0, 106)];
        assert_eq!(lines(b"ab\r\n\nc", 9).await, expected);
    }

    #[tokio::test]
    async fn of_a_long_line_only_the_start_is_kept_and_the_next_is_whole() {
        let expected = [
            line("abc", 3, 107),
            line("def", 0, 111),
            line("ghi", 1, 115),
        ];
        assert_eq!(lines(b"abcdef\ndef\nghij", 3).await, expected);
        let long = [b"x".repeat(3 * BUFFER_BYTES), b"\ny\n".to_vec()].concat();
        let all = lines(&long, 2).await;
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].1, count(3 * BUFFER_BYTES - 2));
        assert_eq!(all[1].0, "y");
    }
}
