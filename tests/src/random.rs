//! Random choices from a seed.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// A source of random choices.
pub(crate) struct Random(StdRng);

impl Random {
    /// The choices of a seed: always the same ones.
    pub(crate) fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    /// True in one of `n` cases.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }

    /// Some of them, at most `most` and at least one, in their order.
    pub(crate) fn some<T: Clone>(&mut self, all: &[T], most: usize) -> Vec<T> {
        let count = 1 + self.below(most.min(all.len()));
        let mut left: Vec<usize> = (0..all.len()).collect();
        while left.len() > count {
            left.remove(self.below(left.len()));
        }
        left.into_iter().map(|at| all[at].clone()).collect()
    }
}
