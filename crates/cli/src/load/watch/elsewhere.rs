//! Where events end that do not get through: rejected after they were accepted, or given up.

use bus::{Bus, BusError, MessageId};
use common::Topic as _;
use common::topics::{EventsNormalized, EventsRaw, EventsRejected};

use super::newest;
use crate::event_id::event_id_of;
use crate::load::number_set::NumberSet;
use crate::load::run_ids::Run;

/// Messages that are read at once.
const PAGE: usize = 500;

/// The ends of such events.
#[derive(Debug)]
pub(in crate::load) struct Elsewhere {
    streams: Vec<Stream>,
    /// Their numbers.
    pub(in crate::load) numbers: NumberSet,
    /// Those that were rejected.
    pub(in crate::load) rejected: u64,
    /// Those that became dead letters.
    pub(in crate::load) dead: u64,
}

#[derive(Debug)]
struct Stream {
    name: String,
    holds_dead_letters: bool,
    position: MessageId,
}

impl Elsewhere {
    /// Begins at the ends of the streams.
    pub(super) async fn begin(bus: &Bus) -> Result<Self, BusError> {
        let names = [
            (EventsRejected::INFO.name.to_owned(), false),
            (EventsRaw::INFO.dead_letters(), true),
            (EventsNormalized::INFO.dead_letters(), true),
        ];
        let mut streams = Vec::with_capacity(names.len());
        for (name, holds_dead_letters) in names {
            let position = newest(bus, &name).await?;
            streams.push(Stream {
                name,
                holds_dead_letters,
                position,
            });
        }
        Ok(Self {
            streams,
            numbers: NumberSet::default(),
            rejected: 0,
            dead: 0,
        })
    }

    /// Reads what is new.
    pub(super) async fn look(&mut self, bus: &Bus, run: Run) -> Result<(), BusError> {
        for stream in &mut self.streams {
            loop {
                let from = stream.position.next();
                let page = bus.range(&stream.name, from, PAGE).await?;
                for message in &page {
                    stream.position = message.id;
                    let event = event_id_of(&message.fields);
                    let number = event.and_then(|event| run.number_of(event));
                    if !number.is_some_and(|number| self.numbers.insert(number)) {
                        continue;
                    }
                    if stream.holds_dead_letters {
                        self.dead += 1;
                    } else {
                        self.rejected += 1;
                    }
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(())
    }
}
