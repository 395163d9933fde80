//! Where a query continues: the committed offsets of its group, compared with the log as it is now, per partition.
//!
//! ```text
//! committed offset                             the query continues
//! within the log                               there
//! before the first record                      at the first record, and reports a gap
//! after the end, or of a recreated topic       not at all, until the user says where: RESUME … FROM
//! none, and there never was one                where `auto.offset.reset` says, a table at the first record
//! none, but other partitions have one          at the first record, since the partition is new
//! none, but there was one                      not at all, as above
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::{
    Admin, Extent, Isolation, LossCause, Lost, Member, Position, ReadRange, TopicId, TopicIds, TransportError,
    Watermarks,
};
use headwater_formats::record::TopicPartition;
use headwater_language::catalog::{QueryDef, Restart, RestartFrom};

use super::goal::Goal;
use super::inputs::Inputs;
use super::note::Note;

/// Where a query starts to read each partition.
pub(super) struct Start {
    /// The ranges to read.
    pub(super) ranges: Vec<ReadRange>,
    /// The id of the topic that is read.
    pub(super) ids: TopicIds,
    /// Positions to commit before anything is read, because where a query begins is part of what it guarantees.
    pub(super) first: BTreeMap<TopicPartition, Position>,
    /// The note to commit with each offset.
    pub(super) notes: BTreeMap<TopicPartition, Note>,
    /// Offsets that were deleted before they were read.
    pub(super) gaps: Vec<Lost>,
    /// How many partitions each topic has.
    pub(super) partitions: BTreeMap<Arc<str>, i32>,
}

/// What is needed to find the start.
pub(super) struct StartContext<'a> {
    /// The cluster.
    pub(super) admin: &'a dyn Admin,
    /// The query's member of its group.
    pub(super) member: &'a dyn Member,
    /// The query.
    pub(super) query: &'a QueryDef,
    /// Where it ends, of a query that runs until idle.
    pub(super) goal: Option<&'a Goal>,
    /// The topics that it reads, with the ids of those that this process has read so far.
    pub(super) inputs: &'a Inputs,
    /// Partitions that had a committed position when they were last assigned to this process.
    pub(super) positioned: &'a BTreeSet<TopicPartition>,
}

/// Where one partition continues.
struct Begin {
    offset: i64,
    note: Note,
    /// The position must be committed before anything is read.
    first: bool,
    gap: Option<Lost>,
}

/// The message that says why a partition cannot continue.
struct Stuck(String);

impl Start {
    /// Finds the positions of the group's last commit. Fails with [`TransportErrorKind::Lost`] when the log no longer has
    /// them.
    pub(super) fn find(context: &StartContext<'_>, partitions: &[TopicPartition]) -> Result<Self, TransportError> {
        let mut start = Self {
            ranges: Vec::new(),
            ids: TopicIds::new(),
            first: BTreeMap::new(),
            notes: BTreeMap::new(),
            gaps: Vec::new(),
            partitions: BTreeMap::new(),
        };
        let mut stuck = Vec::new();
        for of_topic in partitions.chunk_by(|one, other| one.topic == other.topic) {
            stuck.extend(start.find_in_topic(context, of_topic)?);
        }
        if stuck.is_empty() { Ok(start) } else { Err(lost(&stuck)) }
    }

    /// Finds the positions of some partitions of one topic. Returns why some of them cannot continue.
    fn find_in_topic(
        &mut self,
        context: &StartContext<'_>,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Stuck>, TransportError> {
        let Some(first) = partitions.first() else { return Ok(Vec::new()) };
        // The topic's id is read before its ends, so that a recreated topic is noticed when it is read later.
        let extent = context.admin.extent(&first.topic, Isolation::ReadCommitted)?;
        if is_other(context.inputs.id(&first.topic), extent.id) {
            let lost = Lost { partition: first.clone(), cause: LossCause::Recreated, from: 0, to: 0 };
            return Err(lost.into());
        }
        self.ids.extend(extent.id.map(|id| (first.topic.clone(), id)));
        self.partitions.insert(first.topic.clone(), count(&extent));
        let committed = Committed::read(context.member, partitions, &extent)?;
        let mut stuck = Vec::new();
        for partition in partitions {
            let mark = mark(&extent.marks, partition)?;
            match context.begin(partition, &committed, &extent, mark)? {
                Ok(begin) => self.add(partition, begin, context, mark),
                Err(why) => stuck.push(why),
            }
        }
        Ok(stuck)
    }

