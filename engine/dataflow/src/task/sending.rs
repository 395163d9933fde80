//! The output of a task: records of its topics, and rows for other tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::error::ArrowError;

use super::Task;
use crate::addresses::Addresses;
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::command::{Command, Exchanged, Written};
use crate::complaint::{ComplaintKind, Wrong};
use crate::exchange::Exchange;
use crate::output::Unwritten;

impl Task {
    pub(super) fn put_out(&mut self, chunk: &Chunk, at: usize, now_ms: i64) -> Result<(), ArrowError> {
        let (last, addresses) = (chunk.offsets.values().last().copied(), self.addresses(chunk));
        let source = self.own_source();
        let Some(output) = self.outputs.get_mut(at) else {
            self.commands.push_back(Command::Show(chunk.rows.clone()));
            self.last_out = last;
            return Ok(());
        };
        let exchanged = match &self.stage.outputs[at].exchange {
            Some(exchange) => {
                let split = stamped(chunk, exchange, source, &mut self.clocks)?;
                if self.exchanges_rows {
                    return self.send_rows(split, at);
                }
                Some(exchange.attach(split)?)
            }
            None => None,
        };
        let (batch, unwritten) = output.encode(exchanged.as_ref().unwrap_or(chunk), self.partition, now_ms)?;
        if !batch.is_empty() {
            let addresses = without(addresses.clone(), &unwritten);
            self.commands.push_back(Command::Write(Written { batch, addresses }));
            self.last_out = last;
        }
        for bad in unwritten {
            self.complain(ComplaintKind::Serialization, &addresses, bad.row, Wrong::Side(bad.side), bad.reason);
        }
        Ok(())
    }

    /// Sends rows to the tasks of the stage that reads the exchange with this index.
    pub(super) fn send_rows(&mut self, chunk: Chunk, at: usize) -> Result<(), ArrowError> {
        self.last_out = chunk.offsets.values().last().copied();
        let (partitions, unsent) = self.outputs[at].places(&chunk);
        let mut places: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
        for (row, partition) in (0..).zip(&partitions) {
            if !unsent.iter().any(|bad| bad.row == row as usize) {
                places.entry(*partition).or_default().push(row);
            }
        }
        let mut places: Vec<(i32, Vec<u32>)> = places.into_iter().collect();
        places.sort_by_key(|(_, rows)| rows[0]);
        let of = |(partition, rows): (i32, Vec<u32>)| Ok((partition, chunk.clone().take(&rows.into())?));
        let rows = places.into_iter().map(of).collect::<Result<_, ArrowError>>()?;
        let topic = Arc::from(self.stage.outputs[at].sink.topic.as_str());
        self.commands.push_back(Command::Exchange(Exchanged { topic, rows }));
        let addresses = self.addresses(&chunk);
        for bad in unsent {
            self.complain(ComplaintKind::Serialization, &addresses, bad.row, Wrong::Side(bad.side), bad.reason);
        }
        Ok(())
    }
}

/// Rows for an exchange, with the addresses of their records in the sources, and with stream times.
fn stamped(chunk: &Chunk, exchange: &Exchange, own: SourcePartition, clocks: &mut Clocks) -> Result<Chunk, ArrowError> {
    let origins = chunk.origins.clone().unwrap_or_else(|| Origins::own(own, &chunk.offsets));
    let clocks_ms = clocks.advance_by_row(chunk, own);
    exchange.split(chunk.clone(), origins, clocks_ms)
}

/// The addresses of the rows that were written.
fn without(addresses: Addresses, unwritten: &[Unwritten]) -> Addresses {
    if unwritten.is_empty() {
        return addresses;
    }
    let out: BTreeSet<usize> = unwritten.iter().map(|bad| bad.row).collect();
    addresses.filter(|row| !out.contains(&row))
}
