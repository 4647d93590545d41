//! Which letters there are. Records are only ever added, so only what is new is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use rdkafka::Message as _;

use crate::error::BusError;
use crate::kafka::client::{Core, locked};
use crate::kafka::looker::{LOOKER, Span, Visit};
use crate::kafka::record::Record;

/// The key of the record that says how many letters left.
const COUNTS_KEY: &[u8] = b"millrace:counts";
/// Begins the key of a record that says that a letter was written, before the name of its claim.
const WRITTEN_PREFIX: &[u8] = b"millrace:written:";

/// The letters of each stream, as far as they were read.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Indexes(Mutex<HashMap<String, SharedIndex>>);

type SharedIndex = Arc<Mutex<Index>>;

impl Indexes {
    pub(in crate::kafka) fn of(&self, stream: &str) -> SharedIndex {
        let mut all = locked(&self.0);
        Arc::clone(all.entry(stream.to_owned()).or_default())
    }
}

/// The letters of a stream by their offsets.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Index {
    pub(super) live: BTreeMap<i64, Letter>,
    by_key: HashMap<Vec<u8>, i64>,
    /// The keys of records that say that a letter was written, and since when.
    written: HashMap<Vec<u8>, i64>,
    pub(super) counts: LetterCounts,
    /// All before this offset was read.
    position: i64,
}

#[derive(Debug)]
pub(super) struct Letter {
    pub(super) key: Vec<u8>,
    pub(super) at_ms: i64,
}

/// How many letters left, ever, and how; and how many came of messages that were settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LetterCounts {
    pub(super) redriven: u64,
    pub(super) discarded: u64,
    pub(super) expired: u64,
    pub(super) late: u64,
}

impl LetterCounts {
    /// Its record: key and value.
    pub(super) fn record(self) -> (Vec<u8>, Vec<u8>) {
        let Self {
            redriven,
            discarded,
            expired,
            late,
        } = self;
        let value = serde_json::json!({
            "redriven": redriven,
            "discarded": discarded,
            "expired": expired,
            "late": late,
        });
        (COUNTS_KEY.to_vec(), value.to_string().into_bytes())
    }

    fn of(value: &[u8]) -> Self {
        let value: serde_json::Value = serde_json::from_slice(value).unwrap_or_default();
        let number = |name| value.get(name).and_then(serde_json::Value::as_u64);
        Self {
            redriven: number("redriven").unwrap_or(0),
            discarded: number("discarded").unwrap_or(0),
            expired: number("expired").unwrap_or(0),
            late: number("late").unwrap_or(0),
        }
    }
}

impl Index {
    /// Reads what has come since. Blocks.
    pub(in crate::kafka) fn refresh(&mut self, core: &Core, stream: &str) -> Result<(), BusError> {
        let Some(_) = core.partitions(stream)? else {
            *self = Self::default();
            return Ok(());
        };
        let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(stream));
        for span in looker.spans(&name, 1)? {
            if span.to < self.position {
                // Somebody deleted the topic, and it was created again.
                *self = Self::default();
            }
            let new = Span {
                from: span.from.max(self.position),
                ..span
            };
            looker.scan(&name, &[new], |record| {
                let at_ms = record.timestamp().to_millis().unwrap_or_default();
                let key = record.key().unwrap_or_default();
                self.note((record.offset(), at_ms), key, record.payload());
                Visit::On
            })?;
            self.position = new.to;
        }
        Ok(())
    }

    /// The record that says that a letter was written under a claim.
    pub(super) fn written(claim: &str) -> Record {
        Record {
            key: Some(written_key(claim)),
            value: Some(b"{}".to_vec()),
            headers: Vec::new(),
        }
    }

    /// Whether a letter was written under a claim, be it there or gone.
    pub(super) fn is_written(&self, claim: &str) -> bool {
        self.written.contains_key(&written_key(claim))
    }

    /// The keys of the records that say so and are older.
    pub(super) fn written_before(&self, ms: i64) -> Vec<Vec<u8>> {
        let old = self.written.iter().filter(|(_, at_ms)| **at_ms < ms);
        old.map(|(key, _)| key.clone()).collect()
    }

    fn note(&mut self, (offset, at_ms): (i64, i64), key: &[u8], value: Option<&[u8]>) {
        if key == COUNTS_KEY {
            self.counts = LetterCounts::of(value.unwrap_or_default());
            return;
        }
        if key.starts_with(WRITTEN_PREFIX) {
            match value {
                Some(_) => self.written.insert(key.to_vec(), at_ms),
                None => self.written.remove(key),
            };
            return;
        }
        if let Some(before) = self.by_key.remove(key) {
            self.live.remove(&before);
        }
        if value.is_some() {
            let key = key.to_vec();
            self.by_key.insert(key.clone(), offset);
            self.live.insert(offset, Letter { key, at_ms });
        }
    }
}

fn written_key(claim: &str) -> Vec<u8> {
    [WRITTEN_PREFIX, claim.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_there_until_its_key_comes_without_a_value() {
        let mut index = Index::default();
        index.note((1, 10), b"a", Some(b"{}"));
        index.note((2, 11), b"b", Some(b"{}"));
        index.note((3, 12), b"a", None);
        index.note((5, 12), b"unknown", None);
        let counts = LetterCounts {
            redriven: 1,
            discarded: 2,
            expired: 3,
            late: 4,
        };
        let (key, value) = counts.record();
        index.note((6, 13), &key, Some(&value));
        let live: Vec<i64> = index.live.keys().copied().collect();
        assert_eq!((live, index.counts), (vec![2], counts));
        index.note((7, 14), b"a", Some(b"{}"));
        assert_eq!(index.live.len(), 2);
        let written = Index::written("x");
        let key = written.key.unwrap_or_default();
        index.note((8, 15), &key, written.value.as_deref());
        assert!(index.is_written("x") && !index.is_written("y"));
        assert_eq!(index.live.len(), 2, "it is no letter");
        assert_eq!(index.written_before(16), std::slice::from_ref(&key));
        assert!(index.written_before(15).is_empty());
        index.note((9, 16), &key, None);
        assert!(!index.is_written("x"));
    }
}
