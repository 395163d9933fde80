//! The sessions of the keys in a batch, and what its rows do to them, row by row: a row extends a session, begins one, or merges
//! several. States are folded and merged afterwards, by columns; here a session only knows which ones it was merged from.

use std::ops::Range;

use super::contributors::Share;
use super::expiry::has_expired;
use super::windowing::SessionWindows;
use crate::clocks::{Clocks, SourcePartition};

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its start and its end, which are the times of its first and its last row.
    pub bounds: [i64; 2],
    /// The partitions of its rows, and whether its result has been emitted.
    pub share: Share,
    /// Those that it was merged from.
    pub merged: Vec<usize>,
    /// The number of merges below it: a session is folded after all sessions of lower levels.
    pub level: usize,
    /// The last row of the batch that was added to it; 0 if there is none.
    pub row: usize,
}

/// The sessions of a key, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct OfKey {
    /// Those that accept rows, in order. There is more than the gap between two of them.
    pub open: Vec<usize>,
    /// Those that are no longer kept, except in the store until the next barrier.
    pub expired: Vec<usize>,
}

/// The sessions of the keys in a batch.
#[derive(Debug)]
pub struct Sessions {
    windows: SessionWindows,
    /// Whether results are emitted once.
    is_final: bool,
    /// All of them, by number.
    pub all: Vec<Session>,
    /// Those of each key.
    pub keys: Vec<OfKey>,
}

/// A row to be added.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its index in the batch.
    pub row: usize,
    /// The number of its key.
    pub key: usize,
    /// Its event time.
    pub time_ms: i64,
    /// Its source partition.
    pub source: SourcePartition,
    /// The stream time of that partition at this row.
    pub stream_time_ms: i64,
}

/// What a row did.
#[derive(Debug)]
pub struct Added {
    /// The session that it belongs to.
    pub session: usize,
    /// The sessions that this one replaced, with their bounds before.
    pub replaced: Vec<(usize, [i64; 2])>,
}

impl Sessions {
    /// Keys without sessions.
    pub fn new(windows: SessionWindows, is_final: bool, keys: usize) -> Self {
        Self { windows, is_final, all: Vec::new(), keys: vec![OfKey::default(); keys] }
    }

    /// Adds a stored session of a key, after those that start before it.
    pub fn restore(&mut self, key: usize, bounds: [i64; 2], share: Share, clocks: &Clocks) {
        let session = Session { bounds, share, merged: Vec::new(), level: 0, row: 0 };
        let is_expired = has_expired(self.windows.expiry(bounds[1]), &session.share.contributors, clocks);
        let sessions = &mut self.keys[key];
        if is_expired { &mut sessions.expired } else { &mut sessions.open }.push(self.all.len());
        self.all.push(session);
    }

    /// Adds a row to a session, and its stream time to the clocks. Fails, with the reason, if the row is late.
    pub fn add(&mut self, arrival: Arrival, clocks: &mut Clocks) -> Result<Added, String> {
        let Arrival { row, key, time_ms, source, stream_time_ms } = arrival;
        clocks.expect(source, stream_time_ms);
        let near = self.near(key, time_ms);
        let (expired, found): (Vec<usize>, Vec<usize>) = self.keys[key].open[near.clone()]
            .iter()
            .copied()
            .partition(|session| self.is_expired(*session, source, clocks));
        // Results go out after the row that makes them due.
        let closed = found.iter().copied().find(|session| self.is_closed(*session, source, clocks));
        let now_ms = clocks.arrive(source, stream_time_ms);
        self.keys[key].expired.extend(expired);
        let bounds = found.iter().map(|session| self.all[*session].bounds);
        let merged = bounds.fold([time_ms; 2], |[start, end], [from, to]| [start.min(from), end.max(to)]);
        let close = self.windows.close(merged[1]);
        let late = match (closed, close) {
            (Some(session), _) => Some(emitted(self.all[session].bounds)),
            (None, Some(close)) if close < now_ms => Some(self.windows.late(merged, close, now_ms)),
            _ => None,
        };
        if let Some(late) = late {
            self.keys[key].open.splice(near, found);
            return Err(late);
        }
        let added = self.merge(&found, merged, source);
        self.all[added.session].row = row;
        self.keys[key].open.splice(near, [added.session]);
        Ok(added)
    }

    /// The places of the sessions within the gap of a time.
    fn near(&self, key: usize, time_ms: i64) -> Range<usize> {
        let (open, gap_ms) = (&self.keys[key].open, self.windows.gap_ms());
        let [from, to] = [time_ms.saturating_sub(gap_ms), time_ms.saturating_add(gap_ms)];
        let first = open.partition_point(|session| self.all[*session].bounds[1] < from);
        first..first + open[first..].partition_point(|session| self.all[*session].bounds[0] <= to)
    }