    fn add(&mut self, partition: &TopicPartition, begin: Begin, context: &StartContext<'_>, mark: Watermarks) {
        let Begin { offset, note, first, gap } = begin;
        if first {
            self.first.insert(partition.clone(), Position::new(offset, &note.to_string().into()));
        }
        self.notes.insert(partition.clone(), note);
        self.gaps.extend(gap);
        // An exchange ends when what is written to it ends.
        let goal = context.goal.filter(|_| !context.inputs.is_exchange(&partition.topic));
        let end = goal.map(|goal| goal.end(partition).unwrap_or(mark.end).max(offset));
        self.ranges.push(ReadRange { partition: partition.clone(), start: offset, end });
    }
}

/// The committed positions of the group.
struct Committed {
    positions: BTreeMap<TopicPartition, Position>,
    /// How many partitions the topic had when the query began, if any note says so.
    born: Option<i32>,
}

impl Committed {
    /// Reads the positions of these partitions. If one has none, reads those of all partitions of the topic, which show
    /// whether it is new.
    fn read(member: &dyn Member, partitions: &[TopicPartition], extent: &Extent) -> Result<Self, TransportError> {
        let mut positions = positions(member, partitions)?;
        if let Some(missing) = partitions.iter().find(|partition| !positions.contains_key(partition)) {
            let all: Vec<_> = (0..count(extent)).map(|p| TopicPartition::new(missing.topic.clone(), p)).collect();
            positions = self::positions(member, &all)?;
        }
        let born = positions.values().filter_map(|position| Note::read(&position.note).partitions).min();
        Ok(Self { positions, born })
    }
}

fn positions(
    member: &dyn Member,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Position>, TransportError> {
    let found = member.committed(partitions)?;
    Ok(found.into_iter().filter_map(|(partition, position)| Some((partition, position?))).collect())
}

impl StartContext<'_> {
    fn begin(
        &self,
        partition: &TopicPartition,
        committed: &Committed,
        extent: &Extent,
        mark: Watermarks,
    ) -> Result<Result<Begin, Stuck>, TransportError> {
        let Some(position) = committed.positions.get(partition) else {
            return Ok(self.begin_without(partition, committed, extent, mark));
        };
        let old = Note::read(&position.note);
        let cause = match position.offset {
            _ if is_other(old.topic, extent.id) => Some(LossCause::Recreated),
            offset if offset > mark.end && self.is_behind_the_end(partition, offset)? => Some(LossCause::Truncated),
            _ => None,
        };
        let partitions = old.partitions.or(Some(count(extent)));
        let note = Note { topic: extent.id.or(old.topic), partitions, restart: self.query.restarts(), ..old };
        let Some(cause) = cause else {
            return Ok(Ok(go_on(partition, position.offset, old, note, mark)));
        };
        Ok(match self.restart_after(old.restart) {
            Some(restart) => Ok(Begin { offset: at(restart, partition, extent, mark), note, first: true, gap: None }),
            None => Err(Stuck(self.gone(partition, cause, position.offset, mark))),
        })
    }

    /// A partition without a committed position: the query or the partition is new, or the position has expired.
    fn begin_without(
        &self,
        partition: &TopicPartition,
        committed: &Committed,
        extent: &Extent,
        mark: Watermarks,
    ) -> Result<Begin, Stuck> {
        let is_new = !committed.positions.is_empty() && committed.born.is_none_or(|born| partition.partition >= born);
        let born = committed.born.unwrap_or_else(|| count(extent));
        let note = Note { topic: extent.id, partitions: Some(born), restart: self.query.restarts(), ..Note::default() };
        let begin = |offset| Begin { offset, note, first: true, gap: None };
        // The number of the restart after which it had a position, if it ever had one.
        let had_position = match self.positioned.contains(partition) {
            true => Some(self.query.restarts()),
            false => self.query.began.filter(|_| !is_new),
        };
        if let Some(seen) = had_position {
            return match self.restart_after(seen) {
                Some(restart) => Ok(begin(at(restart, partition, extent, mark))),
                None => Err(Stuck(format!(
                    "the committed offset of {partition} is gone: it expired, or was deleted along with its topic"
                ))),
            };
        }
        // An exchange and a table are always read from their first record.
        let is_table = self.query.topology.reads_table(&partition.topic);
        let is_stream = !self.inputs.is_exchange(&partition.topic) && !is_table;
        let starts_late = is_stream && self.query.property("auto.offset.reset") == "latest" && !is_new;
        Ok(begin(if starts_late { mark.end } else { mark.start }))
    }

    /// Where the user wants a lost partition to begin, if a RESUME … FROM after the one with this number says so.
    fn restart_after(&self, seen: u64) -> Option<&Restart> {
        self.query.restart.as_ref().filter(|restart| restart.number > seen)
    }

    /// Whether a committed offset is after the end of the log. The stable end alone does not show this: it is held back by
    /// open transactions, and a broker may report it late.
    fn is_behind_the_end(&self, partition: &TopicPartition, offset: i64) -> Result<bool, TransportError> {
        let marks = self.admin.watermarks(&partition.topic, Isolation::ReadUncommitted)?;
        Ok(mark(&marks, partition).is_ok_and(|mark| offset > mark.end))
    }

    fn gone(&self, partition: &TopicPartition, cause: LossCause, offset: i64, mark: Watermarks) -> String {
        match cause {
            LossCause::Recreated => {
                format!(
                    "topic \"{}\" was deleted and created again; offset {offset} of {partition} belongs to the former topic",
                    partition.topic
                )
            }
            _ => format!(
                "{partition} ends at offset {}, before the committed offset {offset}: it was truncated",
                mark.end
            ),
        }
    }
}

