//! Whether every message is accounted for.

use crate::overview::{GroupOverview, TopicOverview};

/// The equation of one consumer group: `published = done + pending + dead + undelivered + vanished`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAudit {
    /// The group's name.
    pub group: String,
    /// Messages ever published to the topic.
    pub published: u64,
    /// Messages that were finished.
    pub done: u64,
    /// Messages delivered and not settled, waiting ones included.
    pub pending: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Messages that were never delivered.
    pub undelivered: u64,
    /// Messages that were deleted from the stream while they were pending: known losses.
    pub vanished: u64,
    /// What was published and is in no state; negative when more is accounted for than there was.
    pub difference: i64,
    /// Whether all of these are counted. If not, the difference says nothing.
    pub exact: bool,
}

/// The equations of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAudit {
    /// The topic's name.
    pub name: String,
    /// The equations of its groups.
    pub groups: Vec<GroupAudit>,
    /// Letters that were ever written: one for each message that was given up, one more for each
    /// further part of a message that was too large for one, and those of messages that were done
    /// and whose work failed later.
    pub letters: u64,
    /// Letters that wait for a decision.
    pub waiting: u64,
    /// Letters that were published again.
    pub redriven: u64,
    /// Letters that somebody removed for good.
    pub discarded: u64,
    /// Letters that were removed after 30 days.
    pub expired: u64,
    /// `letters - (waiting + redriven + discarded + expired)`.
    pub dead_letters_difference: i64,
}

impl GroupAudit {
    /// Whether nothing is missing and nothing is too much, as far as it is counted.
    pub fn is_balanced(&self) -> bool {
        self.difference == 0 || !self.exact
    }

    /// Whether everything is counted, and nothing is missing and nothing is too much.
    pub fn is_proven(&self) -> bool {
        self.difference == 0 && self.exact
    }
}

impl TopicAudit {
    /// Whether every message and every letter is accounted for, as far as it is counted.
    pub fn is_balanced(&self) -> bool {
        self.dead_letters_difference == 0 && self.groups.iter().all(GroupAudit::is_balanced)
    }

    /// Whether everything is counted, and every message and every letter is accounted for.
    pub fn is_proven(&self) -> bool {
        self.dead_letters_difference == 0 && self.groups.iter().all(GroupAudit::is_proven)
    }
}

impl TopicOverview {
    /// Checks the equations. An overview is taken in one step, so they hold at every moment.
    pub fn audit(&self) -> TopicAudit {
        let dead = self.groups.iter().map(|group| group.dead).sum::<u64>();
        let letters = dead.saturating_add(self.split).saturating_add(self.late);
        let left = [
            self.dead_letters,
            self.redriven,
            self.discarded,
            self.expired,
        ];
        TopicAudit {
            name: self.name.clone(),
            groups: self.groups.iter().map(|group| self.of(group)).collect(),
            letters,
            waiting: self.dead_letters,
            redriven: self.redriven,
            discarded: self.discarded,
            expired: self.expired,
            dead_letters_difference: difference(letters, &left),
        }
    }

    fn of(&self, group: &GroupOverview) -> GroupAudit {
        let known = [
            group.done,
            group.pending,
            group.dead,
            group.undelivered.count,
            group.vanished,
        ];
        GroupAudit {
            group: group.name.clone(),
            published: self.published,
            done: group.done,
            pending: group.pending,
            dead: group.dead,
            undelivered: group.undelivered.count,
            vanished: group.vanished,
            difference: difference(self.published, &known),
            exact: group.undelivered.exact && group.counted,
        }
    }
}

fn difference(whole: u64, parts: &[u64]) -> i64 {
    let parts = parts
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(*part));
    let magnitude = i64::try_from(whole.abs_diff(parts)).unwrap_or(i64::MAX);
    if whole < parts { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::Count;

    fn group(undelivered: u64, done: u64, dead: u64) -> GroupOverview {
        GroupOverview {
            name: "readers".to_owned(),
            undelivered: Count {
                count: undelivered,
                exact: true,
            },
            pending: 2,
            vanished: 1,
            done,
            dead,
            counted: true,
            ..GroupOverview::default()
        }
    }

    fn topic(published: u64, groups: Vec<GroupOverview>) -> TopicOverview {
        TopicOverview {
            published,
            groups,
            ..TopicOverview::default()
        }
    }

    #[test]
    fn what_is_in_no_state_or_in_two_is_the_difference() {
        for (published, expected) in [(10, 0), (13, 3), (9, -1)] {
            let audit = topic(published, vec![group(4, 3, 0)]).audit();
            let differences: Vec<i64> = audit.groups.iter().map(|g| g.difference).collect();
            assert_eq!(differences, [expected]);
            assert_eq!(audit.is_balanced(), expected == 0);
            assert_eq!(audit.is_proven(), expected == 0);
        }
    }

    #[test]
    fn what_is_not_counted_proves_nothing() {
        let uncounted = GroupOverview {
            counted: false,
            ..group(4, 0, 0)
        };
        let mut estimated = group(4, 0, 0);
        estimated.undelivered.exact = false;
        for unknown in [uncounted, estimated] {
            // The difference is 0 in both: what is not counted is inferred from the equation.
            let audit = topic(7, vec![unknown, group(4, 0, 0)]).audit();
            let exact: Vec<bool> = audit.groups.iter().map(|group| group.exact).collect();
            let proven: Vec<bool> = audit.groups.iter().map(GroupAudit::is_proven).collect();
            assert_eq!((exact, proven), (vec![false, true], vec![false, true]));
            assert!(audit.is_balanced() && !audit.is_proven());
        }
    }

    #[test]
    fn letters_are_waiting_redriven_discarded_or_expired() {
        let letters = |waiting| TopicOverview {
            dead_letters: waiting,
            redriven: 1,
            discarded: 2,
            expired: 3,
            split: 4,
            late: 2,
            ..topic(14, vec![group(0, 4, 7)])
        };
        assert!(letters(7).audit().is_balanced());
        assert!(letters(7).audit().is_proven() && !letters(6).audit().is_proven());
        assert_eq!(letters(6).audit().dead_letters_difference, 1);
        assert_eq!(letters(9).audit().dead_letters_difference, -2);
        assert!(!letters(9).audit().is_balanced());
    }
}
