//! Publishes the events of many requests together: while one call is on its way to the bus, the next
//! requests gather. One request alone does not wait, and a hundred cost little more than one.

mod in_flight;

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, ClaimWindow};
use common::keys::EventSeenKey;
use common::messages::RawEvent;
use common::topics::EventsRaw;
use crash_points::{CrashPoint, reached};
use futures_util::future::join_all;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use worker::http::Problem;

use self::in_flight::InFlight;

/// Who claims an event when it is accepted.
const CLAIMANT: &str = "ingestion";
/// Requests that wait for the calls on their way; more wait at their connections.
const WAITING_MAX: usize = 1_024;
/// Bytes of requests that are not answered; what is more is turned away. Room for many a large body,
/// far from what a machine has.
const UNANSWERED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// No more requests join a call that has so many events or bytes; the last one may exceed them.
const EVENTS_PER_CALL: usize = 250;
const BYTES_PER_CALL: usize = 1024 * 1024;
/// Calls on their way at once: while the server works on one, the next is written.
const CALLS_MAX: usize = 4;
/// When a sender is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Of each event of a request, whether it is new.
type Answer = Result<Vec<bool>, Problem>;

/// A request that waits for its answer.
#[derive(Debug)]
struct Request {
    events: Vec<RawEvent>,
    answer: oneshot::Sender<Answer>,
    /// As many as its bytes; given back when the request is answered, whether or not its sender is
    /// still there.
    room: OwnedSemaphorePermit,
}

/// Where requests hand in their events. Clones hand in at the same place.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

/// Makes the calls. It must run as a task; it ends when every [`Publisher`] is gone.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    bus: Bus,
    dedup_window: Duration,
    requests: Mutex<mpsc::Receiver<Request>>,
    in_flight: InFlight,
}

/// The two ends.
pub(crate) fn group_commit(bus: Bus, dedup_window: Duration) -> (Publisher, GroupCommit) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let group_commit = GroupCommit {
        bus,
        dedup_window,
        requests: Mutex::new(receiver),
        in_flight: InFlight::default(),
    };
    let publisher = Publisher {
        requests: sender,
        room: Arc::new(Semaphore::new(UNANSWERED_BYTES_MAX)),
    };
    (publisher, group_commit)
}

impl Publisher {
    /// Claims and publishes the events of a body of so many bytes; gives for each whether it is new.
    pub(crate) async fn publish(&self, events: Vec<RawEvent>, bytes: usize) -> Answer {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let room = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&self.room).try_acquire_many_owned(bytes).ok());
        let Some(room) = room else {
            let detail = "too many requests wait for the event store; send the same request again";
            return Err(Problem::unavailable(
                "overloaded",
                detail,
                RETRY_AFTER_SECONDS,
            ));
        };
        let (answer, answered) = oneshot::channel();
        let request = Request {
            events,
            answer,
            room,
        };
        let sent = self.requests.send(request).await.is_ok();
        match answered.await {
            Ok(answer) if sent => answer,
            Ok(_) | Err(_) => {
                let detail = "this process is stopping; send the same request again";
                Err(Problem::unavailable(
                    "stopping",
                    detail,
                    RETRY_AFTER_SECONDS,
                ))
            }
        }
    }
}

impl GroupCommit {
    /// Publishes until nobody can hand in anything any more.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        join_all((0..CALLS_MAX).map(|_| self.run_one())).await;
        Ok(())
    }

    async fn run_one(&self) {
        while let Some(group) = self.gather().await {
            self.commit(group).await;
        }
    }

    /// The next request and those that wait behind it.
    async fn gather(&self) -> Option<Vec<Request>> {
        let mut requests = self.requests.lock().await;
        let first = requests.recv().await?;
        let (mut events, mut bytes) = (first.events.len(), first.room.num_permits());
        let mut group = vec![first];
        while events < EVENTS_PER_CALL
            && bytes < BYTES_PER_CALL
            && let Ok(next) = requests.try_recv()
        {
            events += next.events.len();
            bytes += next.room.num_permits();
            group.push(next);
        }
        Some(group)
    }

    async fn commit(&self, mut group: Vec<Request>) {
        let counts: Vec<usize> = group.iter().map(|request| request.events.len()).collect();
        let events = group
            .iter_mut()
            .map(|request| std::mem::take(&mut request.events));
        let mut all: Vec<RawEvent> = events.flatten().collect();
        match self.publish(&all).await {
            Ok(mut are_new) => {
                for (request, count) in group.into_iter().zip(counts) {
                    let rest = are_new.split_off(count.min(are_new.len()));
                    reply(request, Ok(std::mem::replace(&mut are_new, rest)));
                }
            }
            // The server is away: whoever waits would only wait for the same.
            Err(error) if error.is_unavailable() => {
                let problem = problem_of(&error);
                self.turn_away(&problem);
                for request in group {
                    reply(request, Err(problem.clone()));
                }
            }
            // One request may be to blame, and the others must not suffer for it.
            Err(_) => {
                for (request, count) in group.into_iter().zip(counts) {
                    let rest = all.split_off(count.min(all.len()));
                    let events = std::mem::replace(&mut all, rest);
                    let published = self.publish(&events).await;
                    reply(request, published.map_err(|error| problem_of(&error)));
                }
            }
        }
    }

    /// Answers those that wait; while another call is gathering, nobody does.
    fn turn_away(&self, problem: &Problem) {
        while let Ok(mut requests) = self.requests.try_lock()
            && let Ok(request) = requests.try_recv()
        {
            reply(request, Err(problem.clone()));
        }
    }

    async fn publish(&self, events: &[RawEvent]) -> Result<Vec<bool>, BusError> {
        let names: Vec<String> = events.iter().map(name_of).collect();
        let window = ClaimWindow {
            claimant: CLAIMANT,
            length: self.dedup_window,
        };
        reached(CrashPoint::IngestionPublishing);
        // The normaliser drops what two processes took at the same moment.
        self.in_flight.enter(&names).await;
        let published = self.bus.publish_new::<EventsRaw>(events, &names, window);
        let ids = published.await;
        self.in_flight.leave(&names);
        let ids = ids?;
        reached(CrashPoint::IngestionPublished);
        Ok(ids.iter().map(Option::is_some).collect())
    }
}

