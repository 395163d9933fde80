//! The effect of a batch on the groups of time windows, or of GROUP BY without windows. A row is in each of its windows once: such a
//! pair of a row and a window is an entry.

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, take};
use arrow::error::ArrowError;
use headwater_state::Store;

use super::emission::{Previous, Results};
use super::encoding::States;
use super::finals::Finals;
use super::folding::{Folded, rows_at};
use super::grouping::{Groups, group};
use super::history::History;
use super::memory::Memory;
use super::windowing::TimeWindows;
use super::{Aggregate, Effect, Emission, Incoming};
use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Emitted, Late};

/// The rows of a batch in their windows.
#[derive(Debug)]
struct Entries {
    /// The row of each entry.
    rows: Vec<u32>,
    /// The start of its window.
    starts: Vec<i64>,
    late: Vec<Late>,
}

impl Aggregate {
    /// The effect of rows, in their windows.
    pub(super) fn in_windows(
        &self,
        windows: Option<TimeWindows>,
        chunk: &Chunk,
        own: SourcePartition,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Result<Effect, ArrowError> {
        let incoming = Incoming { chunk, own };
        let mut history = History::new(clocks.clone());
        let Entries { rows, starts, late } = self.arrive(windows, incoming, memory, clocks, &mut history);
        let finals = windows.filter(|_| self.emission == Emission::Final).map(|windows| (windows, history));
        let due = if finals.is_some() { memory.take_closing(clocks) } else { Vec::new() };
        if rows.is_empty() && due.is_empty() {
            return Ok(Effect::of_nothing(late));
        }
        // A row is encoded once, in however many windows it is.
        let mut distinct = rows.clone();
        distinct.dedup();
        let encoded = self.key.encode(&self.group_columns(&rows_at(chunk, &distinct)?), distinct.len())?;
        let mut at = 0;
        let row_key = rows.iter().map(|row| {
            at += usize::from(distinct[at] != *row);
            encoded.value(at)
        });
        let of_rows = starts.iter().copied().zip(row_key.collect::<Vec<_>>());
        let groups = group(of_rows.chain(due.iter().map(|(start, key)| (*start, &**key))));
        let keys = groups.keys();
        let before = self.states(&groups, &keys, store)?;
        match finals {
            None => self.fold_entries(&rows_at(chunk, &rows)?, starts, &groups, &keys, &before, late),
            Some((windows, history)) => {
                let finals = Finals::new(windows, history, before.shares()?);
                self.close_windows(finals, incoming, &rows, due.len(), &groups, &keys, (before, late), memory, clocks)
            }
        }
    }

    /// Assigns the rows that belong to a group to their windows. A row is late if all of its windows have closed for its partition.
    fn arrive(
        &self,
        windows: Option<TimeWindows>,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        history: &mut History,
    ) -> Entries {
        let (belongs, rows) = (self.belongs(incoming.chunk), incoming.chunk.len());
        let mut entries =
            Entries { rows: Vec::with_capacity(rows), starts: Vec::with_capacity(rows), late: Vec::new() };
        for (row, at) in (0..rows).zip(0_u32..).filter(|(row, _)| belongs(*row)) {
            let source = incoming.source(row);
            let now_ms = clocks.advance(source, incoming.stream_time_ms(row));
            let Some(windows) = windows else {
                entries.rows.push(at);
                entries.starts.push(0);
                continue;
            };
            if self.emission == Emission::Final {
                history.add(row, source, now_ms);
            }
            let (before, mut missed) = (entries.rows.len(), None);
            for start in windows.starts(incoming.chunk.times_ms.value(row)) {
                let close = windows.close(start).filter(|close| *close <= now_ms);
                if let Some(close) = close {
                    missed = Some((start, close));
                } else {
                    memory.open.add(windows, start, source);
                    entries.rows.push(at);
                    entries.starts.push(start);
                }
            }
            if let (Some((start, close)), true) = (missed, entries.rows.len() == before) {
                entries.late.push(Late { row, reason: windows.late(start, close, now_ms) });
            }
        }
        entries
    }

    /// The effect of the entries, each of which is a row of the chunk.
    fn fold_entries(
        &self,
        chunk: &Chunk,
        starts: Vec<i64>,
        groups: &Groups<'_>,
        keys: &BinaryArray,
        before: &States,
        late: Vec<Late>,
    ) -> Result<Effect, ArrowError> {
        let Folded { states, running, times_ms } = self.fold(before, &groups.numbers, chunk)?;
        let emitted = match self.emission {
            Emission::EveryChange => {
                let before = self.gives_before.then(|| self.before_each(groups, before, &running)).transpose()?;
                let (groups, bounds) = (self.group_columns(chunk), self.bounds_of(starts.into()));
                let (offsets, origins) = (chunk.offsets.clone(), chunk.origins.clone());
                let results = Results { groups, bounds, results: running, valued: None, before };
                Emitted::from(self.chunk(results, times_ms, offsets, origins)?)
            }
            _ => Emitted::Nothing,
        };
        let values = self.state.encode(&states)?;
        Ok(Effect { puts: puts(groups, keys, &values), emitted, late })
    }

    /// The values of the GROUP BY columns.
    pub(super) fn group_columns(&self, chunk: &Chunk) -> Vec<ArrayRef> {
        self.groups.iter().map(|at| chunk.rows.column(*at).clone()).collect()
    }

    /// The results of each row's group before that row: those after the previous row of the group in the batch, or else those
    /// in the store.
    fn before_each(&self, groups: &Groups<'_>, before: &States, running: &[ArrayRef]) -> Result<Previous, ArrowError> {
        let count = groups.items.len() as u32;
        let mut last: Vec<u32> = (0..count).collect();
        let previous = |(row, number): (u32, &u32)| std::mem::replace(&mut last[*number as usize], count + row);
        let places: UInt32Array = (0..).zip(&groups.numbers).map(previous).collect::<Vec<_>>().into();
        let exists = |place: &u32| *place >= count || before.times_ms.is_valid(*place as usize);
        let valued = NullBuffer::from(places.values().iter().map(exists).collect::<Vec<_>>());
        let each = |(stored, running): (ArrayRef, &ArrayRef)| {
            take(&concat(&[stored.as_ref(), running.as_ref()])?, &places, None)
        };
        let results = self.results(before).into_iter().zip(running).map(each).collect::<Result<_, _>>()?;
        Ok(Previous { results, valued: Some(valued) })
    }

    /// The bounds of time windows, by their starts.
    pub(super) fn bounds_of(&self, starts: Int64Array) -> Option<[Int64Array; 2]> {
        let Some(super::Windows::Time(windows)) = self.windows else { return None };
        let ends = starts.values().iter().map(|start| windows.end(*start)).collect::<Vec<_>>();
        Some([starts, Int64Array::from(ends)])
    }
}

/// The keys and values of groups, by window.
pub(super) fn puts(
    groups: &Groups<'_>,
    keys: &BinaryArray,
    values: &BinaryArray,
) -> Vec<(i64, BinaryArray, BinaryArray)> {
    let part = |array: &BinaryArray, groups: &std::ops::Range<usize>| array.slice(groups.start, groups.len());
    groups.windows.iter().map(|(start, groups)| (*start, part(keys, groups), part(values, groups))).collect()
}
