//! Who and what is popular: few get much, many get little.

use fastrand::Rng;

/// A number below `count`, 0 the likeliest. The number `n` comes about `1 / (n + 1)` times as often
/// as 0 does, which is Zipf's law with an exponent of one, in steps at the powers of two.
pub(super) fn popular(random: &mut Rng, count: u64) -> u64 {
    let levels = count.max(1).ilog2();
    loop {
        let first = 1_u64 << random.u32(0..=levels);
        let rank = random.u64(first..first.saturating_mul(2));
        if rank <= count.max(1) {
            return rank - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(count: u64) -> Vec<u64> {
        let mut random = Rng::with_seed(7);
        let mut draws = vec![0; usize::try_from(count).expect("small")];
        for _ in 0..100_000 {
            let rank = popular(&mut random, count);
            draws[usize::try_from(rank).expect("below the count")] += 1;
        }
        draws
    }

    #[test]
    fn the_first_is_drawn_most_and_the_last_sometimes() {
        for count in [1, 2, 3, 7, 8, 9, 100] {
            let draws = draws(count);
            assert_eq!(draws.iter().max(), draws.first(), "{count}: {draws:?}");
            assert!(draws.iter().all(|draws| *draws > 0), "{count}: {draws:?}");
        }
    }

    #[test]
    fn popularity_falls_with_the_rank() {
        let draws = draws(1_000);
        let share =
            |ranks: std::ops::Range<usize>| draws[ranks].iter().sum::<u64>() * 100 / 100_000;
        assert!((8..13).contains(&share(0..1)), "{} %", share(0..1));
        assert!((28..42).contains(&share(0..10)), "{} %", share(0..10));
        assert!((58..72).contains(&share(0..100)), "{} %", share(0..100));
    }
}
