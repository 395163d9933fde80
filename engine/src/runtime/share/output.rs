//! The output of a share: performs the commands of its tasks, by putting records and complaints into the outbox.

use arrow::array::{AsArray, Int64Array};
use arrow::compute::filter;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use headwater_connectors::transport::{Admin, TransportError, TransportErrorKind};
use headwater_dataflow::{Command, Complaint, ComplaintKind, TaskId, Written};
use headwater_formats::record::{OutBatch, RawBatch};

use super::super::outbox::Work;
use super::super::query_status::QueryStatus;
use super::super::refusals::{MadeOf, all_but};
use super::super::{stopped_by, topics};
use super::{Share, fault};

impl Share {
    /// Performs the commands of a task.
    pub(super) fn perform_all(
        &mut self,
        id: TaskId,
        raw: Option<&RawBatch>,
        status: &QueryStatus,
    ) -> Result<(), TransportError> {
        while let Some(command) = self.tasks.poll_command(id) {
            match command {
                Command::Write(written) => self.write(written, raw, status)?,
                Command::Log(changes) => {
                    self.epoch_bytes += changes.payload_bytes();
                    self.outbox.put(Work::Write(changes, MadeOf::State))?;
                }
                Command::Complain(complaint) => self.complain(&complaint, raw, status),
                Command::Stop(complaint) => self.stopped = Some((complaint.offset, stopped_by(&complaint))),
                Command::Show(_) | Command::Reached(_) => {}
            }
        }
        Ok(())
    }

    /// Writes records, except those that the topic is known to refuse: these are reported.
    fn write(&mut self, written: Written, raw: Option<&RawBatch>, status: &QueryStatus) -> Result<(), TransportError> {
        let Written { batch, addresses } = written;
        let (input, offsets) = (&addresses.input, addresses.offsets.clone());
        let refused = self.refusals.of(input, offsets.values());
        let (batch, offsets) = match refused.is_empty() {
            true => (batch, offsets),
            false => without(&batch, &offsets, refused.iter().map(|(row, ..)| *row)).map_err(fault)?,
        };
        let mut reported = None;
        for (row, offset, reason) in refused {
            // All rows of an exploded record share one complaint.
            if reported.replace(offset) == Some(offset) {
                continue;
            }
            let (kind, (origin, offset)) = (ComplaintKind::Serialization, addresses.record(row));
            self.complain(&Complaint { kind, origin, offset, side: None, expr: None, reason }, raw, status);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.epoch_bytes += batch.payload_bytes();
        if !self.exchanges.contains(&batch.topic) {
            self.tally.wrote(batch.len() as u64);
        }
        self.outbox.put(Work::Write(batch, MadeOf::Records(addresses.input, offsets)))
    }

    fn complain(&mut self, complaint: &Complaint, raw: Option<&RawBatch>, status: &QueryStatus) {
        self.tally.complained();
        status.complained(complaint);
        // A record of an exchange is not the record that the complaint is about.
        self.complaints.add(complaint, raw.filter(|raw| raw.origin == complaint.origin));
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

/// A batch and its offsets without the given rows.
fn without(
    batch: &OutBatch,
    offsets: &Int64Array,
    rows: impl Iterator<Item = usize>,
) -> Result<(OutBatch, Int64Array), ArrowError> {
    let keep = all_but(batch.len(), rows);
    Ok((batch.filter(&keep)?, filter(offsets, &keep)?.as_primitive::<Int64Type>().clone()))
}
