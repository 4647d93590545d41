//! Deciding on letters: in one transaction, of which there is one at a time for a topic. Whoever
//! begins one fences the one before, so a letter is redriven once, however many try.

use common::topics::TopicInfo;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer as _};

use super::Index;
use crate::dead_letter::{DeadLetter, RETENTION, Redriven};
use crate::error::BusError;
use crate::first_id;
use crate::kafka::client::{Core, Telling, down, failed, locked, now_ms};
use crate::kafka::place::Place;
use crate::kafka::publish::{id_of, send};
use crate::kafka::record::Record;
use crate::message_id::MessageId;

/// How often a transaction is begun that others fenced.
pub(super) const ATTEMPTS_MAX: u32 = 10;

/// What is to become of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Decision {
    Redrive,
    Discard,
    Expire,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) enum Verdict {
    Redriven(Redriven),
    Removed,
    Unknown,
}

/// Decides on letters by their ids; gives what became of each, in order. Blocks.
pub(in crate::kafka) fn decide(
    core: &Core,
    topic: &TopicInfo,
    ids: &[MessageId],
    decision: Decision,
) -> Result<Vec<Verdict>, BusError> {
    let stream = topic.dead_letters();
    let index = core.letters.of(&stream);
    let mut index = locked(&index);
    index.refresh(core, &stream)?;
    if !ids.iter().any(|id| offset_of(&index, *id).is_some()) {
        return Ok(vec![Verdict::Unknown; ids.len()]);
    }
    let what = "deciding on dead letters";
    let mut attempt = 0;
    loop {
        attempt += 1;
        let producer = begin(core, topic).map_err(|error| failed(what, &error))?;
        index.refresh(core, &stream)?;
        let mut deciding = Deciding {
            core,
            topic,
            producer: &producer,
            sent: Vec::new(),
            oldest_ms: oldest_ms(),
        };
        match deciding.run(&mut index, ids, decision) {
            Ok(verdicts) => return Ok(verdicts),
            Err(Failure::Kafka(error)) if is_fenced(&error) && attempt < ATTEMPTS_MAX => {}
            Err(Failure::Kafka(error)) => return Err(failed(what, &error)),
            Err(Failure::Bus(error)) => {
                // Without an answer the transaction ends by itself, after its time.
                producer.abort_transaction(core.settings.timeout()).ok();
                return Err(error);
            }
        }
    }
}

/// Removes letters that were kept long enough. Blocks.
pub(in crate::kafka) fn expire(core: &Core, topic: &TopicInfo) -> Result<(), BusError> {
    let stream = topic.dead_letters();
    let oldest_ms = oldest_ms();
    let ids: Vec<MessageId> = {
        let index = core.letters.of(&stream);
        let mut index = locked(&index);
        index.refresh(core, &stream)?;
        let old = index
            .live
            .iter()
            .filter(|(_, letter)| letter.at_ms < oldest_ms);
        old.map(|(offset, letter)| super::id(*offset, letter.at_ms))
            .take(super::SCANNED)
            .collect()
    };
    if ids.is_empty() {
        return Ok(());
    }
    decide(core, topic, &ids, Decision::Expire).map(drop)
}

fn oldest_ms() -> i64 {
    now_ms().saturating_sub(i64::try_from(RETENTION.as_millis()).unwrap_or(0))
}

enum Failure {
    Kafka(KafkaError),
    Bus(BusError),
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

struct Deciding<'a> {
    core: &'a Core,
    topic: &'a TopicInfo,
    producer: &'a FutureProducer<Telling>,
    /// What was published again: the place of its verdict, and its report.
    sent: Vec<(usize, rdkafka::producer::DeliveryFuture)>,
    /// What is older has been kept long enough.
    oldest_ms: i64,
}