/// What is claimed when an event is accepted.
fn name_of(event: &RawEvent) -> String {
    let (brand_id, event_id) = (event.brand_id.clone(), event.event_id);
    EventSeenKey { brand_id, event_id }.to_string()
}

fn reply(to: Request, answer: Answer) {
    // The sender may have hung up; its events are as safe as anybody's.
    to.answer.send(answer).ok();
}

fn problem_of(error: &BusError) -> Problem {
    tracing::warn!(%error, "events were not accepted");
    match error {
        BusError::Unavailable(_) => {
            let detail = "the event store does not answer; send the same request again";
            Problem::unavailable("store_unavailable", detail, RETRY_AFTER_SECONDS)
        }
        BusError::GroupGone(_)
        | BusError::Refused(_)
        | BusError::Declined(_)
        | BusError::Moved(_)
        | BusError::Unsafe(_) => {
            let detail = "the event store refused the events; send the same request again later";
            Problem::unavailable("store_refused", detail, RETRY_AFTER_SECONDS)
        }
    }
}

#[cfg(test)]
mod tests {
    use common::messages::JsonText;
    use common::topics::Topic as _;
    use common::{BrandId, EventId, EventType};
    use uuid::Uuid;
    use worker::SystemClock;

    use super::*;

    fn event(number: u128) -> RawEvent {
        RawEvent {
            event_id: EventId(Uuid::from_u128(number)),
            brand_id: BrandId::new("shop").expect("a brand"),
            event_type: EventType::new("page_view").expect("a type"),
            payload: JsonText("{}".to_owned()),
            timestamp: "2026-11-20T12:00:00.000Z".to_owned(),
            identifiers: None,
            client_event_id: None,
            original_timestamp: None,
            traceparent: None,
            extra: Vec::new(),
        }
    }

    fn both_ends() -> (Bus, Publisher, GroupCommit) {
        let bus = Bus::in_memory(Arc::new(SystemClock));
        let (publisher, group_commit) = group_commit(bus.clone(), Duration::from_hours(1));
        (bus, publisher, group_commit)
    }

    #[tokio::test]
    async fn each_request_is_told_of_its_own_events() {
        let (bus, publisher, group_commit) = both_ends();
        let requests = (0..100_u128).map(|number| {
            let publisher = publisher.clone();
            // Every event is in two requests, and in one of them it comes first.
            async move {
                let events = vec![event(number), event(number + 1)];
                publisher.publish(events, 100).await.expect("published")
            }
        });
        let answers = join_all(requests);
        drop(publisher);
        let (answers, ended) = tokio::join!(answers, group_commit.run());
        ended.expect("it ends with its senders");
        assert!(answers.iter().all(|are_new| are_new.len() == 2));
        let new = answers.concat().iter().filter(|is_new| **is_new).count();
        assert_eq!(new, 101);
        let stored = bus.range(EventsRaw::INFO.name, bus::MessageId::ZERO, 1_000);
        assert_eq!(stored.await.expect("the stream").len(), 101);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_turned_away_and_room_comes_back() {
        let (_, publisher, group_commit) = both_ends();
        let large = publisher.publish(vec![event(1)], UNANSWERED_BYTES_MAX);
        let larger = publisher.publish(vec![event(2)], 1);
        let (large, larger, after) = {
            let publisher = publisher.clone();
            let ends = async {
                let (large, larger) = tokio::join!(large, larger);
                (large, larger, publisher.publish(vec![event(3)], 1).await)
            };
            tokio::select! {
                answers = ends => answers,
                _ = group_commit.run() => unreachable!("it has senders"),
            }
        };
        assert_eq!(large, Ok(vec![true]));
        assert_eq!(larger.expect_err("no room").code, "overloaded");
        assert_eq!(after, Ok(vec![true]));
    }
}
