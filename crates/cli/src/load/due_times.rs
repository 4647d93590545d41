//! When events were due, by their numbers. One entry for a request, so that a long run fits.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

/// Requests that are remembered; of older ones nobody knows any more when they were due.
const REQUESTS_MAX: usize = 100_000;

/// The times of the last requests.
#[derive(Debug, Default)]
pub(super) struct DueTimes {
    requests: VecDeque<(Range<u64>, Instant)>,
}

impl DueTimes {
    /// Adds the events of a request, whose numbers follow those of the one before.
    pub(super) fn add(&mut self, numbers: Range<u64>, due: Instant) {
        if numbers.is_empty() {
            return;
        }
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back((numbers, due));
    }

    /// When an event was due.
    pub(super) fn of(&self, number: u64) -> Option<Instant> {
        let (_, due) = self.requests.get(self.index_of(number)?)?;
        Some(*due)
    }

    /// Changes when the request with that event was due.
    pub(super) fn change(&mut self, number: u64, due: Instant) {
        let index = self.index_of(number);
        if let Some((_, known)) = index.and_then(|index| self.requests.get_mut(index)) {
            *known = due;
        }
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let index = self
            .requests
            .partition_point(|(numbers, _)| numbers.end <= number);
        let (numbers, _) = self.requests.get(index)?;
        numbers.contains(&number).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_was_due_with_its_request() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut times = DueTimes::default();
        times.add(1..4, at(1));
        times.add(4..4, at(2));
        times.add(4..5, at(3));
        times.change(4, at(7));
        times.change(9, at(9));
        for (number, expected) in [
            (0, None),
            (1, Some(at(1))),
            (3, Some(at(1))),
            (4, Some(at(7))),
            (5, None),
        ] {
            assert_eq!(times.of(number), expected, "{number}");
        }
    }

    #[test]
    fn the_oldest_requests_are_forgotten_first() {
        let mut times = DueTimes::default();
        let now = Instant::now();
        let count = u64::try_from(REQUESTS_MAX).expect("small") + 1;
        (0..count).for_each(|number| times.add(number..number + 1, now));
        assert_eq!((times.of(0), times.of(1)), (None, Some(now)));
        assert_eq!(times.requests.len(), REQUESTS_MAX);
    }
}
