//! The effect of a batch on the sessions of its keys. `sessions` decides row by row which session a row belongs to; the states follow by
//! columns. All sessions of a key are one value of the store.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::{concat, take};
use arrow::error::ArrowError;
use headwater_state::Store;

use super::changed_sessions::{Change, Replaced, emitted_changes};
use super::contributors::{shares, with_shares};
use super::deadlines::Due;
use super::entries::Grouped;
use super::finals::Closed;
use super::folding::{Attempt, Folded, rows_at};
use super::history::History;
use super::memory::{Memory, SESSIONS};
use super::rejection::Rejected;
use super::sessions::{Arrival, Sessions};
use super::windowing::SessionWindows;
use super::{Aggregate, Effect, Emission, Incoming, list};
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::operator::Late;
use crate::operators::encoding::States;

/// The sessions of the keys in a batch, with their stored states.
struct Loaded {
    sessions: Sessions,
    /// The states of those that are stored, which have the first numbers.
    states: States,
}

/// A batch whose rows are added to sessions.
struct Batch<'a> {
    windows: SessionWindows,
    incoming: Incoming<'a>,
    /// The rows that belong to a group.
    rows: &'a [u32],
    /// The sessions that may have to be emitted after them.
    due: &'a [Due],
    /// The rows and these sessions by their keys.
    grouped: Grouped,
    /// Those of the rows that cannot be folded, by their index.
    left_out: BTreeSet<usize>,
}

/// What the rows of a batch did.
#[derive(Default)]
struct Outcome {
    /// The rows that belong to a session, by their index among those that belong to a group.
    rows: Vec<u32>,
    /// The session of each.
    sessions: Vec<usize>,
    /// What each row changed, if every change is emitted.
    changes: Vec<Change>,
    late: Vec<Late>,
}

