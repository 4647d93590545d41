//! Publishes the events of many requests together: while one call is on its way to the bus, the next
//! requests gather. One request alone does not wait, and a hundred cost little more than one.

use std::time::Duration;

use bus::{Bus, BusError, ClaimWindow};
use common::keys::EventSeenKey;
use common::messages::RawEvent;
use common::topics::EventsRaw;
use crash_points::{CrashPoint, reached};
use futures_util::future::join_all;
use tokio::sync::{Mutex, mpsc, oneshot};
use worker::http::Problem;

/// Who claims an event when it is accepted.
const CLAIMANT: &str = "ingestion";
/// Requests that wait for the call on its way; more wait at their connections.
const WAITING_MAX: usize = 1_024;
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
}

/// Where requests hand in their events. Clones hand in at the same place.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    requests: mpsc::Sender<Request>,
}

/// Makes the calls. It must run as a task; it ends when every [`Publisher`] is gone.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    bus: Bus,
    dedup_window: Duration,
    requests: Mutex<mpsc::Receiver<Request>>,
}

/// The two ends.
pub(crate) fn group_commit(bus: Bus, dedup_window: Duration) -> (Publisher, GroupCommit) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let group_commit = GroupCommit {
        bus,
        dedup_window,
        requests: Mutex::new(receiver),
    };
    (Publisher { requests: sender }, group_commit)
}

impl Publisher {
    /// Claims and publishes each event in one atomic step; gives for each whether it is new.
    pub(crate) async fn publish(&self, events: Vec<RawEvent>) -> Answer {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { events, answer };
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
        let size = |request: &Request| {
            let bytes: usize = request
                .events
                .iter()
                .map(|event| event.payload.0.len())
                .sum();
            (request.events.len(), bytes)
        };
        let (mut events, mut bytes) = size(&first);
        let mut group = vec![first];
        while events < EVENTS_PER_CALL
            && bytes < BYTES_PER_CALL
            && let Ok(next) = requests.try_recv()
        {
            let (more_events, more_bytes) = size(&next);
            events += more_events;
            bytes += more_bytes;
            group.push(next);
        }
        Some(group)
    }

    async fn commit(&self, group: Vec<Request>) {
        let counts: Vec<usize> = group.iter().map(|request| request.events.len()).collect();
        let (answers, events): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|request| (request.answer, request.events))
            .unzip();
        let mut all: Vec<RawEvent> = events.into_iter().flatten().collect();
        match self.publish(&all).await {
            Ok(mut are_new) => {
                for (answer, count) in answers.into_iter().zip(counts) {
                    let rest = are_new.split_off(count.min(are_new.len()));
                    reply(answer, Ok(std::mem::replace(&mut are_new, rest)));
                }
            }
            // The server is away: whoever waits would only wait for the same.
            Err(error) if error.is_unavailable() => {
                let problem = problem_of(&error);
                self.turn_away(&problem);
                for answer in answers {
                    reply(answer, Err(problem.clone()));
                }
            }
            // One request may be to blame, and the others must not suffer for it.
            Err(_) => {
                for (answer, count) in answers.into_iter().zip(counts) {
                    let rest = all.split_off(count.min(all.len()));
                    let events = std::mem::replace(&mut all, rest);
                    let published = self.publish(&events).await;
                    reply(answer, published.map_err(|error| problem_of(&error)));
                }
            }
        }
    }

    /// Answers those that wait; if the other call is gathering, nobody does.
    fn turn_away(&self, problem: &Problem) {
        while let Ok(mut requests) = self.requests.try_lock()
            && let Ok(request) = requests.try_recv()
        {
            reply(request.answer, Err(problem.clone()));
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
        let published = self.bus.publish_new::<EventsRaw>(events, &names, window);
        let ids = published.await?;
        reached(CrashPoint::IngestionPublished);
        Ok(ids.iter().map(Option::is_some).collect())
    }
}

/// What is claimed when an event is accepted.
fn name_of(event: &RawEvent) -> String {
    let (brand_id, event_id) = (event.brand_id.clone(), event.event_id);
    EventSeenKey { brand_id, event_id }.to_string()
}

fn reply(to: oneshot::Sender<Answer>, answer: Answer) {
    // The sender may have hung up; its events are as safe as anybody's.
    to.send(answer).ok();
}

fn problem_of(error: &BusError) -> Problem {
    tracing::warn!(%error, "events were not accepted");
    match error {
        BusError::Unavailable(_) => {
            let detail = "the event store does not answer; send the same request again";
            Problem::unavailable("store_unavailable", detail, RETRY_AFTER_SECONDS)
        }
        BusError::GroupGone(_) | BusError::Refused(_) | BusError::Unsafe(_) => {
            let detail = "the event store refused the events; send the same request again later";
            Problem::unavailable("store_refused", detail, RETRY_AFTER_SECONDS)
        }
    }
}
