//! The events of a run, in order. The same seed makes the same events, apart from their ids and
//! times.

use std::collections::VecDeque;

use common::UnixMillis;
use fastrand::Rng;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::people::People;
use super::run_ids::Run;
use super::sessions::{Happening, Session};
use crate::send::event::Event;

/// Sessions that go on at the same time.
const SESSIONS: usize = 200;
/// The last events, of which some are sent again.
const REMEMBERED: usize = 1_000;
/// The share of duplicates is a number of these.
const MILLION: u32 = 1_000_000;
/// The line of an event that is sent again: its number is that of its first sending.
pub(super) const AGAIN: u64 = 0;

/// What kind of traffic it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    pub(super) people: People,
    pub(super) seed: u64,
    /// Of a million events, so many are sent again.
    pub(super) duplicates_ppm: u32,
}

/// Makes events.
#[derive(Debug)]
pub(super) struct Traffic {
    run: Run,
    mix: Mix,
    random: Rng,
    sessions: Vec<Session>,
    /// Events so far, without those that were sent again.
    events: u64,
    orders: u64,
    remembered: VecDeque<Event>,
}

/// An event as the service takes it.
#[derive(Serialize)]
struct Sent<'a> {
    event_id: Uuid,
    brand_id: &'a str,
    event_type: &'a str,
    timestamp: String,
    payload: &'a Value,
}

impl Traffic {
    pub(super) fn new(run: Run, mix: Mix) -> Self {
        let mut random = Rng::with_seed(mix.seed);
        let sessions = (0..SESSIONS)
            .map(|_| Session::begin(mix.people, &mut random))
            .collect();
        Self {
            run,
            mix,
            random,
            sessions,
            events: 0,
            orders: 0,
            remembered: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// The next event, which happens at `at`. Its line is its number in the run, from one, or
    /// [`AGAIN`].
    pub(super) fn next(&mut self, at: UnixMillis) -> Event {
        if self.random.u32(0..MILLION) < self.mix.duplicates_ppm
            && let Some(event) = self.remembered()
        {
            return event;
        }
        let happening = self.happening();
        self.events += 1;
        let event = self.event(&happening, at);
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(event.clone());
        event
    }

    fn remembered(&mut self) -> Option<Event> {
        let at = self.random.usize(0..self.remembered.len().max(1));
        let event = self.remembered.get(at)?;
        Some(Event {
            line: AGAIN,
            ..event.clone()
        })
    }

    /// What happens next in any of the sessions; whoever leaves makes room for somebody else.
    fn happening(&mut self) -> Happening {
        loop {
            let at = self.random.usize(0..SESSIONS);
            let Some(session) = self.sessions.get_mut(at) else {
                continue;
            };
            let (run, orders) = (self.run, &mut self.orders);
            let order = || {
                *orders += 1;
                // Of its run: an order counts once, and the next run buys anew.
                format!("{run}-{orders}")
            };
            match session.next(&mut self.random, order) {
                Some(happening) => return happening,
                None => *session = Session::begin(self.mix.people, &mut self.random),
            }
        }
    }

    fn event(&self, happening: &Happening, at: UnixMillis) -> Event {
        let event_id = self.run.event_id(self.events);
        let sent = Sent {
            event_id,
            brand_id: &happening.brand_id,
            event_type: happening.event_type,
            timestamp: at.to_string(),
            payload: &happening.payload,
        };
        Event {
            line: self.events,
            id: format!("\"{event_id}\""),
            // Texts and numbers only: there is nothing in it that is not JSON.
            json: serde_json::to_string(&sent).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

    fn traffic(run: Run, seed: u64, duplicates_ppm: u32) -> Traffic {
        let people = People {
            brands: 5,
            people: 10_000,
        };
        let mix = Mix {
            people,
            seed,
            duplicates_ppm,
        };
        Traffic::new(run, mix)
    }

    /// Events without what is different in each run.
    fn texts(mut traffic: Traffic, count: u64) -> Vec<String> {
        let run = traffic.run;
        let mut text = || traffic.next(NOW).json.replace(&run.to_string(), "RUN");
        let numbered = (1..=count).map(|number| (number, text()));
        numbered
            .map(|(number, text)| text.replace(&run.event_id(number).to_string(), "ID"))
            .collect()
    }

    #[test]
    fn a_seed_makes_the_same_traffic_with_other_ids() {
        let (one, two) = (Run::new(), Run::new());
        let first = texts(traffic(one, 1, 0), 500);
        assert_eq!(first, texts(traffic(two, 1, 0), 500));
        assert_ne!(first, texts(traffic(two, 2, 0), 500));
        assert_ne!(
            traffic(one, 1, 0).next(NOW).id,
            traffic(two, 1, 0).next(NOW).id
        );
    }

    #[test]
    fn another_run_with_the_same_seed_buys_anew() {
        let orders = |run| -> HashSet<String> {
            let texts = (0..5_000)
                .scan(traffic(run, 1, 0), |traffic, _| {
                    Some(traffic.next(NOW).json)
                })
                .collect::<Vec<String>>();
            let order = |text: &String| {
                let event: Value = serde_json::from_str(text).expect("JSON");
                event["payload"]["order_id"].as_str().map(str::to_owned)
            };
            texts.iter().filter_map(order).collect()
        };
        let (first, second) = (orders(Run::new()), orders(Run::new()));
        assert!(first.len() > 5, "{} orders", first.len());
        assert!(first.is_disjoint(&second));
    }

    #[test]
    fn the_wanted_share_is_sent_again_byte_for_byte() {
        let mut traffic = traffic(Run::new(), 3, 100_000);
        let (mut seen, mut again) = (HashSet::new(), 0);
        for _ in 0..10_000 {
            let event = traffic.next(NOW);
            if event.line == AGAIN {
                assert!(seen.contains(&event.json));
                again += 1;
            } else {
                assert!(seen.insert(event.json));
            }
        }
        assert!((800..1_200).contains(&again), "{again} of 10,000");
        assert_eq!(traffic.events, 10_000 - again);
    }

    #[test]
    fn memory_does_not_grow_with_the_events() {
        let mut traffic = traffic(Run::new(), 3, 0);
        for _ in 0..5_000 {
            traffic.next(NOW);
        }
        assert_eq!(
            (traffic.remembered.len(), traffic.sessions.len()),
            (REMEMBERED, SESSIONS)
        );
    }
}
