//! The effect of a batch on the sessions of its keys. `sessions` decides row by row which session a row belongs to; the states follow by
//! columns. All sessions of a key are one value of the store.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::{concat, take};
use arrow::error::ArrowError;
use headwater_state::Store;

use super::changed_sessions::{Change, Replaced, emitted_changes};
use super::encoding::States;
use super::finals::Closed;
use super::folding::{Folded, rows_at};
use super::grouping::{Groups, group};
use super::history::History;
use super::memory::{Memory, SESSIONS};
use super::sessions::{Added, Arrival, Sessions};
use super::windowing::SessionWindows;
use super::{Aggregate, Effect, Emission, Incoming, list};
use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Emitted, Late};

/// The sessions of the keys in a batch, with their stored states.
struct Loaded {
    sessions: Sessions,
    /// The states of those that are stored, which have the first numbers.
    states: States,
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
    /// The effect of rows, in their sessions.
    pub(super) fn in_sessions(
        &self,
        windows: SessionWindows,
        chunk: &Chunk,
        own: SourcePartition,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Result<Effect, ArrowError> {
        let (incoming, belongs) = (Incoming { chunk, own }, self.belongs(chunk));
        let rows: Vec<u32> = (0..chunk.len() as u32).filter(|row| belongs(*row as usize)).collect();
        let due = self.due(incoming, &rows, memory, clocks);
        if rows.is_empty() && due.is_empty() {
            return Ok(Effect::of_nothing(Vec::new()));
        }
        let part = rows_at(chunk, &rows)?;
        let encoded = self.key.encode(&self.group_columns(&part), part.len())?;
        let row_keys = (0..encoded.len()).map(|row| (SESSIONS, encoded.value(row)));
        let groups = group(row_keys.chain(due.iter().map(|(_, key)| (SESSIONS, &**key))));
        let keys = groups.keys();
        let Loaded { mut sessions, states } = self.load(windows, &store.get(SESSIONS, &keys)?, clocks)?;
        let mut history = History::new(clocks.clone());
        let outcome = self.add_rows(incoming, &rows, &groups, &mut sessions, clocks, &mut history);
        let stored = states.len();
        let (states, places, folded) = self.fold_sessions(&sessions, states, &outcome, &part)?;
        let emitted = match self.emission {
            Emission::LastChange => Emitted::Nothing,
            Emission::EveryChange => self.each_change(&outcome, &folded, &part)?,
            Emission::Final => {
                let (closed, bounds) = close(windows, &mut sessions, &groups, &places, &history, clocks);
                self.final_results(&states, &closed, Some(bounds), incoming)?
            }
        };
        let values = self.encode_sessions(&sessions, &states, &places)?;
        let times = due.iter().map(|(time_ms, _)| *time_ms);
        let noted: Vec<_> = times.zip(groups.numbers[rows.len()..].iter().copied()).collect();
        self.remember(windows, &sessions, stored, &groups, &noted, memory);
        Ok(Effect { puts: vec![(SESSIONS, keys, values)], emitted, late: outcome.late })
    }

    /// The sessions that may have to be emitted after these rows.
    fn due(
        &self,
        incoming: Incoming<'_>,
        rows: &[u32],
        memory: &mut Memory,
        clocks: &Clocks,
    ) -> Vec<super::deadlines::Due> {
        if self.emission != Emission::Final {
            return Vec::new();
        }
        let mut after = clocks.clone();
        for row in rows.iter().map(|row| *row as usize) {
            after.advance(incoming.source(row), incoming.stream_time_ms(row));
        }
        memory.take_closing(&after)
    }

    /// The sessions in the values of some keys.
    fn load(&self, windows: SessionWindows, values: &BinaryArray, clocks: &Clocks) -> Result<Loaded, ArrowError> {
        let lists = values.iter().map(|value| list::split(value.unwrap_or_default())).collect::<Result<Vec<_>, _>>()?;
        let stored: Vec<&[u8]> = lists.iter().flatten().map(|(_, state)| *state).collect();
        let stored = BinaryArray::from_vec(stored);
        let states = self.state.decode(&stored)?;
        let mut sessions = Sessions::new(windows, self.emission == Emission::Final, lists.len());
        let bounds =
            lists.iter().enumerate().flat_map(|(key, list)| list.iter().map(move |(bounds, _)| (key, *bounds)));
        for ((key, bounds), share) in bounds.zip(states.shares()?) {
            sessions.restore(key, bounds, share.unwrap_or_default(), clocks);
        }
        Ok(Loaded { sessions, states })
    }

    /// Adds rows to sessions, in their order.
    fn add_rows(
        &self,
        incoming: Incoming<'_>,
        rows: &[u32],
        groups: &Groups<'_>,
        sessions: &mut Sessions,
        clocks: &mut Clocks,
        history: &mut History,
    ) -> Outcome {
        let (mut outcome, mut replaced) = (Outcome::default(), Replaced::new(sessions.all.len()));
        for ((at, row), key) in (0_u32..).zip(rows.iter().map(|row| *row as usize)).zip(&groups.numbers) {
            let (source, stream_time_ms) = (incoming.source(row), incoming.stream_time_ms(row));
            let time_ms = incoming.chunk.times_ms.value(row);
            let arrival = Arrival { key: *key as usize, time_ms, source, stream_time_ms };
            match sessions.add(arrival, clocks) {
                Err(reason) => outcome.late.push(Late { row, reason }),
                Ok(added) => {
                    if self.emission == Emission::EveryChange {
                        outcome.changes.extend(replaced.changes(&added, sessions.all[added.session].bounds));
                    }
                    let Added { session, .. } = added;
                    outcome.rows.push(at);
                    outcome.sessions.push(session);
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
    ) -> Result<(States, Vec<u32>, Folded), ArrowError> {
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
            let folded = self.fold(&states, &numbers, &rows_at(chunk, &rows)?)?;
            states = folded.states.clone();
            order.extend(at);
            parts.push(folded);
        }
        let folded = in_order(&stored, &parts, &order, &self.results(&stored))?;
        Ok((states, places, folded))
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
            true => states.new_groups(new.len()),
            false => self.merge(&states.take(&UInt32Array::from(from))?, &into, new.len()),
        }
    }

    /// Every change of the sessions, with the results after it.
    fn each_change(&self, outcome: &Outcome, folded: &Folded, part: &Chunk) -> Result<Emitted, ArrowError> {
        let rows: Vec<u32> = outcome.changes.iter().map(|change| outcome.rows[change.entry]).collect();
        let rows = rows_at(part, &rows)?;
        let groups = self.group_columns(&rows);
        let (results, times_ms) = emitted_changes(groups, &outcome.changes, folded, self.gives_before)?;
        self.chunk(results, times_ms, rows.offsets, rows.origins).map(Emitted::from)
    }

    /// The value of each key, with all of its sessions; null if there are none.
    fn encode_sessions(&self, sessions: &Sessions, states: &States, places: &[u32]) -> Result<BinaryArray, ArrowError> {
        let kept: Vec<usize> =
            sessions.keys.iter().flat_map(|key| key.expired.iter().chain(&key.open)).copied().collect();
        let states = states.take(&kept.iter().map(|session| Some(places[*session])).collect())?;
        let shares: Vec<_> = kept.iter().map(|session| Some(sessions.all[*session].share.clone())).collect();
        let encoded = self.state.encode(&states.with_shares(&shares))?;
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
        groups: &Groups<'_>,
        noted: &[(i64, u32)],
        memory: &mut Memory,
    ) {
        let is_final = self.emission == Emission::Final;
        for (key, (_, bytes)) in sessions.keys.iter().zip(&groups.items) {
            for session in key.open.iter().filter(|session| **session >= stored).map(|session| &sessions.all[*session])
            {
                memory.restore_session(windows, bytes, session.bounds[1], &session.share, is_final);
            }
        }
        for (time_ms, key) in noted {
            let (of_key, (_, bytes)) = (&sessions.keys[*key as usize], groups.items[*key as usize]);
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
    groups: &Groups<'_>,
    places: &[u32],
    history: &History,
    clocks: &Clocks,
) -> (Vec<Closed>, [Int64Array; 2]) {
    let mut closed = Vec::new();
    for (key, (_, bytes)) in sessions.keys.iter().zip(&groups.items) {
        // A session may close and expire in one batch.
        for at in key.expired.iter().chain(&key.open) {
            let session = &mut sessions.all[*at];
            let Some(close_ms) = windows.close(session.bounds[1]) else { continue };
            if session.share.is_due(Some(close_ms), clocks) {
                session.share.is_emitted = true;
                let row = history.row(&session.share.contributors, close_ms);
                closed.push((Closed { row, close_ms, key: (*bytes).into(), place: places[*at] }, session.bounds));
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