impl Aggregate {
    /// The effect of rows, in their sessions. A row that a call cannot fold belongs to none.
    pub(super) fn in_sessions(
        &self,
        windows: SessionWindows,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Result<Effect, ArrowError> {
        let belongs = self.belongs(incoming.chunk);
        let rows: Vec<u32> = (0..incoming.chunk.len() as u32).filter(|row| belongs(*row as usize)).collect();
        let due = self.due(incoming, &rows, memory, clocks);
        if rows.is_empty() && due.is_empty() {
            return Ok(Effect::default());
        }
        let grouped = self.grouped(incoming, &rows, &vec![SESSIONS; rows.len()], &at_sessions(&due))?;
        let mut batch = Batch { windows, incoming, rows: &rows, due: &due, grouped, left_out: BTreeSet::new() };
        let (before, mut failures) = (clocks.clone(), Vec::new());
        loop {
            clocks.clone_from(&before);
            let rejected = match self.attempt_sessions(&batch, memory, clocks, store)? {
                Ok(effect) => return Ok(Effect { failures, ..effect }),
                Err(rejected) => rejected,
            };
            batch.left_out.extend(rejected.iter().map(|rejected| rejected.row));
            failures.extend(rejected.into_iter().map(|it| it.into_failure(|row| rows[row] as usize)));
        }
    }

    /// The effect of the rows that are not left out, if all of them can be folded.
    fn attempt_sessions(
        &self,
        batch: &Batch<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Attempt<Effect> {
        let Batch { windows, incoming, rows, due, grouped, .. } = batch;
        let Loaded { mut sessions, states } = self.load(*windows, &grouped.values(store)?, clocks)?;
        let mut history = History::new(clocks.clone());
        let outcome = self.add_rows(batch, &mut sessions, clocks, &mut history);
        let (stored, part) = (states.len(), rows_at(incoming.chunk, rows)?);
        let (states, places, folded) = match self.fold_sessions(&sessions, states, &outcome, &part)? {
            Ok(folded) => folded,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let emitted = match self.emission {
            Emission::LastChange => None,
            Emission::EveryChange => self.each_session(&outcome, &folded, &part)?,
            Emission::Final => {
                let (closed, bounds) = close(*windows, &mut sessions, grouped, &places, &history, clocks);
                self.final_results(&states, &closed, Some(bounds), *incoming)?
            }
        };
        let values = self.encode_sessions(&sessions, &states, &places)?;
        let times = due.iter().map(|(time_ms, _)| *time_ms);
        let noted: Vec<_> = times.zip(grouped.groups.numbers[rows.len()..].iter().copied()).collect();
        self.remember(*windows, &sessions, stored, grouped, &noted, memory);
        let puts = vec![(SESSIONS, grouped.keys.clone(), values)];
        Ok(Ok(Effect { puts, emitted, late: outcome.late, ..Effect::default() }))
    }

    /// The sessions that may have to be emitted after these rows.
    fn due(&self, incoming: Incoming<'_>, rows: &[u32], memory: &mut Memory, clocks: &Clocks) -> Vec<Due> {
        if self.emission != Emission::Final {
            return Vec::new();
        }
        let mut after = clocks.clone();
        for row in rows.iter().map(|row| *row as usize) {
            after.arrive(incoming.source(row), incoming.stream_time_ms(row));
        }
        memory.take_closing(&after)
    }

    /// The sessions in the values of some keys.
    fn load(&self, windows: SessionWindows, values: &BinaryArray, clocks: &Clocks) -> Result<Loaded, ArrowError> {
        let lists = values.iter().map(|value| list::split(value.unwrap_or_default())).collect::<Result<Vec<_>, _>>()?;
        let stored: Vec<&[u8]> = lists.iter().flatten().map(|(_, state)| *state).collect();
        let stored = BinaryArray::from_vec(stored);
        let states = States::decode(&self.state, &stored)?;
        let mut sessions = Sessions::new(windows, self.emission == Emission::Final, lists.len());
        let bounds =
            lists.iter().enumerate().flat_map(|(key, list)| list.iter().map(move |(bounds, _)| (key, *bounds)));
        for ((key, bounds), share) in bounds.zip(shares(&states)?) {
            sessions.restore(key, bounds, share.unwrap_or_default(), clocks);
        }
        Ok(Loaded { sessions, states })
    }

    /// Adds rows to sessions, in their order.
    fn add_rows(
        &self,
        batch: &Batch<'_>,
        sessions: &mut Sessions,
        clocks: &mut Clocks,
        history: &mut History,
    ) -> Outcome {
        let Batch { incoming, rows, grouped, left_out, .. } = batch;
        let (mut outcome, mut replaced) = (Outcome::default(), Replaced::new(sessions.all.len()));
        for ((at, row), key) in (0..).zip(rows.iter().map(|row| *row as usize)).zip(&grouped.groups.numbers) {
            let (source, stream_time_ms) = (incoming.source(row), incoming.stream_time_ms(row));
            let time_ms = incoming.chunk.times_ms.value(row);
            if left_out.contains(&(at as usize)) {
                clocks.arrive(source, stream_time_ms);
                continue;
            }
            let arrival = Arrival { row, key: *key as usize, time_ms, source, stream_time_ms };
            match sessions.add(arrival, clocks) {
                Err(reason) => outcome.late.push(Late { row, reason }),
                Ok(added) => {
                    if self.emission == Emission::EveryChange {
                        outcome.changes.extend(replaced.changes(&added, sessions.all[added.session].bounds));
                    }
                    outcome.rows.push(at);
                    outcome.sessions.push(added.session);
                }
            }
            if self.emission == Emission::Final {
                history.add(row, source, clocks.get(source).unwrap_or(stream_time_ms));
            }
        }
        outcome
    }

    /// Folds rows into the states of their sessions, level by level. Returns the states, the place of each session among them, and
    /// the results after each row.
    fn fold_sessions(
        &self,
        sessions: &Sessions,
        stored: States,
        outcome: &Outcome,
        chunk: &Chunk,
    ) -> Attempt<(States, Vec<u32>, Folded)> {
        let levels = sessions.all.iter().map(|session| session.level).max().unwrap_or(0);
        let (mut places, mut states) = (vec![0; sessions.all.len()], stored.clone());
        let (mut order, mut parts) = (Vec::new(), Vec::new());
        for level in 0..=levels {
            let of_level = (0..sessions.all.len()).filter(|session| sessions.all[*session].level == level);
            let of_level: Vec<usize> = of_level.collect();
            let is_new = |session: &&usize| **session >= stored.len();
            let new: Vec<usize> = of_level.iter().filter(is_new).copied().collect();
            (0..).zip(&of_level[..of_level.len() - new.len()]).for_each(|(place, session)| places[*session] = place);
            (states.len() as u32..).zip(&new).for_each(|(place, session)| places[*session] = place);
            states = states.and(&self.merged(sessions, &states, &new, &places)?)?;
            let at: Vec<usize> =
                (0..outcome.rows.len()).filter(|at| sessions.all[outcome.sessions[*at]].level == level).collect();
            let numbers: Vec<u32> = at.iter().map(|at| places[outcome.sessions[*at]]).collect();
            let rows: Vec<u32> = at.iter().map(|at| outcome.rows[*at]).collect();
            let folded = match self.fold(&states, &numbers, &rows_at(chunk, &rows)?, None)? {
                Ok(folded) => folded,
                Err(rejected) => {
                    let row = |it: Rejected| Rejected { row: rows[it.row] as usize, ..it };
                    return Ok(Err(rejected.into_iter().map(row).collect()));
                }
            };
            states = folded.states.clone();
            order.extend(at);
            parts.push(folded);
        }
        let folded = in_order(&stored, &parts, &order, &self.results(&stored))?;
        Ok(Ok((states, places, folded)))
    }

    /// The states of new sessions, each merged from earlier ones or without rows.
    fn merged(
        &self,
        sessions: &Sessions,
        states: &States,
        new: &[usize],
        places: &[u32],
    ) -> Result<States, ArrowError> {
        let merged = (0_u32..)
            .zip(new)
            .flat_map(|(into, session)| sessions.all[*session].merged.iter().map(move |from| (places[*from], into)));
        let (from, into): (Vec<u32>, Vec<u32>) = merged.unzip();
        match from.is_empty() {
            true => states.new_ones(new.len()),
            false => self.merge(&states.take(&UInt32Array::from(from))?, &into, new.len()),
        }
    }

    /// Every change of the sessions, with the results after it.
    fn each_session(&self, outcome: &Outcome, folded: &Folded, part: &Chunk) -> Result<Option<Chunk>, ArrowError> {
        let rows: Vec<u32> = outcome.changes.iter().map(|change| outcome.rows[change.entry]).collect();
        let rows = rows_at(part, &rows)?;
        let groups = self.group_columns(&rows);
        let (results, times_ms) = emitted_changes(groups, &outcome.changes, folded, self.gives_before)?;
        let changed = self.chunk(results, times_ms, rows.offsets, rows.origins)?;
        Ok((!changed.is_empty()).then_some(changed))
    }

    /// The value of each key, with all of its sessions; null if there are none.
    fn encode_sessions(&self, sessions: &Sessions, states: &States, places: &[u32]) -> Result<BinaryArray, ArrowError> {
        let kept: Vec<usize> =
            sessions.keys.iter().flat_map(|key| key.expired.iter().chain(&key.open)).copied().collect();
        let states = states.take(&kept.iter().map(|session| Some(places[*session])).collect())?;
        let shares = kept.iter().map(|session| Some(&sessions.all[*session].share));
        let encoded = with_shares(states, shares).encode(&self.state)?;
        let mut at = 0;
        let value = |key: &super::sessions::OfKey| {
            let mut value = Vec::new();
            for session in key.expired.iter().chain(&key.open) {
                list::push(&mut value, (sessions.all[*session].bounds, encoded.value(at)));
                at += 1;
            }
            (!value.is_empty()).then_some(value)
        };
        Ok(sessions.keys.iter().map(value).collect())
    }

    /// Remembers when new sessions expire and close. `noted` are times in sessions that were thought to close, with the numbers of
    /// their keys: those that have grown close later.
    fn remember(
        &self,
        windows: SessionWindows,
        sessions: &Sessions,
        stored: usize,
        grouped: &Grouped,
        noted: &[(i64, u32)],
        memory: &mut Memory,
    ) {
        let is_final = self.emission == Emission::Final;
        for (key, bytes) in sessions.keys.iter().zip((0..).map(|group| grouped.item(group).1)) {
            for session in key.open.iter().filter(|session| **session >= stored).map(|session| &sessions.all[*session])
            {
                memory.restore_session(windows, bytes, session.bounds[1], &session.share, is_final);
            }
        }
        for (time_ms, key) in noted {
            let (of_key, (_, bytes)) = (&sessions.keys[*key as usize], grouped.item(*key));
            for session in of_key.open.iter().map(|session| &sessions.all[*session]) {
                if (session.bounds[0]..=session.bounds[1]).contains(time_ms) && !session.share.is_emitted {
                    memory.add_closing(windows, bytes, session.bounds[1], &session.share);
                }
            }
        }
    }
}

/// Marks the sessions that are due, and returns them in the order in which they are emitted, with their bounds.
fn close(
    windows: SessionWindows,
    sessions: &mut Sessions,
    grouped: &Grouped,
    places: &[u32],
    history: &History,
    clocks: &Clocks,
) -> (Vec<Closed>, [Int64Array; 2]) {
    let mut closed = Vec::new();
    for (key, bytes) in sessions.keys.iter().zip((0..).map(|group| grouped.item(group).1)) {
        // A session may close and expire in one batch.
        for at in key.expired.iter().chain(&key.open) {
            let session = &mut sessions.all[*at];
            let Some(close_ms) = windows.close(session.bounds[1]) else { continue };
            if session.share.is_due(Some(close_ms), clocks) {
                session.share.is_emitted = true;
                // A row may make the session that stream time has closed already.
                let row = history.row(&session.share.contributors, close_ms).max(session.row);
                closed.push((Closed { row, close_ms, key: bytes.into(), place: places[*at] }, session.bounds));
            }
        }
    }
    closed.sort();
    let bounds = [0, 1].map(|bound| closed.iter().map(|(_, bounds)| bounds[bound]).collect());
    (closed.into_iter().map(|(closed, _)| closed).collect(), bounds)
}

/// The results after each row, in the order of the rows, behind those of the stored sessions. `order` has the rows of all parts.
fn in_order(stored: &States, parts: &[Folded], order: &[usize], results: &[ArrayRef]) -> Result<Folded, ArrowError> {
    let first = stored.len() as u32;
    let mut places: Vec<u32> = (0..first + order.len() as u32).collect();
    (first..).zip(order).for_each(|(place, row)| places[first as usize + row] = place);
    let places = UInt32Array::from(places);
    let all = |of_stored: &dyn Array, of_part: &dyn Fn(&Folded) -> Option<ArrayRef>| {
        let parts: Vec<ArrayRef> = parts.iter().filter_map(of_part).collect();
        let columns: Vec<&dyn Array> = std::iter::once(of_stored).chain(parts.iter().map(AsRef::as_ref)).collect();
        take(&concat(&columns)?, &places, None)
    };
    let times_ms = all(&stored.times_ms, &|part| Some(std::sync::Arc::new(part.times_ms.clone())))?;
    let is_running = parts.iter().all(|part| part.running.len() == results.len());
    let running = results.iter().enumerate().filter(|_| is_running);
    let running = running.map(|(call, column)| all(column, &|part| part.running.get(call).cloned()));
    Ok(Folded {
        states: stored.clone(),
        running: running.collect::<Result<_, _>>()?,
        times_ms: times_ms.as_primitive().clone(),
    })
}

/// The keys of sessions that are due, as keys of the store.
fn at_sessions(due: &[Due]) -> Vec<Due> {
    due.iter().map(|(_, key)| (SESSIONS, key.clone())).collect()
}