/// Continues at a committed offset that is within the log or before its first record.
fn go_on(partition: &TopicPartition, committed: i64, old: Note, mut note: Note, mark: Watermarks) -> Begin {
    let offset = committed.max(mark.start);
    let gap = (committed < offset).then(|| Lost {
        partition: partition.clone(),
        cause: LossCause::Deleted,
        from: committed,
        to: offset,
    });
    note.lost = old.lost;
    // Commit now that this RESUME … FROM was seen, so that it does not apply to a later loss.
    Begin { offset, note, first: note.restart > old.restart && gap.is_none(), gap }
}

/// Where a partition begins after RESUME … FROM. Records written after the statement are read, also from a topic that
/// was created after it.
fn at(restart: &Restart, partition: &TopicPartition, extent: &Extent, mark: Watermarks) -> i64 {
    let Restart { from, ends, .. } = restart;
    match (from, ends) {
        (RestartFrom::Earliest, _) => mark.start,
        (RestartFrom::Latest, None) => mark.end,
        (RestartFrom::Latest, Some(ends)) => {
            let then = ends.topic.as_deref().and_then(|id| id.parse().ok());
            let end = usize::try_from(partition.partition).ok().and_then(|at| ends.offsets.get(at).copied());
            match end.filter(|_| !is_other(then, extent.id)) {
                Some(end) => end.clamp(mark.start, mark.end),
                None => mark.start,
            }
        }
    }
}

/// Whether a topic is known to be a different one than expected.
fn is_other(meant: Option<TopicId>, found: Option<TopicId>) -> bool {
    meant.zip(found).is_some_and(|(meant, found)| meant != found)
}

fn count(extent: &Extent) -> i32 {
    i32::try_from(extent.marks.len()).unwrap_or(i32::MAX)
}

/// The watermarks of a partition among those of its topic. Fails if the topic has no such partition.
pub(super) fn mark(marks: &[Watermarks], partition: &TopicPartition) -> Result<Watermarks, TransportError> {
    let mark = usize::try_from(partition.partition).ok().and_then(|at| marks.get(at)).copied();
    mark.ok_or_else(|| TransportError::other(format!("{partition} does not exist")))
}

/// The error that combines the reasons of all stuck partitions.
fn lost(stuck: &[Stuck]) -> TransportError {
    let mut message = stuck.first().map_or_else(String::new, |first| first.0.clone());
    match stuck.len() {
        0 | 1 => {}
        2 => message.push_str("; and one more partition like it"),
        all => message.push_str(&format!("; and {} more partitions like it", all - 1)),
    }
    TransportError::lost(message)
}
