//! What is known of persistent queries, here and in other processes: for SHOW QUERIES, EXPLAIN and DESCRIBE … EXTENDED.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::Section;
use crate::catalog::{Catalog, QueryDef};
use crate::diagnostic::Diagnostic;
use crate::engine::Engine;
use crate::runtime::board::{self, Failing};
use crate::runtime::query_status::{State, StatusSnapshot};
use crate::runtime::{blocking, job, lag, refused};

type Sections = Result<Vec<Section>, Vec<Diagnostic>>;

/// What the processes say of some queries.
struct Known<'a> {
    engine: &'a Engine,
    /// Processes in which a query fails, by its id.
    failing: BTreeMap<String, Vec<Failing>>,
    /// What SHOW QUERIES says of a query, by its id.
    words: BTreeMap<String, String>,
}

/// The list of all queries.
pub(super) async fn listed(catalog: &Catalog, engine: &Engine) -> Sections {
    let known = Known::of(catalog.queries(), catalog, engine).await?;
    let row = |query: &Arc<QueryDef>| {
        vec![
            query.id.clone(),
            "PERSISTENT".to_owned(),
            known.words[&query.id].clone(),
            query.sink().to_owned(),
            query.topology.output.as_ref().map(|sink| sink.topic.clone()).unwrap_or_default(),
            query.statement.clone(),
        ]
    };
    let columns = ["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"];
    let queries = Section {
        columns: columns.map(str::to_owned).to_vec(),
        rows: catalog.queries().map(row).collect(),
        ..Section::default()
    };
    let failures = catalog.queries().filter_map(|query| failures(known.failing.get(&query.id)?));
    Ok(std::iter::once(queries).chain(failures).collect())
}

/// All there is to say about these queries.
pub(super) async fn explained<'a>(
    queries: impl IntoIterator<Item = &'a Arc<QueryDef>> + Clone,
    catalog: &Catalog,
    engine: &'a Engine,
) -> Sections {
    let known = Known::of(queries.clone(), catalog, engine).await?;
    Ok(queries.into_iter().flat_map(|query| known.explain(query)).collect())
}

/// What a stream or table has to do with queries.
pub(super) async fn of_source(source: &str, catalog: &Catalog, engine: &Engine) -> Sections {
    let known = Known::of(catalog.queries_of(source), catalog, engine).await?;
    let mut sections = Vec::new();
    for query in catalog.queries_of(source) {
        let status = engine.status(&query.id);
        let writes = query.sink() == source;
        let mut section = match &status {
            Some(status) => counters(status),
            None => Section {
                columns: ["Counter", "Value"].map(str::to_owned).to_vec(),
                rows: vec![vec!["Status".to_owned(), known.words[&query.id].clone()]],
                ..Section::default()
            },
        };
        let verb = if writes { "writes" } else { "reads" };
        section.title = Some(format!("Query {} {verb} it", query.id));
        sections.push(section);
        sections.extend(known.failing.get(&query.id).and_then(|failing| failures(failing)));
        let (transport, query, group) = (engine.transport().clone(), query.clone(), group_of(query, engine));
        sections.push(blocking(move || lag::lag(transport.as_ref(), &query, &group)).await?.map_err(refused)?);
    }
    Ok(sections)
}

impl<'a> Known<'a> {
    /// Asks the cluster. Processes elsewhere are known as members of a query's group.
    async fn of(
        queries: impl IntoIterator<Item = &'a Arc<QueryDef>>,
        catalog: &Catalog,
        engine: &'a Engine,
    ) -> Result<Self, Vec<Diagnostic>> {
        let failing = failing(catalog, engine).await?;
        let queries: Vec<&Arc<QueryDef>> = queries.into_iter().collect();
        let groups: Vec<String> = queries.iter().map(|query| group_of(query, engine)).collect();
        let (transport, asked) = (engine.transport().clone(), groups.clone());
        let members = blocking(move || transport.admin().group_members(&asked)).await?.map_err(refused)?;
        let word = |query: &&Arc<QueryDef>, group| {
            let working = members.get(group).copied().unwrap_or(0);
            let said = failing.get(&query.id).map_or(&[][..], Vec::as_slice);
            (query.id.clone(), word(query, engine.status(&query.id).as_ref(), working, said))
        };
        let words = queries.iter().zip(&groups).map(|(query, group)| word(query, group)).collect();
        Ok(Self { engine, failing, words })
    }

