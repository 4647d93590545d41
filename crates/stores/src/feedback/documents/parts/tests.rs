use std::sync::Mutex;

use common::messages::FeedbackKind;
use common::{AgentId, Unavailable, UnixMillis};

use super::*;

/// Refuses a part with an id that begins with `bad`, and notes the ids of every part.
#[derive(Default)]
struct Writer {
    parts: Mutex<Vec<Vec<String>>>,
    down_after: Option<usize>,
}

impl PartWriter for Writer {
    type Encoded = ();

    fn encode(&self, document: &FeedbackDocument) -> Result<((), usize), String> {
        if document.feedback_id.starts_with("huge") {
            return Err("too large".to_owned());
        }
        Ok(((), document.feedback_id.len()))
    }

    async fn write(&self, part: &[Pending<'_, ()>]) -> Result<Vec<Upserted>, StoreError> {
        let ids: Vec<String> = part
            .iter()
            .map(|pending| pending.document.feedback_id.clone())
            .collect();
        let bad = ids.iter().any(|id| id.starts_with("bad"));
        let mut parts = self.parts.lock().expect("a lock");
        parts.push(ids);
        if self.down_after.is_some_and(|count| parts.len() > count) {
            return Err(StoreError::Unavailable(Unavailable::new("sql", "down")));
        }
        if bad {
            return Err(StoreError::MongoRefused {
                doing: "writing",
                detail: "bad".to_owned(),
            });
        }
        Ok(vec![Upserted::Written; part.len()])
    }
}

const LIMITS: PartLimits = PartLimits {
    documents_max: 4,
    bytes_max: 100,
};

fn document(id: &str, created_at: i64) -> FeedbackDocument {
    FeedbackDocument {
        feedback_id: id.to_owned(),
        agent_id: AgentId::new("7").expect("valid"),
        kind: FeedbackKind::Reply,
        room_id: String::new(),
        message_id: String::new(),
        user_id: String::new(),
        text: None,
        rating: None,
        reaction: None,
        created_at: UnixMillis(created_at),
        extra: Vec::new(),
    }
}

fn of_ids(ids: &[&str]) -> Vec<FeedbackDocument> {
    ids.iter().map(|id| document(id, 0)).collect()
}

async fn parts_of(ids: &[&str], limits: PartLimits) -> Vec<Vec<String>> {
    let writer = Writer::default();
    let outcomes = upsert(&writer, &of_ids(ids), limits).await;
    assert_eq!(
        outcomes.expect("written"),
        vec![Upserted::Written; ids.len()]
    );
    writer.parts.into_inner().expect("a lock")
}

#[tokio::test]
async fn a_part_has_at_most_so_many_documents_and_bytes() {
    let parts = parts_of(&["a", "b", "c", "d", "e"], LIMITS).await;
    assert_eq!(parts, [vec!["a", "b", "c", "d"], vec!["e"]]);
    let limits = PartLimits {
        bytes_max: 4,
        ..LIMITS
    };
    let parts = parts_of(&["aa", "bb", "c", "dddddddd", "e", "fff", "g"], limits).await;
    let expected = [
        vec!["aa", "bb"],
        vec!["c"],
        vec!["dddddddd"],
        vec!["e", "fff"],
        vec!["g"],
    ];
    assert_eq!(parts, expected);
}

#[tokio::test]
async fn nothing_is_sent_for_nothing() {
    assert!(parts_of(&[], LIMITS).await.is_empty());
}

#[tokio::test]
async fn a_part_that_is_refused_is_taken_apart_until_the_culprits_are_alone() {
    let writer = Writer::default();
    let ids = ["a", "bad 1", "b", "c", "d", "huge", "bad 2", "e"];
    let outcomes = upsert(&writer, &of_ids(&ids), LIMITS)
        .await
        .expect("written");
    for (id, outcome) in ids.iter().zip(&outcomes) {
        let expected = match *id {
            "huge" => Upserted::Refused("too large".to_owned()),
            "bad 1" | "bad 2" => Upserted::Refused("writing: bad".to_owned()),
            _ => Upserted::Written,
        };
        assert_eq!(*outcome, expected, "{id}");
    }
}

#[tokio::test]
async fn a_server_that_goes_down_in_the_middle_ends_the_call_without_blame() {
    let writer = Writer {
        down_after: Some(1),
        ..Writer::default()
    };
    let documents = of_ids(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let failure = upsert(&writer, &documents, LIMITS).await.expect_err("down");
    assert!(failure.is_unavailable(), "{failure:?}");
    assert_eq!(writer.parts.into_inner().expect("a lock").len(), 2);
}

#[tokio::test]
async fn only_the_newest_version_of_an_id_is_sent() {
    let writer = Writer::default();
    let documents = [
        document("a", 5),
        document("b", 1),
        document("a", 7),
        document("a", 7),
        document("a", 6),
    ];
    let outcomes = upsert(&writer, &documents, LIMITS).await.expect("written");
    let unchanged = Upserted::Unchanged;
    let written = Upserted::Written;
    assert_eq!(
        outcomes,
        [
            unchanged.clone(),
            written.clone(),
            unchanged.clone(),
            written,
            unchanged
        ]
    );
    assert_eq!(*writer.parts.lock().expect("a lock"), [vec!["b", "a"]]);
}
