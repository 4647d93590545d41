//! The connections: each takes the next request of the schedule, waits until it is due, and sends it
//! until it is answered.

use std::cell::{Ref, RefCell};
use std::time::{Duration, Instant};

use common::{Clock as _, UnixMillis};
use futures_util::future::try_join_all;
use worker::{CancellationToken, SystemClock};

use super::due_times::DueTimes;
use super::schedule::{Schedule, Slot};
use super::tally::{Request, Tally};
use super::traffic::{AGAIN, Traffic};
use crate::send::batches::Batch;
use crate::send::event::Event;
use crate::send::poster::Poster;

/// The timer is no more exact than this: who wakes so much later was not held up by the service.
const TIMER_STEP: Duration = Duration::from_millis(2);

/// What the connections share. They run on one thread.
#[derive(Debug)]
pub(super) struct Sending {
    poster: Poster,
    state: RefCell<State>,
    stop: CancellationToken,
}

/// A request with its events, which is sent when its time comes.
struct Due {
    slot: Slot,
    request: Request,
    events: Vec<Event>,
}

/// How far the run is.
#[derive(Debug)]
pub(super) struct State {
    pub(super) schedule: Schedule,
    traffic: Traffic,
    pub(super) tally: Tally,
    pub(super) due_times: DueTimes,
    /// When everything was answered.
    pub(super) over: Option<Instant>,
    /// Events of which the end was seen.
    pub(super) ended: u64,
}

impl Sending {
    pub(super) fn new(poster: Poster, schedule: Schedule, traffic: Traffic) -> Self {
        let state = State {
            schedule,
            traffic,
            tally: Tally::new(),
            due_times: DueTimes::default(),
            over: None,
            ended: 0,
        };
        Self {
            poster,
            state: RefCell::new(state),
            stop: CancellationToken::new(),
        }
    }

    /// Sends all over so many connections.
    pub(super) async fn run(&self, connections: u16) -> anyhow::Result<()> {
        let all = (0..connections).map(|_| self.send_requests());
        let sent = try_join_all(all).await;
        self.end();
        sent.map(drop)
    }

    /// No more answers are waited for.
    pub(super) fn end(&self) {
        self.state
            .borrow_mut()
            .over
            .get_or_insert_with(Instant::now);
    }

    /// Whoever watches has seen the end of so many events.
    pub(super) fn seen(&self, ended: u64) {
        self.state.borrow_mut().ended = ended;
    }

    /// Waits until somebody stops it.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Begins no more requests.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Events that the plan asked for and that found no time; none when somebody stopped it.
    pub(super) fn not_sent_in_time(&self) -> u64 {
        let state = self.state();
        let planned = state.schedule.planned().unwrap_or_default();
        if self.stop.is_cancelled() {
            return 0;
        }
        planned.saturating_sub(state.tally.sent)
    }

    /// How far it is.
    pub(super) fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    /// Requests that were sent again, and why nothing moves, if nothing moves.
    pub(super) fn trouble(&self) -> (u64, Option<String>) {
        (self.poster.repeats(), self.poster.trouble())
    }

    async fn send_requests(&self) -> anyhow::Result<()> {
        while let Some(Due {
            slot,
            request,
            events,
        }) = self.next()
        {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(slot.due.into()) => {}
            }
            let now = Instant::now();
            let since = counted_from(slot.due, now);
            {
                let mut state = self.state.borrow_mut();
                state.tally.begin(&request, now);
                state.due_times.change(request.numbers.start, since);
            }
            let answered = self.poster.post(Batch::of(events)).await?;
            let mut state = self.state.borrow_mut();
            state.tally.answered(&request, &answered, since);
        }
        Ok(())
    }

    /// The next request, with its events made before they are due.
    fn next(&self) -> Option<Due> {
        if self.stop.is_cancelled() {
            return None;
        }
        let mut state = self.state.borrow_mut();
        let now = Instant::now();
        let slot = state.schedule.next(now)?;
        let ahead = slot.due.saturating_duration_since(now);
        let at = wall_time(ahead);
        let events: Vec<Event> = (0..slot.events).map(|_| state.traffic.next(at)).collect();
        let request = request_of(&events);
        state.due_times.add(request.numbers.clone(), slot.due);
        Some(Due {
            slot,
            request,
            events,
        })
    }
}

/// Latency counts from when the request was due. Only what the timer itself adds is left out.
fn counted_from(due: Instant, now: Instant) -> Instant {
    if now.saturating_duration_since(due) <= TIMER_STEP {
        now
    } else {
        due
    }
}

fn wall_time(ahead: Duration) -> UnixMillis {
    let ahead = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(SystemClock.now().0.saturating_add(ahead))
}

fn request_of(events: &[Event]) -> Request {
    let mut numbers = events
        .iter()
        .map(|event| event.line)
        .filter(|line| *line != AGAIN);
    let first = numbers.next();
    let last = numbers.next_back().or(first);
    let numbers = match (first, last) {
        (Some(first), Some(last)) => first..last + 1,
        (None, _) | (_, None) => 0..0,
    };
    let new = numbers.end - numbers.start;
    Request {
        again: crate::bounded_lines::count(events.len()).saturating_sub(new),
        numbers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_for_the_service_counts_from_when_it_was_due() {
        let due = Instant::now();
        let soon = due + Duration::from_millis(1);
        let late = due + Duration::from_millis(30);
        assert_eq!(counted_from(due, soon), soon);
        assert_eq!(counted_from(due, late), due);
    }

    #[test]
    fn a_request_knows_its_new_events_from_those_sent_again() {
        let event = |line| Event {
            line,
            id: String::new(),
            json: String::new(),
        };
        for (lines, numbers, again) in [
            (&[7, AGAIN, 8, 9][..], 7..10, 1),
            (&[AGAIN, AGAIN], 0..0, 2),
            (&[5], 5..6, 0),
        ] {
            let events: Vec<Event> = lines.iter().copied().map(event).collect();
            assert_eq!(request_of(&events), Request { numbers, again });
        }
    }
}
