//! The part of a store that is on disk: what is moved there when memory is scarce, and what is forgotten.
//!
//! ```text
//! choose      committed shards that exceed the share of the store
//! hand over   they are frozen: the disk writes them, perhaps in another thread, and readers still see them in memory
//! collect     what is written is freed, and readers see it on disk
//! ```
//!
//! Whoever has handed over too much waits: what is frozen counts as memory. The windows with the earliest starts are moved first. Of a window that is too large to be moved at once, or that is the only
//! one, shards are moved in turn: the hand of a clock goes round all places of a window.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::Array;

use super::bytes::BytesBuilder;
use super::cold::{Cold, ColdError, Piece, place, prefix};
use super::storage::Storage;
use super::table::Table;
use super::view::{Snapshot, View};
use super::window::{Part, Window, moves};

/// Bytes of keys and values after which a piece ends.
const PIECE_BYTES: usize = 4 << 20;
/// Runs of one store that are handed over and not written yet, at most.
const LEAVING_MAX: usize = 3;

/// The part of a store that is on disk.
#[derive(Debug)]
pub(crate) struct Tier {
    storage: Storage,
    /// The memory of the store, as it was reported last.
    reported: usize,
    disk: Option<Box<dyn Cold>>,
    /// The runs that the disk has got so far, and those of them that are still in memory.
    runs: u64,
    leaving: VecDeque<Leaving>,
    /// The numbers of the windows that are on disk.
    windows: BTreeSet<u64>,
    /// The number of the next window.
    next: u64,
    /// The window that was moved in part, and the place where it goes on.
    hand: (i64, u32),
}

/// Parts of a window that are moved.
struct Move {
    start: i64,
    /// The number of the window on disk.
    window: u64,
    parts: Vec<Part>,
}

/// A run that was handed over to the disk.
#[derive(Debug)]
struct Leaving {
    run: u64,
    /// The windows of which it has something, each with its start and its number on disk.
    windows: Vec<(i64, u64)>,
    bytes: usize,
}

impl Tier {
    /// Nothing is on disk yet.
    pub(crate) fn new(storage: &Storage) -> Self {
        storage.enter();
        Self {
            storage: storage.clone(),
            reported: 0,
            disk: None,
            runs: 0,
            leaving: VecDeque::new(),
            windows: BTreeSet::new(),
            next: 0,
            hand: (0, 0),
        }
    }

