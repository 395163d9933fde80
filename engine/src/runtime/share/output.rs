//! The output of a share: has its tasks work and performs their commands, by putting records and complaints into the outbox.

use std::collections::{BTreeMap, BTreeSet};

use headwater_connectors::transport::{Admin, TransportError, TransportErrorKind};
use headwater_dataflow::{Addresses, Command, Complaint, ComplaintKind, Exchanged, TaskId, TaskPosition, Written};
use headwater_formats::record::{RawBatch, TopicPartition};

use super::super::outbox::Work;
use super::super::query_status::QueryStatus;
use super::super::refusals::{MadeOf, all_but};
use super::super::turns::{self, Turns};
use super::super::{stopped_by, topics};
use super::{Share, fault};

impl Share {
    /// Has tasks take their turns until all is done, also what they send to the tasks of later stages. If more than `bytes_max`
    /// have been written in this epoch, tasks that are within a batch may stop: where these are is returned. `raws` are the
    /// records that are being processed.
    pub(super) fn take_turns(
        &mut self,
        mut turns: Turns<'_>,
        raws: &[RawBatch],
        bytes_max: Option<usize>,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<BTreeMap<TaskId, TaskPosition>, TransportError> {
        while !turns.is_empty() {
            status.stir();
            self.tasks.run(&mut turns, self.tally.records_read(), now_ms)?;
            let mut later = Turns::new();
            for command in turns::commands(&mut turns) {
                self.perform(command, raws, &mut later, status, now_ms)?;
            }
            self.take_turns(later, raws, None, status, now_ms)?;
            turns.retain(|_, turn| !turn.is_finished());
            if bytes_max.is_some_and(|max| self.epoch_bytes >= max) {
                let positions = self.tasks.positions(turns.keys().copied())?;
                // The next advance ends a batch of which nothing is left.
                if positions.values().all(|position| *position != TaskPosition::Done) {
                    return Ok(positions);
                }
            }
        }
        Ok(BTreeMap::new())
    }

    /// Performs a command of a task. Rows for tasks of another stage are added to their turns.
    fn perform(
        &mut self,
        command: Command,
        raws: &[RawBatch],
        later: &mut Turns<'_>,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        match command {
            Command::Write(written) => self.write(written, raws, status, now_ms)?,
            Command::Exchange(Exchanged { topic, rows }) => {
                for (partition, chunk) in rows {
                    let (id, port) = self.tasks.reader(&TopicPartition::new(topic.clone(), partition))?;
                    turns::add(later, id, port, chunk);
                }
            }
            Command::Log(changes) => {
                self.epoch_bytes += changes.payload_bytes();
                if let Some(keeper) = &mut self.keeper {
                    keeper.logged(&changes);
                }
                self.outbox.put(Work::Write(changes, MadeOf::State))?;
            }
            Command::Complain(complaint) => self.complain(&complaint, raws, status),
            Command::Stop(complaint) => {
                self.stopped = Some((complaint.origin.clone(), complaint.offset, stopped_by(&complaint)))
            }
            Command::Show(_) | Command::Reached(_) => {}
        }
        Ok(())
    }

    /// Writes records, except those that the topic is known to refuse: these are reported.
    fn write(
        &mut self,
        written: Written,
        raws: &[RawBatch],
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        let Written { batch, addresses } = written;
        let is_read = self.tasks.is_read(&addresses.input);
        let refused = match is_read {
            true => self.refusals.of(&addresses.input, addresses.offsets.values()),
            false => self.refusals.of_rows(&addresses),
        };
        let (batch, addresses) = match refused.is_empty() {
            true => (batch, addresses),
            false => {
                let (keep, rows) = (batch.len(), refused.iter().map(|(row, ..)| *row).collect::<BTreeSet<_>>());
                self.report(&addresses, refused, raws, status);
                let batch = batch.filter(&all_but(keep, rows.iter().copied())).map_err(fault)?;
                (batch, addresses.filter(|row| !rows.contains(&row)))
            }
        };
        if batch.is_empty() {
            return Ok(());
        }
        if let Some(warning) = self.expiring.as_ref().and_then(|expiring| expiring.warning(&batch, now_ms)) {
            self.expiring = None;
            status.warn_of_expiry(warning);
        }
        self.epoch_bytes += batch.payload_bytes();
        if !self.exchanges.contains(&batch.topic) {
            self.tally.wrote(batch.len() as u64);
        }
        let made = match is_read {
            true => MadeOf::Records(addresses.input, addresses.offsets),
            false => MadeOf::Rows(Box::new(addresses)),
        };
        self.outbox.put(Work::Write(batch, made))
    }

    /// Reports rows that are left out because the topic refuses them.
    fn report(
        &mut self,
        addresses: &Addresses,
        refused: Vec<(usize, i64, String)>,
        raws: &[RawBatch],
        status: &QueryStatus,
    ) {
        let mut reported = None;
        for (row, offset, reason) in refused {
            // All rows of an exploded record share one complaint.
            if reported.replace(offset) == Some(offset) {
                continue;
            }
            let (kind, (origin, offset)) = (ComplaintKind::Serialization, addresses.record(row));
            self.complain(&Complaint { kind, origin, offset, side: None, expr: None, reason }, raws, status);
        }
    }

    fn complain(&mut self, complaint: &Complaint, raws: &[RawBatch], status: &QueryStatus) {
        self.tally.complained(complaint);
        status.complained(complaint);
        // A record of an exchange is not the record that the complaint is about.
        self.complaints.add(complaint, raws.iter().find(|raw| raw.origin == complaint.origin));
    }

    /// Sends dead letters to the outbox at once, since they may be many and large.
    pub(super) fn send_dead(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(letters) = self.complaints.take_dead(now_ms) else { return Ok(()) };
        if self.refusals.is_silent(&letters.topic) {
            return Ok(());
        }
        self.epoch_bytes += letters.payload_bytes();
        self.outbox.put(Work::Write(letters, MadeOf::Complaints))
    }

    /// Writes the complaints of the epoch to the processing log and creates its topic if it is missing. Complaints that
    /// the topic does not accept do not stop the query.
    pub(in super::super) fn log_complaints(
        &mut self,
        admin: &dyn Admin,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        self.send_dead(now_ms)?;
        let mut unlogged = self.complaints.take_unlogged();
        if let Some(entries) = self.complaints.take_log(now_ms) {
            // It may have been deleted since. librdkafka would then wait for it until the transaction times out.
            self.log_missing |= matches!(admin.glance(&entries.topic), Ok(None));
            let made = if self.log_missing { topics::make_processing_log(admin, &entries.topic) } else { Ok(()) };
            match made {
                Ok(()) if self.refusals.is_silent(&entries.topic) => unlogged += entries.len() as u64,
                Ok(()) => {
                    self.log_missing = false;
                    self.outbox.put(Work::Write(entries, MadeOf::Complaints))?;
                }
                Err(error) if error.kind == TransportErrorKind::Authorization => unlogged += entries.len() as u64,
                Err(error) => return Err(error),
            }
        }
        status.unlogged(unlogged);
        Ok(())
    }
}