    fn explain(&self, query: &QueryDef) -> Vec<Section> {
        let status = self.engine.status(&query.id);
        let mut facts = vec![
            ("ID", query.id.clone()),
            ("Status", self.words[&query.id].clone()),
            ("Source", query.source().to_owned()),
            ("Sink", query.sink().to_owned()),
            ("Consumer group", group_of(query, self.engine)),
        ];
        facts.extend(query.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
        facts.extend(query.dlq_topic.iter().map(|topic| ("Dead-letter topic", topic.clone())));
        facts.push(("Statement", query.statement.clone()));
        let mut sections = vec![
            Section {
                title: Some(format!("Query : {}", query.id)),
                columns: ["Property", "Value"].map(str::to_owned).to_vec(),
                rows: facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect(),
                text: None,
            },
            Section {
                title: Some("Topology".to_owned()),
                text: Some(query.topology.to_string()),
                ..Section::default()
            },
        ];
        sections.extend(self.failing.get(&query.id).and_then(|failing| failures(failing)));
        sections.extend(status.map(|status| counters(&status)));
        sections
    }
}

/// Which queries fail, here and in other processes.
async fn failing(catalog: &Catalog, engine: &Engine) -> Result<BTreeMap<String, Vec<Failing>>, Vec<Diagnostic>> {
    let (transport, service_id) = (engine.transport().clone(), engine.service_id().to_owned());
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

fn group_of(query: &QueryDef, engine: &Engine) -> String {
    job::group_of(engine.service_id(), query)
}

/// What SHOW QUERIES says of a query, with the number of processes that work on it.
fn word(query: &QueryDef, status: Option<&StatusSnapshot>, working: usize, said: &[Failing]) -> String {
    let lost: u64 = match status {
        Some(status) => status.lost,
        None => said.iter().map(|process| process.lost).sum(),
    };
    let word = match status {
        _ if query.paused => "PAUSED",
        _ if said.iter().any(Failing::fails) => "ERROR",
        Some(status) => status.state.word(),
        None if working > 0 => "RUNNING ELSEWHERE",
        None => "NOT RUNNING",
    };
    if lost > 0 { format!("{word} ({lost} offsets lost)") } else { word.to_owned() }
}

/// Why a query fails, by process; none when it does not.
fn failures(failing: &[Failing]) -> Option<Section> {
    let query = &failing.first()?.query;
    let row = |failing: &Failing| {
        let next = match failing.next_try_ms {
            Some(at_ms) => time(at_ms).unwrap_or_default(),
            None => "never: stopped until RESUME or a change".to_owned(),
        };
        vec![failing.process.clone(), failing.reason.clone(), failing.attempts.to_string(), next]
    };
    let rows: Vec<_> = failing.iter().filter(|failing| failing.fails()).map(row).collect();
    (!rows.is_empty()).then(|| Section {
        title: Some(format!("Failure of {query}")),
        columns: ["Process", "Reason", "Attempts", "Next Try"].map(str::to_owned).to_vec(),
        rows,
        text: None,
    })
}

fn counters(status: &StatusSnapshot) -> Section {
    let partitions: Vec<String> = status.share.iter().map(ToString::to_string).collect();
    let mut rows = vec![
        ("Status", status.state.word().to_owned()),
        ("Partitions here", partitions.join(", ")),
        ("Records read", status.records_read.to_string()),
        ("Bytes read", status.bytes_read.to_string()),
        ("Records written", status.records_written.to_string()),
        ("Records per second", format!("{:.1}", status.records_per_second)),
        ("Bad records", status.complaints.to_string()),
        ("Not in the processing log", status.unlogged.to_string()),
        ("Offsets lost", status.lost.to_string()),
        ("Commits", status.commits.to_string()),
        ("Last message", status.last_message_ms.and_then(time).unwrap_or_else(|| "none".to_owned())),
    ];
    match &status.state {
        State::Retrying(error, at_ms) => {
            let at = time(*at_ms).unwrap_or_default();
            rows.push(("Failure", format!("{error}; attempt {}, retrying at {at}", status.attempts)));
        }
        State::Failed(error) => rows.push(("Failure", format!("{error}; stopped until RESUME or a change"))),
        _ => {}
    }
    rows.extend(status.errors.iter().map(|error| ("Error", error.clone())));
    Section {
        title: Some("Runtime statistics of this process".to_owned()),
        columns: ["Counter", "Value"].map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect(),
        text: None,
    }
}

fn time(ms: i64) -> Option<String> {
    chrono::DateTime::from_timestamp_millis(ms).map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}
