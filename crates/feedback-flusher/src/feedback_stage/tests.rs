//! What a stage does with a batch of messages, over a memory store.

use bus::MessageId;
use common::messages::FeedbackReply;
use common::{Clock, UnixMillis};
use std::collections::BTreeSet;
use stores::MemoryFeedbackBatches;

use super::*;
use crate::testing::{StillClock, agent};

fn stage(held: Option<HeldMessages>, items_max: usize) -> FeedbackStage<FeedbackReplies> {
    let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
    let collecting = Collecting {
        batches: Arc::new(MemoryFeedbackBatches::new(clock, items_max)),
        rules: ItemRules {
            bytes_max: 1_000,
            urgent_agents: BTreeSet::new(),
        },
        open: OpenBatches::new(2),
    };
    FeedbackStage::new(collecting, held)
}

fn batch(agents: &[&str]) -> Batch<FeedbackReplies> {
    let received = |(number, agent): (u64, &&str)| {
        let id = MessageId {
            major: number,
            minor: 0,
        };
        let message = FeedbackReply {
            agent_id: (*agent).to_owned(),
            room_id: String::new(),
            message_id: format!("m{number}"),
            user_id: "ann".to_owned(),
            text: "hello".to_owned(),
            created_at: UnixMillis(0),
            feedback_id: None,
            rating: None,
            extra: Vec::new(),
        };
        Received {
            id,
            first_id: id,
            deliveries: 2,
            repeat: false,
            message,
        }
    };
    Batch {
        messages: (1..).zip(agents).map(received).collect(),
    }
}

#[tokio::test]
async fn items_wait_in_the_batch_of_their_agent_and_full_ones_are_told() {
    let stage = stage(None, 100);
    let verdicts = stage
        .process(&batch(&["7", "", "8", "7"]))
        .await
        .expect("processed");
    let mut expected = Verdicts::all_done();
    let bad = MessageId { major: 2, minor: 0 };
    expected.dead_letter(bad, "invalid_agent_id", "agentId is empty");
    assert_eq!(verdicts, expected);
    let overview = stage
        .collecting
        .batches
        .overview(10)
        .await
        .expect("batches");
    let mut sizes: Vec<_> = overview
        .batches
        .iter()
        .map(|batch| (batch.agent_id.as_str(), batch.items))
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [("7", 2), ("8", 1)]);
    assert_eq!(stage.collecting.open.full().await, [agent("7")]);
}

#[tokio::test]
async fn messages_of_a_store_that_forgets_are_held() {
    let stage = stage(Some(HeldMessages::new(10)), 100);
    let verdicts = stage.process(&batch(&["7", ""])).await.expect("processed");
    let mut expected = Verdicts::all_done();
    let id = |major| MessageId { major, minor: 0 };
    expected.dead_letter(id(2), "invalid_agent_id", "agentId is empty");
    expected.later(id(1));
    assert_eq!(verdicts, expected);
}

#[tokio::test]
async fn a_store_that_is_full_makes_the_stage_wait() {
    let stage = stage(None, 1);
    // What comes at once fits into an empty store.
    stage.process(&batch(&["7", "8"])).await.expect("added");
    let error = stage.process(&batch(&["9"])).await;
    let error = error.expect_err("it is full");
    let mut causes = error.chain();
    assert!(causes.any(<dyn std::error::Error>::is::<Unavailable>));
}
