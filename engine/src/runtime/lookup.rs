//! Looks one key of a table up in the state of its query, if that is in this process: the answer of a pull query in
//! microseconds. The rows are those that a scan of the state finds.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_connectors::table::Progress;
use headwater_connectors::transport::{Isolation, Transport};
use headwater_language::config::Settings;
use headwater_language::diagnostic::Diagnostic;
use headwater_planner::lookup::Lookup;

use super::state_scan::{StateScan, read};
use super::state_table::address;
use super::states::{StateSnapshot, States};
use super::{blocking, isolation};
use crate::answer::Rows;
use crate::failure;

/// The rows that were found; `None` if a scan has to.
type Found = std::result::Result<Option<Rows>, Vec<Diagnostic>>;

/// The row of a key. `None` if the state is elsewhere or does not have all that the topic has, which a scan can read.
pub(crate) async fn rows(
    lookup: &Lookup,
    transport: &Arc<dyn Transport>,
    states: &Arc<States>,
    settings: &Settings,
) -> Found {
    if !is_for_states(lookup, settings) {
        return Ok(None);
    }
    if let Some(rows) = rows_now(lookup, states, settings)? {
        return Ok(Some(rows));
    }
    let (states, transport, query) = (states.clone(), transport.clone(), lookup.query.clone());
    let taken = blocking(move || states.snapshot(transport.admin(), &query)).await?;
    let state = taken.map_err(|error| vec![failure::transport(&error)])?.ok();
    found(lookup, state)
}

/// The same without asking the cluster: `None` also if that would be necessary.
fn rows_now(lookup: &Lookup, states: &States, settings: &Settings) -> Found {
    let state = if is_for_states(lookup, settings) { states.now(&lookup.query) } else { None };
    found(lookup, state)
}

/// Whether states have what is looked up: committed rows, without their addresses in the topic.
fn is_for_states(lookup: &Lookup, settings: &Settings) -> bool {
    isolation(settings) != Isolation::ReadUncommitted && address(|name| reads(lookup, name)).is_none()
}

fn found(lookup: &Lookup, state: Option<StateSnapshot>) -> Found {
    let found = state.map_or(Ok(None), |state| find(lookup, state));
    found.map_err(|error| failure::diagnose(&error, None))
}

/// Whether a column with this name is read.
fn reads(lookup: &Lookup, name: &str) -> bool {
    lookup.schema.index_of(name).is_ok()
}

fn find(lookup: &Lookup, state: StateSnapshot) -> Result<Option<Rows>> {
    let Some(columns) = state.materialized.key_columns() else { return Ok(None) };
    let value = |(name, data_type): &(&str, _)| {
        let (_, value) = lookup.key.iter().find(|(column, _)| column == name)?;
        (value.data_type() == *data_type).then(|| value.clone())
    };
    let values: Option<Vec<ScalarValue>> = columns.iter().map(value).collect();
    let Some(values) = values.filter(|values| values.len() == lookup.key.len()) else { return Ok(None) };
    let values = values.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
    let keys = Some(state.materialized.keys(&values)?);
    let progress = Arc::new(Progress::default());
    let scan = StateScan {
        state: Arc::new(state),
        spec: lookup.spec.clone(),
        projection: lookup.projection.clone(),
        schema: lookup.schema.clone(),
        keys,
        windows: None,
        limit: None,
        progress: progress.clone(),
    };
    let mut batches = Vec::new();
    let read = read(&scan, 0..scan.state.partitions.len(), 1, &mut |batch| {
        batches.push(Ok(batch));
        true
    });
    // As in a scan, what fails while it is read comes in the place of the rows.
    batches.extend(read.err().map(Err));
    let batches = futures::stream::iter(batches);
    let stream = Box::pin(RecordBatchStreamAdapter::new(lookup.schema.clone(), batches));
    Ok(Some(Rows { stream, progress, notice: None }))
}