impl Deciding<'_> {
    fn run(
        &mut self,
        index: &mut Index,
        ids: &[MessageId],
        decision: Decision,
    ) -> Result<Vec<Verdict>, Failure> {
        let stream = self.topic.dead_letters();
        let mut offsets: Vec<i64> = ids.iter().filter_map(|id| offset_of(index, *id)).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let letters = match decision {
            Decision::Redrive => super::read(self.core, &stream, &offsets)?,
            Decision::Discard | Decision::Expire => Vec::new(),
        };
        let mut verdicts = Vec::with_capacity(ids.len());
        let (mut left, mut counts) = (offsets, index.counts);
        self.producer.begin_transaction()?;
        for id in ids {
            let known = offset_of(index, *id).and_then(|at| left.binary_search(&at).ok());
            let Some(known) = known else {
                verdicts.push(Verdict::Unknown);
                continue;
            };
            let offset = left.remove(known);
            let verdict = if decision == Decision::Redrive {
                let letter = letters.iter().find(|letter| letter.id == *id).cloned();
                self.redrive(letter.map(DeadLetter::from), verdicts.len())?
            } else {
                Verdict::Removed
            };
            let removed = match (&verdict, decision) {
                (Verdict::Redriven(Redriven::As(_)), _) => &mut counts.redriven,
                (Verdict::Removed, Decision::Expire) => &mut counts.expired,
                (Verdict::Removed, _) => &mut counts.discarded,
                (Verdict::Redriven(_) | Verdict::Unknown, _) => {
                    verdicts.push(verdict);
                    continue;
                }
            };
            *removed += 1;
            verdicts.push(verdict);
            if let Some(letter) = index.live.get(&offset) {
                self.append(&stream, Some(letter.key.clone()), None)?;
            }
        }
        if decision == Decision::Expire {
            // The claims of letters are kept as long as letters are.
            for key in index.written_before(self.oldest_ms) {
                self.append(&stream, Some(key), None)?;
            }
        }
        let (key, value) = counts.record();
        self.append(&stream, Some(key), Some(value))?;
        self.producer
            .commit_transaction(self.core.settings.timeout())?;
        self.name(&mut verdicts)?;
        Ok(verdicts)
    }

    /// Publishes a letter's message again; its id is known after the commit.
    fn redrive(&mut self, letter: Option<DeadLetter>, number: usize) -> Result<Verdict, Failure> {
        let refused = match letter {
            None => Redriven::Unknown,
            Some(letter) if letter.part.is_some() => Redriven::part(),
            Some(letter) if letter.fields.0.is_empty() => Redriven::empty(),
            Some(mut letter) => {
                if let Some(first) = letter.first_id {
                    first_id::put(&mut letter.fields, first);
                }
                let record = Record::of(self.topic.name, &letter.fields);
                let name = self.core.settings.topic_name(self.topic.name);
                let report = send(self.producer, &name, None, &record)?;
                self.sent.push((number, report));
                Redriven::As(MessageId::ZERO)
            }
        };
        Ok(Verdict::Redriven(refused))
    }

    fn append(
        &self,
        stream: &str,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let record = Record {
            key,
            value,
            headers: Vec::new(),
        };
        let name = self.core.settings.topic_name(stream);
        send(self.producer, &name, Some(0), &record)?;
        Ok(())
    }

    /// Puts the ids of what was published again into the verdicts.
    fn name(&mut self, verdicts: &mut [Verdict]) -> Result<(), Failure> {
        for (number, report) in self.sent.drain(..) {
            let report = futures_util::FutureExt::now_or_never(report);
            let report = report.and_then(Result::ok);
            let id = id_of(report.ok_or_else(|| down(&"a message has no report"))?)?;
            if let Some(verdict) = verdicts.get_mut(number) {
                *verdict = Verdict::Redriven(Redriven::As(id));
            }
        }
        Ok(())
    }
}

/// The offset of a letter that is there.
fn offset_of(index: &Index, id: MessageId) -> Option<i64> {
    let place = Place::of(id).filter(|place| place.partition == 0)?;
    let letter = index.live.get(&place.offset)?;
    (place.id(letter.at_ms) == id).then_some(place.offset)
}

/// Fences whoever decides on letters of the same topic, or writes some.
pub(super) fn begin(core: &Core, topic: &TopicInfo) -> Result<FutureProducer<Telling>, KafkaError> {
    let name = format!("millrace-letters-{}", topic.name);
    let producer = core.transactional(&core.settings.group_name(&name))?;
    producer.init_transactions(core.settings.timeout())?;
    Ok(producer)
}

pub(super) fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::Fatal
        )
    )
}
