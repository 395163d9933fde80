//! Facts about persistent queries, here and in other processes, for SHOW QUERIES, EXPLAIN and DESCRIBE … EXTENDED.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::Diagnostic;

use crate::answer::{
    Condition, Facts, ProcessFailure, QueryDescription, QueryFailure, QueryListing, QueryState, QueryStatistics,
    SourceQuery,
};
use crate::runtime::board::{self, Failing};
use crate::runtime::query_status::{State, StatusSnapshot};
use crate::runtime::{Process, blocking, job, lag, refused};

/// What the processes of a service report about its queries.
struct Reports {
    /// By query id: the processes in which the query fails or has lost records.
    failing: BTreeMap<String, Vec<Failing>>,
    /// The number of members of each consumer group.
    members: BTreeMap<String, usize>,
}

/// Lists queries.
pub(super) async fn listed(
    queries: &[&Arc<QueryDef>],
    catalog: &Catalog,
    process: &Process,
) -> Result<Facts, Vec<Diagnostic>> {
    let reports = Reports::ask(queries, catalog, process).await?;
    let listing = |query: &&Arc<QueryDef>| QueryListing {
        id: query.id.clone(),
        state: reports.state(query, process),
        sink: query.sink().to_owned(),
        sink_topic: query.topology.sink().map(|sink| sink.topic.clone()),
        statement: query.statement.clone(),
        failures: reports.failures(query),
    };
    Ok(Facts::Queries(queries.iter().map(listing).collect()))
}

/// Describes queries in full.
pub(super) async fn described(
    queries: &[&Arc<QueryDef>],
    catalog: &Catalog,
    process: &Process,
) -> Result<Facts, Vec<Diagnostic>> {
    let reports = Reports::ask(queries, catalog, process).await?;
    let description = |query: &&Arc<QueryDef>| QueryDescription {
        query: (*query).clone(),
        state: reports.state(query, process),
        group: group_of(query, process),
        failures: reports.failures(query),
        statistics: process.status(&query.id).map(statistics),
    };
    Ok(Facts::QueryDescriptions(queries.iter().map(description).collect()))
}

/// The queries that read or write a stream or table.
pub(super) async fn of_source(
    source: &str,
    catalog: &Catalog,
    process: &Process,
) -> Result<Vec<SourceQuery>, Vec<Diagnostic>> {
    let queries: Vec<_> = catalog.queries_of(source).collect();
    let reports = Reports::ask(&queries, catalog, process).await?;
    let mut found = Vec::new();
    for query in queries {
        let (transport, definition, group) = (process.transport().clone(), query.clone(), group_of(query, process));
        let lags = blocking(move || lag::lags(transport.as_ref(), &definition, &group)).await?.map_err(refused)?;
        found.push(SourceQuery {
            id: query.id.clone(),
            writes: query.sink() == source,
            state: reports.state(query, process),
            statistics: process.status(&query.id).map(statistics),
            failures: reports.failures(query),
            lags,
        });
    }
    Ok(found)
}

impl Reports {
    /// Asks the cluster. Other processes show up as members of a query's group.
    async fn ask(queries: &[&Arc<QueryDef>], catalog: &Catalog, process: &Process) -> Result<Self, Vec<Diagnostic>> {
        let failing = failing(catalog, process).await?;
        let groups: Vec<String> = queries.iter().map(|query| group_of(query, process)).collect();
        let transport = process.transport().clone();
        let members = blocking(move || transport.admin().group_members(&groups)).await?.map_err(refused)?;
        Ok(Self { failing, members })
    }

    fn of(&self, query: &QueryDef) -> &[Failing] {
        self.failing.get(&query.id).map_or(&[], Vec::as_slice)
    }

    /// What a query is doing.
    fn state(&self, query: &QueryDef, process: &Process) -> QueryState {
        let (status, reports) = (process.status(&query.id), self.of(query));
        let lost = match &status {
            Some(status) => status.lost,
            None => reports.iter().map(|process| process.lost).sum(),
        };
        let restore = status.as_ref().and_then(|status| status.restore);
        let is_working = self.members.get(&group_of(query, process)).is_some_and(|members| *members > 0);
        let condition = match status {
            _ if query.paused => Condition::Paused,
            _ if reports.iter().any(Failing::fails) => Condition::Error,
            Some(status) => condition(&status.state),
            None if is_working => Condition::RunningElsewhere,
            None => Condition::NotRunning,
        };
        QueryState { condition, lost, restore }
    }

    /// Why a query fails, per process.
    fn failures(&self, query: &QueryDef) -> Vec<ProcessFailure> {
        let failure = |failing: &Failing| ProcessFailure {
            process: failing.process.clone(),
            reason: failing.reason.clone(),
            attempts: failing.attempts,
            next_try_ms: failing.next_try_ms,
        };
        self.of(query).iter().filter(|failing| failing.fails()).map(failure).collect()
    }
}

/// Which queries fail, here and in other processes.
async fn failing(catalog: &Catalog, process: &Process) -> Result<BTreeMap<String, Vec<Failing>>, Vec<Diagnostic>> {
    let (transport, service_id) = (process.transport().clone(), process.service_id().to_owned());
    let now_ms = chrono::Utc::now().timestamp_millis();
    let said = blocking(move || board::failing(transport.as_ref(), &service_id, now_ms)).await?.map_err(refused)?;
    let holds = |query: &QueryDef, said: &Failing| said.resumed >= query.resumed;
    let holding = said.into_iter().filter_map(|(id, mut said)| {
        let query = catalog.query(&id)?;
        said.retain(|said| holds(query, said));
        (!said.is_empty()).then_some((id, said))
    });
    Ok(holding.collect())
}

fn group_of(query: &QueryDef, process: &Process) -> String {
    job::group_of(process.service_id(), query)
}

fn condition(state: &State) -> Condition {
    match state {
        State::Starting | State::Running => Condition::Running,
        State::Restoring => Condition::Restoring,
        State::Retrying(..) | State::Failed(_) => Condition::Error,
        State::Ended => Condition::Ended,
    }
}

fn statistics(status: StatusSnapshot) -> QueryStatistics {
    let condition = condition(&status.state);
    let failure = match status.state {
        State::Retrying(error, at_ms) => Some((error, Some(at_ms))),
        State::Failed(error) => Some((error, None)),
        State::Starting | State::Restoring | State::Running | State::Ended => None,
    };
    let attempts = status.attempts;
    QueryStatistics {
        condition,
        restore: status.restore,
        partitions: status.share,
        records_read: status.records_read,
        bytes_read: status.bytes_read,
        records_written: status.records_written,
        records_per_second: status.records_per_second,
        bad_records: status.complaints,
        unlogged: status.unlogged,
        lost: status.lost,
        commits: status.commits,
        last_message_ms: status.last_message_ms,
        faults: status.faults,
        state: status.facts,
        failure: failure.map(|(error, next_try_ms)| QueryFailure { error, attempts, next_try_ms }),
        errors: status.errors,
    }
}
