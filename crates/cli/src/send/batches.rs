//! Lines, put together to requests.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout_at};

use common::limits::EVENT_BYTES_MAX;

use super::event::{Event, Prepared, Reject, prepare};
use crate::bounded_lines::BoundedLines;

/// The most bytes of one request; the service takes 4 MiB.
const REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024;
/// How long events wait for more when the input is slow.
pub(super) const LINGER: Duration = Duration::from_millis(250);
/// White space that a line may have around its event.
const LINE_SLACK_BYTES: usize = 1024;

const OPENING: &str = r#"{"batch":["#;
const CLOSING: &str = "]}";

/// A place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Bytes up to here.
    pub(crate) bytes: u64,
    /// Lines up to here.
    pub(crate) lines: u64,
}

/// Neighbouring lines: events for one request, and what was rejected among them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    pub(super) rejects: Vec<Reject>,
    /// Where the next batch begins.
    pub(crate) end: Place,
    /// The length of the events' texts, with a comma each.
    bytes: usize,
}

/// The body of a request.
pub(super) fn body(events: &[Event]) -> String {
    let texts: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
    [OPENING, &texts.join(","), CLOSING].concat()
}

impl Batch {
    /// Events from elsewhere, which are known to fit into one request.
    pub(crate) fn of(events: Vec<Event>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    fn fits(&self, event: &Event) -> bool {
        let around = OPENING.len() + CLOSING.len();
        self.events.is_empty() || self.bytes + event.json.len() + around < REQUEST_BYTES_MAX
    }

    fn push(&mut self, event: Event) {
        self.bytes += event.json.len() + 1;
        self.events.push(event);
    }

    fn lines(&self) -> usize {
        self.events.len() + self.rejects.len()
    }
}

/// Reads batches.
#[derive(Debug)]
pub(super) struct Batches<R> {
    lines: BoundedLines<R>,
    events_max: usize,
    linger: Option<Duration>,
    place: Place,
    current: Batch,
    linger_until: Option<Instant>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Batches<R> {
    /// Reads a stream that begins at `place` of the whole. Of a stream that is still being written,
    /// events `linger` for others; without, batches are always filled.
    pub(super) fn new(stream: R, place: Place, events_max: u16, linger: Option<Duration>) -> Self {
        let line_bytes_max = EVENT_BYTES_MAX + LINE_SLACK_BYTES;
        Self {
            lines: BoundedLines::new(stream, place.bytes, line_bytes_max),
            events_max: usize::from(events_max),
            linger,
            place,
            current: Batch {
                end: place,
                ..Batch::default()
            },
            linger_until: None,
            ended: false,
        }
    }

    /// The next batch, `None` at the end. Dropping the call and repeating it loses nothing.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Batch>> {
        while !self.ended {
            let line = match self.linger_until {
                None => self.lines.next().await,
                Some(deadline) => match timeout_at(deadline, self.lines.next()).await {
                    Ok(line) => line,
                    Err(_) => return Ok(Some(self.take())),
                },
            };
            let Some(line) = line.context("reading the input")? else {
                self.ended = true;
                break;
            };
            self.place = Place {
                bytes: line.end,
                lines: self.place.lines + 1,
            };
            let mut full = None;
            match prepare(self.place.lines, &line) {
                Prepared::Blank => {}
                Prepared::Rejected(reject) => self.current.rejects.push(reject),
                Prepared::Event(event) => {
                    if !self.current.fits(&event) {
                        full = Some(self.take());
                    }
                    self.current.push(event);
                }
            }
            self.current.end = self.place;
            if self.linger_until.is_none() && self.current.lines() > 0 {
                self.linger_until = self.linger.map(|linger| Instant::now() + linger);
            }
            if full.is_some() {
                return Ok(full);
            }
            if self.current.lines() >= self.events_max {
                return Ok(Some(self.take()));
            }
        }
        let is_left = self.current.lines() > 0;
        Ok(is_left.then(|| self.take()))
    }

    fn take(&mut self) -> Batch {
        self.linger_until = None;
        let next = Batch {
            end: self.current.end,
            ..Batch::default()
        };
        std::mem::replace(&mut self.current, next)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn batches(input: &[u8], events_max: u16) -> Vec<Batch> {
        let mut batches = Batches::new(
            input,
            Place {
                bytes: 1_000,
                lines: 10,
            },
            events_max,
            None,
        );
        let mut all = Vec::new();
        while let Some(batch) = batches.next().await.expect("memory can be read") {
            all.push(batch);
        }
        all
    }

    #[tokio::test]
    async fn batches_are_cut_by_the_number_of_their_lines() {
        let input = "{\"event_id\":1}\n".repeat(5);
        let all = batches(input.as_bytes(), 2).await;
        let sizes: Vec<usize> = all.iter().map(|batch| batch.events.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(
            all[0].end,
            Place {
                bytes: 1_030,
                lines: 12
            }
        );
        assert_eq!(
            all[2].end,
            Place {
                bytes: 1_075,
                lines: 15
            }
        );
        assert_eq!(
            body(&all[0].events),
            r#"{"batch":[{"event_id":1},{"event_id":1}]}"#
        );
    }

    #[tokio::test]
    async fn batches_are_cut_by_bytes_and_place_themselves_before_the_event_that_did_not_fit() {
        let text = "x".repeat(200 * 1024);
        let input = format!("{{\"event_id\":1,\"text\":\"{text}\"}}\n").repeat(16);
        let all = batches(input.as_bytes(), 500).await;
        let sizes: Vec<usize> = all.iter().map(|batch| batch.events.len()).collect();
        assert_eq!(sizes, [15, 1]);
        assert!(body(&all[0].events).len() < REQUEST_BYTES_MAX);
        assert_eq!(all[0].end.lines, 25);
        assert_eq!(all[1].end.lines, 26);
    }

    #[tokio::test]
    async fn rejects_and_blank_lines_are_a_part_of_their_batch() {
        let all = batches(b"\nnonsense\n{\"event_id\":1}\n\n", 500).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].rejects[0].line, 12);
        assert_eq!(all[0].events[0].line, 13);
        assert_eq!(
            all[0].end,
            Place {
                bytes: 1_026,
                lines: 14
            }
        );
        let rejects = batches(&b"x\n".repeat(3), 2).await;
        assert_eq!(rejects.len(), 2);
        assert!(batches(b"\n\n", 2).await.is_empty());
    }

    #[tokio::test]
    async fn a_slow_input_is_not_waited_for() {
        let (mut input, stream) = tokio::io::duplex(64);
        let mut batches = Batches::new(stream, Place::default(), 500, Some(LINGER));
        input
            .write_all(b"{\"event_id\":1}\n{\"event")
            .await
            .expect("room");
        let batch = batches.next().await.expect("readable").expect("a batch");
        assert_eq!((batch.events.len(), batch.end.lines), (1, 1));
        input.write_all(b"_id\":2}").await.expect("room");
        drop(input);
        let batch = batches.next().await.expect("readable").expect("a batch");
        assert_eq!(batch.events[0].json, r#"{"event_id":2}"#);
        assert!(batches.next().await.expect("readable").is_none());
    }
}
