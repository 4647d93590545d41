//! What only this store promises: its own time and its limit. The contract is in the tests of the
//! crate.

use std::sync::atomic::{AtomicI64, Ordering};

use common::messages::FeedbackKind;

use super::*;
use crate::feedback::item::{FeedbackDocument, ItemOrigin};

#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

fn item(number: u32) -> FeedbackItem {
    FeedbackItem {
        document: FeedbackDocument {
            feedback_id: number.to_string(),
            agent_id: agent(),
            kind: FeedbackKind::Reply,
            room_id: String::new(),
            message_id: String::new(),
            user_id: String::new(),
            text: None,
            rating: None,
            reaction: None,
            created_at: UnixMillis(0),
            extra: Vec::new(),
        },
        urgent: false,
        origin: ItemOrigin {
            stream: String::new(),
            id: String::new(),
            attempts: 1,
        },
    }
}

fn agent() -> AgentId {
    AgentId::new("123").expect("valid")
}

fn lease() -> FlushLease {
    FlushLease {
        token: "t".to_owned(),
        length: Duration::from_secs(1),
        items_max: 10,
    }
}

#[tokio::test]
async fn a_full_store_takes_nothing_until_something_is_finished() -> Result<(), StoreError> {
    let batches = MemoryFeedbackBatches::new(Arc::new(SetClock::default()), 3);
    batches.add(&[item(1), item(2)]).await?;
    let refused = batches.add(&[item(3), item(4)]).await;
    assert!(refused.is_err_and(|error| error.is_unavailable()));
    let waiting = batches.add(&[item(3)]).await?.waiting;
    assert_eq!(
        waiting,
        [(agent(), 3)],
        "nothing of the refused call is kept"
    );
    let taken = batches.take(&agent(), &lease()).await?.expect("a batch");
    assert!(batches.add(&[item(4)]).await.is_err(), "taken is not gone");
    assert!(batches.finish(&taken).await?);
    batches.add(&[item(4), item(5), item(6)]).await?;
    Ok(())
}

#[tokio::test]
async fn a_lease_ends_on_time_and_a_clock_that_is_set_back_makes_no_batch_older()
-> Result<(), StoreError> {
    let clock = Arc::new(SetClock::default());
    clock.0.store(10_000, Ordering::Relaxed);
    let own_clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
    let batches = MemoryFeedbackBatches::new(own_clock, 3);
    batches.add(&[item(1)]).await?;
    clock.0.store(9_000, Ordering::Relaxed);
    let old = DueWhen {
        items: 2,
        age: Duration::from_millis(1),
        urgent_age: Duration::ZERO,
    };
    assert_eq!(batches.due(&old, 10).await?, []);
    let taken = batches.take(&agent(), &lease()).await?.expect("a batch");
    assert_eq!(taken.age, Duration::ZERO);
    for (millis, is_due) in [(9_999, false), (10_000, true)] {
        clock.0.store(millis, Ordering::Relaxed);
        assert_eq!(!batches.due(&old, 10).await?.is_empty(), is_due, "{millis}");
    }
    Ok(())
}
