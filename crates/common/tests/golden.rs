//! The bytes on the wire are for ever: golden files of every message and every key. They are added
//! to, never edited.

use common::keys::*;
use common::messages::*;
use common::{Message, RawFields, topics};

/// Every golden message: decoding gives a value whose encoding is the same bytes again.
macro_rules! golden_messages {
    ($($test:ident: $message:ty = $file:literal;)*) => {
        $(
            #[test]
            fn $test() {
                for (number, line) in include_str!($file).lines().enumerate() {
                    let fields = parse(line);
                    let message = <$message>::decode(fields.clone())
                        .unwrap_or_else(|error| panic!("{} line {}: {error}", $file, number + 1));
                    assert_eq!(RawFields::of(&message), fields, "{} line {}", $file, number + 1);
                    let mut reversed = fields.clone();
                    reversed.0.reverse();
                    let known = <$message>::decode(reversed).expect("order does not matter");
                    assert_eq!(sorted(RawFields::of(&known)), sorted(fields));
                }
            }
        )*
    };
}

golden_messages! {
    raw_events_keep_their_bytes: RawEvent = "golden/events.raw.jsonl";
    normalized_events_keep_their_bytes: NormalizedEvent = "golden/events.normalized.jsonl";
    rejected_events_keep_their_bytes: RejectedEvent = "golden/events.rejected.jsonl";
    merge_requests_keep_their_bytes: MergeRequest = "golden/profiles.merge_requests.jsonl";
    merged_profiles_keep_their_bytes: ProfileMerged = "golden/profiles.merged.jsonl";
    unmerged_profiles_keep_their_bytes: ProfileUnmerged = "golden/profiles.unmerged.jsonl";
    prediction_requests_keep_their_bytes: PredictionRequest = "golden/predictions.requests.jsonl";
    prediction_results_keep_their_bytes: PredictionResult = "golden/predictions.results.jsonl";
    feedback_replies_keep_their_bytes: FeedbackReply = "golden/feedback.reply.received.jsonl";
    feedback_reactions_keep_their_bytes: FeedbackReaction = "golden/feedback.reaction.received.jsonl";
    created_feedback_keeps_its_bytes: FeedbackCreated = "golden/feedback.created.jsonl";
    dead_letters_keep_their_bytes: DeadLetter = "golden/dead_letter.jsonl";
}

#[test]
fn every_topic_has_a_golden_file() {
    for topic in topics::ALL {
        let path = format!(
            "{}/tests/golden/{}.jsonl",
            env!("CARGO_MANIFEST_DIR"),
            topic.name
        );
        assert!(std::path::Path::new(&path).exists(), "{path} is missing");
    }
}

/// Every golden key: it reads as exactly one type of key, and prints as the same bytes again.
#[test]
fn keys_keep_their_bytes_and_read_back_as_one_type() {
    for line in include_str!("golden/keys.txt").lines() {
        let (name, key) = line.split_once(' ').expect("a type, a space and a key");
        let readings = read_as_every_type(key);
        assert_eq!(readings, [(name, key.to_owned())], "{key}");
    }
}

fn read_as_every_type(key: &str) -> Vec<(&'static str, String)> {
    macro_rules! readings {
        ($($kind:ident),*) => {
            [$((stringify!($kind), key.parse::<$kind>().ok().map(|key| key.to_string()))),*]
        };
    }
    let readings = readings!(
        FeedbackBatchKey,
        FeedbackBatchMetaKey,
        FeedbackBatchesIndexKey,
        FeedbackCreatedKey,
        FeedbackLetterKey,
        FeedbackUrgentKey,
        FeedbackRequestedKey,
        FeedbackFlushKey,
        FeedbackFlushStateKey,
        FeedbackFlushesKey,
        PostViewsKey,
        UserViewKey,
        PendingViewsKey,
        ViewBatchLockKey,
        EventSeenKey,
        UniqueProfilesKey,
        GroupStateKey,
        StreamSamplesKey,
        FailuresKey,
        LettersKey,
        OutboxKey,
        MergeProposedKey,
        ClaimsKey,
        MovedKey,
        MovingStreamKey,
        OutputKey
    );
    readings
        .into_iter()
        .filter_map(|(name, key)| Some((name, key?)))
        .collect()
}

fn parse(line: &str) -> RawFields {
    let pairs: Vec<(String, String)> = serde_json::from_str(line).unwrap_or_default();
    assert!(!pairs.is_empty(), "not an array of pairs: {line}");
    RawFields(
        pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    )
}

fn sorted(mut fields: RawFields) -> RawFields {
    fields.0.sort();
    fields
}
