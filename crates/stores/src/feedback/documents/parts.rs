//! How documents are written by any store: versions of one id are settled first, what is left goes in
//! parts of a limited size, and a part that is refused is taken apart until the culprit is alone.

use std::collections::{HashMap, HashSet, VecDeque};

use crash_points::{CrashPoint, reached};

use super::{FeedbackDocument, Upserted};
use crate::error::StoreError;

/// How much is written by one command or statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartLimits {
    /// Documents.
    pub(crate) documents_max: usize,
    /// The sum of their sizes, as the store counts them. One document may be larger.
    pub(crate) bytes_max: usize,
}

/// A store that can write one part.
pub(crate) trait PartWriter: Sync {
    /// A document as this store writes it.
    type Encoded: Send + Sync;

    /// The document and its size, or why it can never be kept.
    fn encode(&self, document: &FeedbackDocument) -> Result<(Self::Encoded, usize), String>;

    /// Writes documents of different ids by one command, and says of each what became of it. An error
    /// that blames values means that something in it can never be written.
    fn write(
        &self,
        part: &[Pending<'_, Self::Encoded>],
    ) -> impl Future<Output = Result<Vec<Upserted>, StoreError>> + Send;
}

/// A document that is to be written.
#[derive(Debug)]
pub(crate) struct Pending<'a, E> {
    /// Its place in the call.
    at: usize,
    size: usize,
    /// The document.
    pub(crate) document: &'a FeedbackDocument,
    /// As the store writes it.
    pub(crate) encoded: E,
}

#[cfg(test)]
impl<'a, E> Pending<'a, E> {
    /// The only one of a call.
    pub(crate) fn alone(document: &'a FeedbackDocument, encoded: E) -> Self {
        Self {
            at: 0,
            size: 0,
            document,
            encoded,
        }
    }
}

type Outcomes = Vec<(usize, Upserted)>;
type Part<'a, E> = Vec<Pending<'a, E>>;

/// Writes documents; see [`super::FeedbackDocuments::upsert`].
pub(crate) async fn upsert<W: PartWriter>(
    writer: &W,
    documents: &[FeedbackDocument],
    limits: PartLimits,
) -> Result<Vec<Upserted>, StoreError> {
    let mut outcomes = Outcomes::with_capacity(documents.len());
    let mut open = Vec::with_capacity(documents.len());
    for (at, document) in documents.iter().enumerate() {
        match writer.encode(document) {
            Ok((encoded, size)) => open.push(Pending {
                at,
                size,
                document,
                encoded,
            }),
            Err(why) => outcomes.push((at, Upserted::Refused(why))),
        }
    }
    while !open.is_empty() {
        let (newest, older) = newest_of_each_id(open);
        let ids: HashMap<usize, &str> = newest
            .iter()
            .map(|pending| (pending.at, pending.document.feedback_id.as_str()))
            .collect();
        let written = write_all(writer, newest, limits).await?;
        let kept: HashSet<&str> = written
            .iter()
            .filter(|(_, outcome)| !matches!(outcome, Upserted::Refused(_)))
            .filter_map(|(at, _)| ids.get(at).copied())
            .collect();
        outcomes.extend(written);
        // A version whose newer one was refused has its turn.
        let (settled, next): (Vec<_>, Vec<_>) = older
            .into_iter()
            .partition(|pending| kept.contains(pending.document.feedback_id.as_str()));
        outcomes.extend(settled.iter().map(|old| (old.at, Upserted::Unchanged)));
        open = next;
    }
    outcomes.sort_unstable_by_key(|(at, _)| *at);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The version of each id that stays, and the others; both in the order of the call.
fn newest_of_each_id<E>(open: Part<'_, E>) -> (Part<'_, E>, Part<'_, E>) {
    let mut newest: HashMap<&str, (common::UnixMillis, usize)> = HashMap::new();
    for pending in &open {
        let version = (pending.document.created_at, pending.at);
        let stays = newest
            .entry(pending.document.feedback_id.as_str())
            .or_insert(version);
        *stays = version.max(*stays);
    }
    let stays: HashSet<usize> = newest.into_values().map(|(_, at)| at).collect();
    open.into_iter()
        .partition(|pending| stays.contains(&pending.at))
}

async fn write_all<W: PartWriter>(
    writer: &W,
    pending: Part<'_, W::Encoded>,
    limits: PartLimits,
) -> Result<Outcomes, StoreError> {
    let mut outcomes = Outcomes::with_capacity(pending.len());
    let mut parts = parts(pending, limits);
    while let Some(mut part) = parts.pop_front() {
        match writer.write(&part).await {
            Ok(written) => outcomes.extend(part.iter().map(|pending| pending.at).zip(written)),
            Err(error) if !error.blames_values() => return Err(error),
            Err(error) if part.len() == 1 => {
                let why = Upserted::Refused(error.to_string());
                outcomes.extend(part.iter().map(|pending| (pending.at, why.clone())));
            }
            Err(_) => {
                let second_half = part.split_off(part.len() / 2);
                parts.push_front(second_half);
                parts.push_front(part);
            }
        }
        if !parts.is_empty() {
            reached(CrashPoint::StoresFeedbackBetweenWrites);
        }
    }
    reached(CrashPoint::StoresFeedbackWritten);
    Ok(outcomes)
}

fn parts<E>(pending: Part<'_, E>, limits: PartLimits) -> VecDeque<Part<'_, E>> {
    let mut parts = VecDeque::new();
    let (mut part, mut bytes) = (Vec::new(), 0_usize);
    for next in pending {
        let full = part.len() >= limits.documents_max
            || bytes.saturating_add(next.size) > limits.bytes_max;
        if full && !part.is_empty() {
            parts.push_back(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes = bytes.saturating_add(next.size);
        part.push(next);
    }
    if !part.is_empty() {
        parts.push_back(part);
    }
    parts
}

#[cfg(test)]
mod tests;
