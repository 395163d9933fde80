//! How far the restore of a share is, and how long the rest will take.

use crate::answer::RestoreProgress;

/// A restore, measured from its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    begun_ms: i64,
    now_ms: i64,
    done: u64,
    total: u64,
}

impl Measured {
    /// A restore that begins.
    pub(super) fn begin(total: u64, now_ms: i64) -> Self {
        Self { begun_ms: now_ms, now_ms, done: 0, total }
    }

    /// The same restore, which has come this far.
    pub(super) fn advanced(self, (done, total): (u64, u64), now_ms: i64) -> Self {
        Self { done, total, now_ms, ..self }
    }

    /// How far it is.
    pub(super) fn progress(self) -> RestoreProgress {
        let Self { done, total, .. } = self;
        let ms = u64::try_from(self.now_ms - self.begun_ms).unwrap_or(0);
        let per_second = (done * 1_000).checked_div(ms).unwrap_or(0);
        let left_s = total.saturating_sub(done).checked_div(per_second);
        RestoreProgress { done, total, per_second, left_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_rate_says() {
        let begun = Measured::begin(10_000, 5_000);
        assert_eq!(begun.progress(), RestoreProgress { done: 0, total: 10_000, per_second: 0, left_s: None });
        let progress = begun.advanced((4_000, 10_000), 7_000).progress();
        assert_eq!(progress, RestoreProgress { done: 4_000, total: 10_000, per_second: 2_000, left_s: Some(3) });
    }
}