    /// Whether memory is limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.storage.is_limited()
    }

    /// Takes note of the memory of the store.
    pub(crate) fn report(&mut self, bytes: usize) {
        self.storage.report(std::mem::replace(&mut self.reported, bytes), bytes);
    }

    /// Whether the store has more than its share, or something that was handed over to the disk.
    pub(crate) fn owes(&self) -> bool {
        !self.leaving.is_empty() || self.storage.excess(self.reported) > 0
    }

    /// The memory of what was handed over to the disk and is not collected yet, in bytes.
    pub(crate) fn leaving_bytes(&self) -> usize {
        self.leaving.iter().map(|leaving| leaving.bytes).sum()
    }

    /// Bytes that the store may have, if it has `bytes` now.
    pub(crate) fn share(&self, bytes: usize) -> usize {
        self.storage.share(self.reported, bytes)
    }

    /// Hands committed keys over to the disk if the memory of all stores exceeds the limit; this one has `bytes`, without what it
    /// has handed over already. Returns the starts of the windows of which something has got to the disk. Readers see the same
    /// before and after.
    pub(crate) fn settle(&mut self, committed: &View, bytes: usize) -> Result<Vec<i64>, ColdError> {
        let mut moved = self.collect(committed, 0)?;
        self.report(bytes);
        let excess = self.storage.excess(bytes);
        if excess > 0 {
            if self.leaving.len() >= LEAVING_MAX {
                moved.extend(self.collect_oldest(committed)?);
            }
            let moves = self.choose(&committed.read(), excess);
            if !moves.is_empty() {
                self.hand_over(moves, committed)?;
                moved.extend(self.collect(committed, 0)?);
            }
        }
        while self.storage.must_wait() && !self.leaving.is_empty() {
            moved.extend(self.collect_oldest(committed)?);
        }
        Ok(moved)
    }

    /// Hands parts of windows over to the disk.
    fn hand_over(&mut self, moves: Vec<Move>, committed: &View) -> Result<(), ColdError> {
        if self.disk.is_none() {
            self.disk = Some(self.storage.open()?);
        }
        let Some(snapshot) = self.disk.as_ref().map(|disk| disk.snapshot()) else { return Ok(()) };
        self.runs += 1;
        let (run, mut bytes) = (self.runs, 0);
        committed.change(|committed| {
            committed.cold.get_or_insert(snapshot);
            let windows = Arc::make_mut(&mut committed.windows);
            for Move { start, window, parts } in &moves {
                let shards: Vec<usize> = parts.iter().map(|part| part.shard).collect();
                bytes += parts.iter().map(|part| part.table.bytes()).sum::<usize>();
                if let Some(frozen) = windows.get_mut(start) {
                    Arc::make_mut(frozen).freeze(&shards, *window, run);
                }
            }
        });
        let windows = moves.iter().map(|moved| (moved.start, moved.window)).collect();
        self.leaving.push_back(Leaving { run, windows, bytes });
        self.report(self.reported.saturating_sub(bytes));
        self.storage.leaving(bytes);
        let pieces = Box::new(Pieces { moves, at: 0, part: 0 });
        self.disk.as_mut().map_or(Ok(()), |disk| disk.write(pieces))
    }

    /// Waits until the oldest run that was handed over is written.
    fn collect_oldest(&mut self, committed: &View) -> Result<Vec<i64>, ColdError> {
        let oldest = self.leaving.front().map_or(0, |leaving| leaving.run);
        self.collect(committed, oldest)
    }

    /// Frees what is written, which are at least this many runs. Returns the starts of the windows of which something was freed.
    fn collect(&mut self, committed: &View, least: u64) -> Result<Vec<i64>, ColdError> {
        let Some(disk) = self.disk.as_ref().filter(|_| !self.leaving.is_empty()) else { return Ok(Vec::new()) };
        let written = disk.written(least)?;
        let count = self.leaving.partition_point(|leaving| leaving.run <= written);
        let done: Vec<Leaving> = self.leaving.drain(..count).collect();
        let Some(last) = done.last() else { return Ok(Vec::new()) };
        let moved: BTreeSet<(i64, u64)> = done.iter().flat_map(|leaving| leaving.windows.iter().copied()).collect();
        let snapshot = disk.snapshot();
        // What was moved is freed after readers can go on.
        let freed: (Vec<Vec<Arc<Table>>>, _) = committed.change(|committed| {
            let before = committed.cold.replace(snapshot);
            let windows = Arc::make_mut(&mut committed.windows);
            let thaw = |(start, number): &(i64, u64)| {
                let window = windows.get_mut(start).filter(|window| window.cold() == Some(*number))?;
                Some(Arc::make_mut(window).thaw(last.run))
            };
            (moved.iter().filter_map(thaw).collect(), before)
        });
        drop(freed);
        self.storage.left(done.iter().map(|leaving| leaving.bytes).sum());
        Ok(moved.into_iter().map(|(start, _)| start).collect())
    }

    /// Forgets windows that were removed.
    pub(crate) fn forget(&mut self, removed: &[Arc<Window>], committed: &View) -> Result<(), ColdError> {
        let numbers: Vec<u64> = removed.iter().filter_map(|window| window.cold()).collect();
        for number in &numbers {
            self.windows.remove(number);
        }
        let Some(disk) = self.disk.as_mut().filter(|_| !numbers.is_empty()) else { return Ok(()) };
        if self.windows.is_empty() {
            self.close();
            // What the disk deletes is deleted after readers can go on.
            drop(committed.change(|committed| committed.cold.take()));
            return Ok(());
        }
        // All numbers between two windows that are left: others of them may not have been given back entirely.
        let gap = |number: &u64| {
            let start = self.windows.range(..number).next_back().map_or(0, |before| before + 1);
            let end = self.windows.range(number..).next().copied().unwrap_or(self.next);
            (start, end)
        };
        for (start, end) in numbers.iter().map(gap).collect::<BTreeSet<_>>() {
            disk.forget(start..end)?;
        }
        // What a snapshot has is not given back.
        let snapshot = disk.snapshot();
        drop(committed.change(|committed| committed.cold.replace(snapshot)));
        Ok(())
    }

    /// Gives up what is on disk, and what was handed over.
    fn close(&mut self) {
        self.storage.left(self.leaving_bytes());
        self.leaving.clear();
        (self.disk, self.runs) = (None, 0);
    }

    /// The parts to move, of at least `excess` bytes if there are as many, in the order in which they are written.
    fn choose(&mut self, committed: &Snapshot, excess: usize) -> Vec<Move> {
        let (mut left, mut chosen) = (excess, Vec::new());
        for (start, window) in committed.windows.iter() {
            if left == 0 {
                break;
            }
            let mut parts = window.parts();
            parts.retain(|part| part.frozen.is_none() && part.table.all().any(|(_, key, value)| moves(key, value)));
            let hand = if self.hand.0 == *start { self.hand.1 } else { 0 };
            let after = parts.partition_point(|part| part.places.first < hand);
            parts.rotate_left(after);
            let mut taken = 0;
            while taken < parts.len() && left > 0 {
                left = left.saturating_sub(parts[taken].table.bytes());
                taken += 1;
            }
            if let Some(last) = taken.checked_sub(1).map(|last| &parts[last]) {
                self.hand = (*start, last.places.end);
            }
            parts.truncate(taken);
            parts.sort_unstable_by_key(|part| part.places);
            if !parts.is_empty() {
                chosen.push(Move { start: *start, window: self.number(window), parts });
            }
        }
        chosen.sort_unstable_by_key(|moved| moved.window);
        chosen
    }

    /// The number of a window on disk.
    fn number(&mut self, window: &Window) -> u64 {
        window.cold().unwrap_or_else(|| {
            let number = self.next;
            self.next += 1;
            self.windows.insert(number);
            number
        })
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        self.close();
        self.report(0);
        self.storage.leave();
    }
}