    fn is_expired(&self, session: usize, source: SourcePartition, clocks: &Clocks) -> bool {
        let Session { bounds, share, .. } = &self.all[session];
        let expiry = self.windows.expiry(bounds[1]);
        // Most rows come from a partition that has contributed before, which decides this without the others.
        let is_behind = share.contributors.contains(source) && clocks.get(source) < expiry;
        !is_behind && has_expired(expiry, &share.contributors, clocks)
    }

    /// Whether the result of a session has been emitted or, for a row of a partition that contributed to it, is before another row can
    /// be added to it.
    fn is_closed(&self, session: usize, source: SourcePartition, clocks: &Clocks) -> bool {
        let Session { bounds, share, .. } = &self.all[session];
        let close = self.windows.close(bounds[1]);
        let has_closed = || match share.contributors.contains(source) {
            true => close.is_some() && share.contributors.time(clocks) >= close,
            false => share.contributors.have_reached(close, clocks),
        };
        self.is_final && (share.is_emitted || has_closed())
    }

    /// The session for a row near these sessions.
    fn merge(&mut self, found: &[usize], bounds: [i64; 2], source: SourcePartition) -> Added {
        let replaced = |session: &usize| (*session, self.all[*session].bounds);
        let replaced: Vec<_> = found.iter().map(replaced).collect();
        let session = match found {
            [only] => *only,
            several => {
                let mut share = Share::default();
                several.iter().for_each(|one| share.contributors.add_all(&self.all[*one].share.contributors));
                let level = several.iter().map(|one| self.all[*one].level + 1).max().unwrap_or(0);
                self.all.push(Session { bounds, share, merged: several.to_vec(), level, row: 0 });
                self.all.len() - 1
            }
        };
        let changed = &mut self.all[session];
        changed.bounds = bounds;
        changed.share.contributors.add(source);
        Added { session, replaced }
    }
}

/// Why a row is late for a session whose result has been emitted.
fn emitted([start, end]: [i64; 2]) -> String {
    format!("the row is late: the result of its session [{start}, {end}] has been emitted")
}

#[cfg(test)]
mod tests {
    use headwater_language::definition::WindowDef;
    use headwater_language::topology::AggregateWindow;

    use super::super::windowing::Windows;
    use super::*;

    fn sessions(gap_ms: i64, grace_ms: i64) -> Sessions {
        let def = WindowDef::Session;
        let window =
            AggregateWindow { def, advance_ms: None, gap_ms: Some(gap_ms), grace_ms, retention_ms: gap_ms + grace_ms };
        let Some(Windows::Session(windows)) = Windows::new(window) else { panic!("they are sessions") };
        Sessions::new(windows, false, 1)
    }

    /// Goal: a row finds what it merges with. Method: rows at some times; each session as `start-end`.
    #[test]
    fn a_row_merges_what_is_near() {
        let (mut sessions, mut clocks) = (sessions(10, 100), Clocks::default());
        let source = SourcePartition { source: 0, partition: 0 };
        let mut add = |time_ms: i64| {
            let row = Arrival { row: 0, key: 0, time_ms, source, stream_time_ms: time_ms };
            let added = sessions.add(row, &mut clocks);
            let shown = |session: &usize| sessions.all[*session].bounds;
            let open: Vec<_> = sessions.keys[0].open.iter().map(shown).collect();
            (open, added.map(|added| (sessions.all[added.session].level, added.replaced.len())))
        };
        assert_eq!(add(0), (vec![[0, 0]], Ok((0, 0))));
        assert_eq!(add(21), (vec![[0, 0], [21, 21]], Ok((0, 0))));
        assert_eq!(add(31), (vec![[0, 0], [21, 31]], Ok((0, 1))));
        assert_eq!(add(10), (vec![[0, 10], [21, 31]], Ok((0, 1))));
        assert_eq!(add(42), (vec![[0, 10], [21, 31], [42, 42]], Ok((0, 0))));
        assert_eq!(add(11), (vec![[0, 31], [42, 42]], Ok((1, 2))));
        assert_eq!(add(32), (vec![[0, 42]], Ok((2, 2))));
        assert_eq!(add(153), (vec![[0, 42], [153, 153]], Ok((0, 0))));
        let reason = "the row is late: its session [40, 40] closed at stream time 150 (grace period 100 ms), and stream \
                      time is 153";
        assert_eq!(add(40), (vec![[153, 153]], Err(reason.to_owned())), "a session that has expired is not found");
    }
}
