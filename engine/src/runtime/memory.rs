//! The memory of one bounded query, divided among its operators.
//!
//! DataFusion's fair pool lets operators that spill take everything. One that cannot spill (a Top-K, a channel between
//! two threads) and asks later gets nothing and fails the query, and the merge of what one operator spilled, which takes
//! all it can get, starves the others. In this pool each kind has its own part.
//!
//! ```text
//! limit = │ kept free for what cannot spill │ merges, in equal shares │ what can spill, in equal shares │
//! ```

use std::fmt;

use datafusion::common::resources_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;

/// The memory reserved for operators that cannot spill, and likewise for merges, is the limit divided by this.
const KEPT_PART: usize = 4;

/// DataFusion's name for consumers that merge what a sort has spilled.
const MERGE: &str = "ExternalSorterMerge";

/// The memory pool of one query.
#[derive(Debug)]
pub struct QueryMemory {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spills: Users,
    merges: Users,
    others: Users,
}

/// The reservations of one kind.
#[derive(Debug, Default)]
struct Users {
    count: usize,
    bytes: usize,
}

impl QueryMemory {
    /// A pool of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Most bytes that a reservation may have at the moment.
    fn allowed(&self, state: &State, reservation: &MemoryReservation) -> usize {
        let kept = self.limit / KEPT_PART;
        let consumer = reservation.consumer();
        let free = self.limit.saturating_sub(state.bytes()) + reservation.size();
        if consumer.can_spill() {
            let kept = state.others.bytes.max(kept) + state.merges.bytes.max(kept);
            self.limit.saturating_sub(kept) / state.spills.count.max(1)
        } else if consumer.name().starts_with(MERGE) {
            free.min(kept / state.merges.count.max(1))
        } else {
            free
        }
    }
}

impl State {
    /// The reservations of a consumer's kind.
    fn users(&mut self, consumer: &MemoryConsumer) -> &mut Users {
        match (consumer.can_spill(), consumer.name().starts_with(MERGE)) {
            (true, _) => &mut self.spills,
            (false, true) => &mut self.merges,
            (false, false) => &mut self.others,
        }
    }

    fn bytes(&self) -> usize {
        self.spills.bytes + self.merges.bytes + self.others.bytes
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query.memory.max of {} bytes", self.limit)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.state.lock().users(consumer).count += 1;
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.state.lock().users(consumer).count -= 1;
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.state.lock().users(reservation.consumer()).bytes += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.state.lock().users(reservation.consumer()).bytes -= shrink;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = self.state.lock();
        let allowed = self.allowed(&state, reservation);
        if reservation.size() + additional > allowed {
            return Err(refused(self.limit, reservation, additional, allowed));
        }
        state.users(reservation.consumer()).bytes += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.state.lock().bytes()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

fn refused(limit: usize, reservation: &MemoryReservation, additional: usize, allowed: usize) -> DataFusionError {
    let (step, size) = (step(reservation.consumer().name()), reservation.size());
    let enough = enough(limit, size + additional, allowed);
    resources_datafusion_err!(
        "{step} has {size} bytes, needs {additional} more and may have {allowed}; {enough}MB may do"
    )
}

/// A limit in MB under which this request would have succeeded, rounded up because others will ask for more too.
fn enough(limit: usize, needed: usize, allowed: usize) -> usize {
    let share = (limit / allowed.max(1)).clamp(2, 64);
    let wanted = needed.saturating_mul(share).max(limit + 1);
    (wanted >> 20).max(1).checked_add(1).and_then(usize::checked_next_power_of_two).unwrap_or(wanted >> 20)
}

/// The user's term for a part of a query, by DataFusion's name for its consumer.
fn step(name: &str) -> &'static str {
    const STEPS: &[(&str, &str)] = &[
        (MERGE, "the merge of a sort"),
        ("ExternalSorter", "a sort"),
        ("SortPreservingMerge", "the merge of a sort"),
        ("TopK", "a sort with a LIMIT"),
        ("PartitionedTopK", "a sort with a LIMIT"),
        ("HashJoin", "a join"),
        ("SMJ", "a join"),
        ("NestedLoopJoin", "a join"),
        ("CrossJoin", "a join"),
        ("PiecewiseMergeJoin", "a join"),
        ("Repartition", "the exchange of rows between threads"),
        ("RecursiveQuery", "a recursive WITH"),
    ];
    let known = STEPS.iter().find(|(begins, _)| name.starts_with(begins));
    match known {
        Some((_, step)) => step,
        None if name.contains("Aggregate") => "a step that groups rows",
        None => "a step of the query",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_kind_leaves_room_for_the_others() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1_000));
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        let group = MemoryConsumer::new("group").with_can_spill(true).register(&pool);
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        let top = MemoryConsumer::new("top").register(&pool);
        assert!(sort.try_grow(251).is_err());
        sort.try_grow(250).expect("half of the part for spilling");
        group.try_grow(250).expect("the other half");
        assert!(merge.try_grow(251).is_err());
        merge.try_grow(250).expect("the part for merges");
        top.try_grow(250).expect("the reserved part");
        assert!(top.try_grow(1).is_err());
        drop(group);
        top.try_grow(250).expect("what was given back");
        assert_eq!(pool.reserved(), 1_000);
        assert!(sort.try_grow(1).is_err());
    }
}