/// What is moved, as pieces of a disk.
struct Pieces {
    moves: Vec<Move>,
    at: usize,
    /// The next part of the move.
    part: usize,
}

impl Pieces {
    /// The next part, with the number of its window.
    fn part(&mut self) -> Option<(u64, Arc<Table>)> {
        while self.part == self.moves.get(self.at)?.parts.len() {
            (self.at, self.part) = (self.at + 1, 0);
        }
        let moved = &self.moves[self.at];
        self.part += 1;
        Some((moved.window, moved.parts[self.part - 1].table.clone()))
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (mut keys, mut values, mut bytes) = (BytesBuilder::new(0, 0), BytesBuilder::new(0, 0), 0);
        while bytes < PIECE_BYTES
            && let Some((window, table)) = self.part()
        {
            let all = table.all().filter(|(_, key, value)| moves(key, *value));
            let mut entries: Vec<_> = all.map(|(hash, key, value)| (place(hash), key, value)).collect();
            entries.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
            for (place, key, value) in entries {
                bytes += key.len() + value.map_or(0, <[u8]>::len);
                let fits = "a shard has far less than 2 GiB: values that are too long stay in memory";
                keys.push_parts(&[&prefix(window, place), key]).expect(fits);
                values.push(value).expect(fits);
            }
        }
        let keys = keys.finish();
        (!keys.is_empty()).then(|| Piece { keys, values: values.finish() })
    }
}
