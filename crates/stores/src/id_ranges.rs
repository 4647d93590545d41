//! Sets of message ids as texts. Ids that were delivered together are mostly neighbours, so ranges
//! keep a batch of 512 in a few dozen bytes.

use std::collections::BTreeMap;

/// The id of a message: the two numbers that order it in its topic.
pub(crate) type Id = (u64, u64);

/// The first and the last of consecutive numbers.
type Range = (u64, u64);

/// A set of message ids, such as `1732104000000:0-41,43;1732104000001:0`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct IdRanges {
    /// Ranges of the second number, sorted and apart, by the first.
    ranges: BTreeMap<u64, Vec<Range>>,
}

impl IdRanges {
    /// The set of these ids.
    pub(crate) fn of(ids: impl IntoIterator<Item = Id>) -> Self {
        let mut ids: Vec<Id> = ids.into_iter().collect();
        ids.sort_unstable();
        let mut ranges: BTreeMap<u64, Vec<Range>> = BTreeMap::new();
        for (major, minor) in ids {
            let known = ranges.entry(major).or_default();
            match known.last_mut() {
                Some((_, last)) if minor <= last.saturating_add(1) => *last = minor.max(*last),
                Some(_) | None => known.push((minor, minor)),
            }
        }
        Self { ranges }
    }

    /// Whether an id is in the set.
    pub(crate) fn contains(&self, (major, minor): Id) -> bool {
        let Some(ranges) = self.ranges.get(&major) else {
            return false;
        };
        let after = ranges.partition_point(|(first, _)| *first <= minor);
        let candidate = after.checked_sub(1).and_then(|index| ranges.get(index));
        candidate.is_some_and(|(_, last)| minor <= *last)
    }

    /// Adds the ids of another set.
    pub(crate) fn extend(&mut self, other: Self) {
        for (major, mut ranges) in other.ranges {
            let known = self.ranges.entry(major).or_default();
            known.append(&mut ranges);
            known.sort_unstable();
            known.dedup_by(|next, kept| {
                let joined = next.0 <= kept.1.saturating_add(1);
                if joined {
                    kept.1 = kept.1.max(next.1);
                }
                joined
            });
        }
    }

    /// The lowest and the highest first number; `None` for the empty set.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        let (first, _) = self.ranges.first_key_value()?;
        let (last, _) = self.ranges.last_key_value()?;
        Some((*first, *last))
    }

    /// The set in parts, the first numbers of each at most so far apart: one that holds the ids of
    /// weeks ago among those of now would stand for all between them.
    pub(crate) fn apart(self, span: u64) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        let mut start = 0;
        for (major, minors) in self.ranges {
            match parts.last_mut() {
                Some(part) if major - start <= span => {
                    part.ranges.insert(major, minors);
                }
                Some(_) | None => {
                    start = major;
                    parts.push(Self {
                        ranges: BTreeMap::from([(major, minors)]),
                    });
                }
            }
        }
        parts
    }

    /// The text form.
    pub(crate) fn to_text(&self) -> String {
        let range = |(first, last): &Range| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        };
        let group = |(major, ranges): (&u64, &Vec<Range>)| {
            let ranges: Vec<String> = ranges.iter().map(range).collect();
            format!("{major}:{}", ranges.join(","))
        };
        self.ranges.iter().map(group).collect::<Vec<_>>().join(";")
    }

    /// Reads what [`IdRanges::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut ranges = BTreeMap::new();
        for group in text.split(';').filter(|group| !group.is_empty()) {
            let (major, minors) = group.split_once(':')?;
            let minors: Option<Vec<Range>> = minors.split(',').map(parse_range).collect();
            ranges.insert(major.parse().ok()?, minors?);
        }
        Some(Self { ranges })
    }
}

fn parse_range(text: &str) -> Option<Range> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_kept_as_ranges() {
        let ids = IdRanges::of([(7, 0), (7, 2), (7, 1), (7, 9), (6, u64::MAX), (7, 9)]);
        assert_eq!(ids.to_text(), format!("6:{};7:0-2,9", u64::MAX));
        assert_eq!(ids.bounds(), Some((6, 7)));
        assert_eq!(IdRanges::parse("nonsense"), None);
        assert_eq!(IdRanges::parse(""), Some(IdRanges::default()));
    }

    #[test]
    fn ids_far_apart_are_in_parts_that_span_no_more_than_said() {
        let parts = |majors: &[u64]| -> Vec<(u64, u64)> {
            let ids = IdRanges::of(majors.iter().map(|major| (*major, 0)));
            let parts = ids.apart(10);
            parts.iter().filter_map(IdRanges::bounds).collect()
        };
        assert_eq!(parts(&[]), []);
        assert_eq!(parts(&[5]), [(5, 5)]);
        assert_eq!(parts(&[25, 5, 15]), [(5, 15), (25, 25)]);
        assert_eq!(parts(&[5, 16]), [(5, 5), (16, 16)]);
        // Neighbours do not make a chain.
        assert_eq!(parts(&[0, 7, 14, 21]), [(0, 7), (14, 21)]);
        assert_eq!(parts(&[0, u64::MAX]), [(0, 0), (u64::MAX, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn the_parts_of_a_set_are_the_set(
            ids in proptest::collection::btree_set((0_u64..60, 0_u64..4), 0..60),
            span in 0_u64..20,
        ) {
            let mut joined = IdRanges::default();
            for part in IdRanges::of(ids.iter().copied()).apart(span) {
                let (first, last) = part.bounds().expect("no part is empty");
                prop_assert!(last - first <= span);
                joined.extend(part);
            }
            prop_assert_eq!(joined, IdRanges::of(ids));
        }

        #[test]
        fn a_set_of_ids_reads_back_and_knows_its_members(
            left in proptest::collection::btree_set((0_u64..4, 0_u64..40), 0..60),
            right in proptest::collection::btree_set((0_u64..4, 0_u64..40), 0..60),
        ) {
            let mut ids = IdRanges::of(left.iter().copied());
            prop_assert_eq!(IdRanges::parse(&ids.to_text()), Some(IdRanges::of(left.iter().copied())));
            ids.extend(IdRanges::of(right.iter().copied()));
            let both: BTreeSet<Id> = left.union(&right).copied().collect();
            prop_assert_eq!(&ids, &IdRanges::of(both.iter().copied()));
            for major in 0..5 {
                for minor in 0..41 {
                    prop_assert_eq!(ids.contains((major, minor)), both.contains(&(major, minor)));
                }
            }
        }
    }
}
