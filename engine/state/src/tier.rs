//! The part of a store that is on disk: what is moved there when memory is scarce, and what is forgotten.
//!
//! The windows with the earliest starts are moved first. Of a window that is too large to be moved at once, or that is the only
//! one, shards are moved in turn: the hand of a clock goes round all places of a window.

use std::collections::BTreeSet;
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

/// The part of a store that is on disk.
#[derive(Debug)]
pub(crate) struct Tier {
    storage: Storage,
    /// The memory of the store, as it was reported last.
    reported: usize,
    disk: Option<Box<dyn Cold>>,
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

impl Tier {
    /// Nothing is on disk yet.
    pub(crate) fn new(storage: &Storage) -> Self {
        storage.enter();
        let (disk, windows, next, hand) = (None, BTreeSet::new(), 0, (0, 0));
        Self { storage: storage.clone(), reported: 0, disk, windows, next, hand }
    }

    /// Whether memory is limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.storage.is_limited()
    }

    /// Takes note of the memory of the store.
    pub(crate) fn report(&mut self, bytes: usize) {
        self.storage.report(std::mem::replace(&mut self.reported, bytes), bytes);
    }

    /// Whether the store has more than its share.
    pub(crate) fn owes(&self) -> bool {
        self.storage.excess(self.reported) > 0
    }

    /// Bytes that the store may have, if it has `bytes` now.
    pub(crate) fn share(&self, bytes: usize) -> usize {
        self.storage.share(self.reported, bytes)
    }

    /// Moves committed keys to disk if the memory of all stores exceeds the limit; this one has `bytes`. Returns the starts of
    /// the windows of which something was moved. Readers see the same before and after.
    pub(crate) fn settle(&mut self, committed: &View, bytes: usize) -> Result<Vec<i64>, ColdError> {
        self.report(bytes);
        let excess = self.storage.excess(bytes);
        if excess == 0 {
            return Ok(Vec::new());
        }
        let moves = self.choose(&committed.read(), excess);
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        if self.disk.is_none() {
            self.disk = Some(self.storage.open()?);
        }
        let Some(disk) = &mut self.disk else { return Ok(Vec::new()) };
        disk.write(&mut Pieces { moves: &moves, at: 0, part: 0 })?;
        let snapshot = disk.snapshot();
        // What was moved is freed after readers can go on.
        let freed: (Vec<Vec<Arc<Table>>>, _) = committed.change(|committed| {
            let before = committed.cold.replace(snapshot);
            let windows = Arc::make_mut(&mut committed.windows);
            let cool = |Move { start, window, parts }: &Move| {
                let shards: Vec<usize> = parts.iter().map(|part| part.shard).collect();
                windows.get_mut(start).map(|cooled| Arc::make_mut(cooled).cool(&shards, *window))
            };
            (moves.iter().filter_map(cool).collect(), before)
        });
        drop(freed);
        Ok(moves.iter().map(|moved| moved.start).collect())
    }

    /// Forgets windows that were removed.
    pub(crate) fn forget(&mut self, removed: &[Arc<Window>], committed: &View) -> Result<(), ColdError> {
        let numbers: Vec<u64> = removed.iter().filter_map(|window| window.cold()).collect();
        for number in &numbers {
            self.windows.remove(number);
        }
        let Some(disk) = self.disk.as_mut().filter(|_| !numbers.is_empty()) else { return Ok(()) };
        if self.windows.is_empty() {
            self.disk = None;
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

    /// The parts to move, of at least `excess` bytes if there are as many, in the order in which they are written.
    fn choose(&mut self, committed: &Snapshot, excess: usize) -> Vec<Move> {
        let (mut left, mut chosen) = (excess, Vec::new());
        for (start, window) in committed.windows.iter() {
            if left == 0 {
                break;
            }
            let mut parts = window.parts();
            parts.retain(|part| part.table.all().any(|(_, key, value)| moves(key, value)));
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
        self.report(0);
        self.storage.leave();
    }
}

/// What is moved, as pieces of a disk.
struct Pieces<'m> {
    moves: &'m [Move],
    at: usize,
    /// The next part of the move.
    part: usize,
}

impl<'m> Pieces<'m> {
    /// The next part, with the number of its window.
    fn part(&mut self) -> Option<(u64, &'m Table)> {
        while self.part == self.moves.get(self.at)?.parts.len() {
            (self.at, self.part) = (self.at + 1, 0);
        }
        let moved = &self.moves[self.at];
        self.part += 1;
        Some((moved.window, &moved.parts[self.part - 1].table))
    }
}

impl Iterator for Pieces<'_> {
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
