//! A model of windows: it takes one row after the other, looks at everything, and forgets nothing.

use std::collections::{BTreeMap, BTreeSet};

use headwater_language::definition::WindowDef;
use headwater_language::topology::AggregateWindow;

use super::window_tests::{Row, Shown};

/// A group of a window, or a session.
#[derive(Clone, Debug)]
struct Group {
    key: String,
    bounds: [i64; 2],
    count: i64,
    time: i64,
    partitions: BTreeSet<i32>,
    is_emitted: bool,
}

/// The model.
pub struct Model {
    window: AggregateWindow,
    is_final: bool,
    clocks: BTreeMap<i32, i64>,
    groups: Vec<Group>,
    rows: i64,
    /// What came out.
    pub shown: Vec<Shown>,
    /// The offsets of late rows.
    pub late: Vec<i64>,
}

impl Model {
    pub fn new(window: AggregateWindow, is_final: bool) -> Self {
        Self {
            window,
            is_final,
            clocks: BTreeMap::new(),
            groups: Vec::new(),
            rows: 0,
            shown: Vec::new(),
            late: Vec::new(),
        }
    }

    pub fn add(&mut self, row: Row) {
        let is_late = match self.window.def {
            WindowDef::Session => self.add_to_session(row),
            WindowDef::Tumbling(size) => self.add_to_windows(row, size, size),
            WindowDef::Hopping(size) => self.add_to_windows(row, size, self.window.advance_ms.unwrap()),
        };
        if is_late {
            self.late.push(self.rows);
        }
        self.rows += 1;
        if self.is_final {
            self.emit();
        }
    }

    /// The rows of a sink to which everything was written.
    pub fn sink(&self) -> BTreeMap<(String, [i64; 2]), i64> {
        let mut sink = BTreeMap::new();
        for (_, key, bounds, count) in &self.shown {
            match count {
                Some(count) => sink.insert((key.clone(), *bounds), *count),
                None => sink.remove(&(key.clone(), *bounds)),
            };
        }
        sink
    }

    fn advance(&mut self, partition: i32, time: i64) -> i64 {
        let clock = self.clocks.entry(partition).or_insert(time);
        *clock = (*clock).max(time);
        *clock
    }

    fn have_passed(&self, partitions: &BTreeSet<i32>, time: i64) -> bool {
        partitions.iter().all(|partition| self.clocks[partition] >= time)
    }

    fn show(&mut self, at: usize) {
        let Group { key, bounds, count, time, .. } = self.groups[at].clone();
        self.shown.push((time, key, bounds, Some(count)));
    }

    fn add_to_windows(&mut self, (key, time, partition): Row, size: i64, advance: i64) -> bool {
        let now = self.advance(partition, time);
        let mut is_late = true;
        for start in (0..=time).filter(|start| start % advance == 0 && time < start + size) {
            if start + size + self.window.grace_ms <= now {
                continue;
            }
            let bounds = [start, start + size];
            let found = self.groups.iter().position(|group| group.key == key && group.bounds == bounds);
            let at = found.unwrap_or_else(|| self.start(key, bounds, time));
            if self.groups[at].is_emitted {
                continue;
            }
            is_late = false;
            let group = &mut self.groups[at];
            (group.count, group.time) = (group.count + 1, group.time.max(time));
            group.partitions.insert(partition);
            if !self.is_final {
                self.show(at);
            }
        }
        is_late
    }

    fn start(&mut self, key: &str, bounds: [i64; 2], time: i64) -> usize {
        let (key, partitions) = (key.to_owned(), BTreeSet::new());
        self.groups.push(Group { key, bounds, count: 0, time, partitions, is_emitted: false });
        self.groups.len() - 1
    }

    fn add_to_session(&mut self, (key, time, partition): Row) -> bool {
        let gap = self.window.gap_ms.unwrap();
        let AggregateWindow { grace_ms, retention_ms, .. } = self.window;
        let near = |group: &Group| group.key == key && group.bounds[0] - gap <= time && time <= group.bounds[1] + gap;
        let is_kept = |group: &Group| self.clocks.values().any(|clock| *clock < group.bounds[1] + retention_ms);
        let is_near = |at: &usize| near(&self.groups[*at]) && is_kept(&self.groups[*at]);
        let mut found: Vec<usize> = (0..self.groups.len()).filter(is_near).collect();
        found.sort_by_key(|at| self.groups[*at].bounds);
        // Stream time before this row decides.
        let is_emitted = found.iter().any(|at| self.groups[*at].is_emitted);
        let now = self.advance(partition, time);
        let mut merged = Group {
            key: key.to_owned(),
            bounds: [time, time],
            count: 1,
            time,
            partitions: [partition].into(),
            is_emitted: false,
        };
        for group in found.iter().map(|at| &self.groups[*at]) {
            merged.bounds = [merged.bounds[0].min(group.bounds[0]), merged.bounds[1].max(group.bounds[1])];
            merged.count += group.count;
            merged.time = merged.time.max(group.time);
            merged.partitions.extend(&group.partitions);
        }
        if is_emitted || merged.bounds[1] + gap + grace_ms < now {
            return true;
        }
        for at in &found {
            let Group { key, bounds, time, .. } = self.groups[*at].clone();
            if bounds != merged.bounds && !self.is_final {
                self.shown.push((time, key, bounds, None));
            }
        }
        found.sort_unstable();
        found.iter().rev().for_each(|at| drop(self.groups.remove(*at)));
        self.groups.push(merged);
        if !self.is_final {
            self.show(self.groups.len() - 1);
        }
        false
    }

    /// Emits what has closed.
    fn emit(&mut self) {
        let close = |group: &Group| match self.window.def {
            WindowDef::Session => group.bounds[1] + self.window.gap_ms.unwrap() + self.window.grace_ms,
            _ => group.bounds[1] + self.window.grace_ms,
        };
        let is_due = |at: &usize| {
            let group = &self.groups[*at];
            !group.is_emitted && self.have_passed(&group.partitions, close(group))
        };
        let mut due: Vec<usize> = (0..self.groups.len()).filter(is_due).collect();
        due.sort_by_key(|at| (close(&self.groups[*at]), self.groups[*at].key.clone(), self.groups[*at].bounds));
        for at in due {
            self.groups[at].is_emitted = true;
            self.show(at);
        }
    }
}
