//! A set of the numbers of events: one bit for each.

/// Numbers from zero on.
#[derive(Debug, Default)]
pub(super) struct NumberSet {
    words: Vec<u64>,
    length: u64,
}

impl NumberSet {
    /// Adds a number; false if it was there.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let (index, bit) = place(number);
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let Some(word) = self.words.get_mut(index) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        self.length += u64::from(is_new);
        is_new
    }

    /// Whether it is there.
    pub(super) fn contains(&self, number: u64) -> bool {
        let (index, bit) = place(number);
        self.words.get(index).is_some_and(|word| word & bit != 0)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        let words = (0_u64..).zip(&self.words);
        words.flat_map(|(index, word)| {
            let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| index * 64 + bit)
        })
    }
}

/// The word of a number and its bit there.
fn place(number: u64) -> (usize, u64) {
    let index = usize::try_from(number / 64).unwrap_or(usize::MAX);
    (index, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_there_once_and_in_order() {
        let mut set = NumberSet::default();
        for (number, is_new) in [
            (64, true),
            (0, true),
            (63, true),
            (64, false),
            (1_000, true),
        ] {
            assert_eq!(set.insert(number), is_new, "{number}");
        }
        assert_eq!(set.iter().collect::<Vec<u64>>(), [0, 63, 64, 1_000]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(1_000) && !set.contains(999) && !set.contains(1 << 40));
    }
}
