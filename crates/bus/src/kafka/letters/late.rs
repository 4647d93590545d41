//! Letters of messages that were settled before they failed. That one was written is a record of its
//! own among the letters, in the transaction that writes it: so repeats write nothing, also when the
//! letter is gone.

use std::collections::HashSet;

use common::topics::TopicInfo;
use common::{Message as _, UnixMillis};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer as _};

use super::Index;
use super::deciding::{ATTEMPTS_MAX, begin, is_fenced};
use crate::error::BusError;
use crate::kafka::client::{Core, Telling, down, failed, locked, now_ms};
use crate::kafka::publish::send;
use crate::kafka::record::Record;
use crate::late_letter::LateLetter;

/// Writes the letters of which none was written under the same claim; gives how many. Blocks.
pub(in crate::kafka) fn give_up(
    core: &Core,
    topic: &TopicInfo,
    letters: &[LateLetter],
) -> Result<u64, BusError> {
    let stream = topic.dead_letters();
    let index = core.letters.of(&stream);
    let mut index = locked(&index);
    let what = "writing dead letters";
    for _ in 0..ATTEMPTS_MAX {
        index.refresh(core, &stream)?;
        if unwritten(&index, letters).is_empty() {
            return Ok(0);
        }
        // Whoever was writing is fenced: what it has not committed by now it never will.
        let producer = begin(core, topic).map_err(|error| failed(what, &error))?;
        index.refresh(core, &stream)?;
        let new = unwritten(&index, letters);
        match write(core, topic, (&producer, &index), &new) {
            Ok(()) => return Ok(u64::try_from(new.len()).unwrap_or(u64::MAX)),
            Err(error) if is_fenced(&error) => {}
            Err(error) => {
                // Without an answer the transaction ends by itself, after its time.
                producer.abort_transaction(core.settings.timeout()).ok();
                return Err(failed(what, &error));
            }
        }
    }
    Err(down(&"others write dead letters all the time"))
}

/// The first letter of each claim that is not there.
fn unwritten<'a>(index: &Index, letters: &'a [LateLetter]) -> Vec<&'a LateLetter> {
    let mut seen = HashSet::new();
    let new = letters.iter();
    new.filter(|letter| !index.is_written(&letter.once) && seen.insert(&letter.once))
        .collect()
}

fn write(
    core: &Core,
    topic: &TopicInfo,
    (producer, index): (&FutureProducer<Telling>, &Index),
    letters: &[&LateLetter],
) -> Result<(), KafkaError> {
    let stream = topic.dead_letters();
    let name = core.settings.topic_name(&stream);
    let now = UnixMillis(now_ms());
    producer.begin_transaction()?;
    let append = |record: &Record| send(producer, &name, Some(0), record).map(drop);
    for letter in letters {
        let mut fields = letter.fields.clone();
        letter.provenance(topic.name, now).encode(&mut fields);
        let mut record = Record::of(&stream, &fields);
        record.key = Some(format!("late:{}", letter.once).into_bytes());
        append(&record)?;
        append(&Index::written(&letter.once))?;
    }
    let mut counts = index.counts;
    counts.late += u64::try_from(letters.len()).unwrap_or(u64::MAX);
    let (key, value) = counts.record();
    append(&Record {
        key: Some(key),
        value: Some(value),
        headers: Vec::new(),
    })?;
    producer.commit_transaction(core.settings.timeout())
}
