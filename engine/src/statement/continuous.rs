//! Statements about continuous queries: made, ended, paused, listed, explained.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Extent, Isolation, TransportErrorKind};

use crate::answer::{Answer, Section};
use crate::catalog::{Catalog, CatalogChange, Ends, QueryDef, RestartFrom};
use crate::diagnostic::{Diagnostic, IN_USE, NOT_SUPPORTED, STREAMING, Span, UNKNOWN_QUERY};
use crate::engine::{Engine, blocking, refused};
use crate::planner::continuous::{self as planner, Persistent};
use crate::runtime::board::{self, Failing};
use crate::runtime::complaints::{PROCESSING_LOG, processing_log_statement};
use crate::runtime::publish::dry_run;
use crate::runtime::query_status::{State, StatusSnapshot};
use crate::runtime::{job, lag, push, topics};
use crate::session::Session;
use crate::sql::{self, ast};

type Answered = Result<Answer, Vec<Diagnostic>>;

impl Engine {
    /// A push query: its rows come as long as they are wanted.
    pub(crate) async fn push(&self, session: &mut Session, query: &ast::Query) -> Answered {
        let catalog = self.catalog().await?;
        let settings = session.settings().clone();
        let push = planner::push(query, &catalog, &settings)?;
        let transport = self.transport().clone();
        let rows = blocking(move || push::start(&push, &transport, &settings)).await??;
        session.remember(rows.progress.clone());
        Ok(Answer::Rows(rows))
    }

    /// CREATE STREAM … AS SELECT.
    pub(crate) async fn create_as(&self, session: &Session, create: &ast::CreateAs, text: &str) -> Answered {
        let catalog = self.catalog().await?;
        if let (true, Some(standing)) = (create.if_not_exists, catalog.source(&create.name)) {
            let warning = format!("{} \"{}\" exists already; nothing was done", standing.kind.word(), standing.name);
            return Ok(Answer::warning(warning));
        }
        let planned = planner::create_as(create, text, &catalog, session.settings());
        let planned = match planned {
            Err(errors) if errors.iter().all(|error| error.code == NOT_SUPPORTED) => {
                self.check_partitions(&create.query, &catalog, session).await?;
                return Err(errors);
            }
            planned => planned?,
        };
        let before: Vec<String> = catalog.queries().map(|q| q.id.clone()).collect();
        let after = self.make(&catalog, planned, text, create.or_replace).await?;
        let made = after.query_behind(&create.name).map(|q| q.id.clone()).unwrap_or_default();
        let verb = if before.contains(&made) { "replaced" } else { "created" };
        Ok(Answer::done(format!("Stream \"{}\" {verb} by query {made}", create.name.value)))
    }

    /// Sources that are joined have as many partitions, so that equal keys meet.
    async fn check_partitions(
        &self,
        query: &ast::Query,
        catalog: &Catalog,
        session: &Session,
    ) -> Result<(), Vec<Diagnostic>> {
        let joined = planner::joined_topics(query, catalog, session.settings());
        let (transport, span) = (self.transport().clone(), query.span);
        blocking(move || {
            let counted = joined.iter().map(|(name, topic)| Ok((name, partitions_of(transport.admin(), topic)?)));
            let counted = counted.collect::<Result<Vec<_>, Vec<Diagnostic>>>()?;
            let Some((first, count)) = counted.first() else { return Ok(()) };
            let Some((other, others)) = counted.iter().find(|(_, others)| others != count) else { return Ok(()) };
            let message = format!("\"{first}\" cannot be joined to \"{other}\": they differ in partitions");
            let detail = format!("\"{first}\" has {count} partitions, \"{other}\" has {others}.");
            let hint = format!("Copy one: CREATE STREAM … WITH (PARTITIONS={count}) AS SELECT * FROM {other};");
            Err(vec![Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint)])
        })
        .await?
    }

    /// INSERT INTO … SELECT.
    pub(crate) async fn insert_select(&self, session: &Session, insert: &ast::InsertSelect, text: &str) -> Answered {
        let catalog = self.catalog().await?;
        let planned = planner::insert_select(insert, text, &catalog, session.settings())?;
        let before: Vec<String> = catalog.queries().map(|q| q.id.clone()).collect();
        let after = self.make(&catalog, planned, text, false).await?;
        let made = after.queries().find(|q| !before.contains(&q.id) && q.statement == text);
        let made = made.map(|q| q.id.clone()).unwrap_or_default();
        Ok(Answer::done(format!("Query {made} inserts into \"{}\"", insert.target.value)))
    }

    /// Makes topics, publishes the query and sees to it that it runs here.
    async fn make(
        &self,
        catalog: &Catalog,
        planned: Persistent,
        text: &str,
        replace: bool,
    ) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        let Persistent { mut definition, query, span } = planned;
        let source = definition.as_ref().map(|d| Box::new(d.source.clone()));
        let dlq = query.dlq_topic.clone();
        let input = query.topology.input.topic.clone();
        let change = CatalogChange::DefineQuery { source, query: Box::new(query), replace };
        dry_run(catalog, &change, span)?;
        self.ensure_processing_log(catalog).await?;
        let transport = self.transport().clone();
        blocking(move || {
            let admin = transport.admin();
            let partitions = partitions_of(admin, &input)?;
            if let Some(definition) = &mut definition {
                if admin.topic(&definition.source.topic).map_err(refused)?.is_none() {
                    topics::fill_from_input(admin, definition, (&input, partitions), span).map_err(refused)?;
                }
                topics::ensure(admin, definition, span)?;
            }
            dlq.map_or(Ok(()), |name| topics::make_like(admin, name, (&input, partitions)).map_err(refused))
        })
        .await??;
        let catalog = self.publish(text, change, span).await?;
        self.work_on();
        Ok(catalog)
    }

    /// The processing log is a stream like any other, made with the first persistent query.
    async fn ensure_processing_log(&self, catalog: &Catalog) -> Result<(), Vec<Diagnostic>> {
        if catalog.source(PROCESSING_LOG).is_some() {
            return Ok(());
        }
        let text = processing_log_statement(self.service_id());
        let parsed = sql::parse(&text);
        let Some(ast::StatementKind::CreateSource(create)) = parsed.statements.first().map(|s| &s.kind) else {
            return Err(parsed.errors);
        };
        let made = self.create_source(&Session::default(), create, &text).await;
        match self.catalog().await?.source(PROCESSING_LOG) {
            // Another process was faster.
            Some(_) => Ok(()),
            None => made.map(drop),
        }
    }

    /// TERMINATE.
    pub(crate) async fn terminate(&self, choice: &ast::QueryChoice, text: &str) -> Answered {
        let ids = self.chosen(choice).await?;
        for id in &ids {
            self.publish(text, CatalogChange::DropQuery { id: id.clone() }, span_of(choice)).await?;
        }
        self.sync().await?;
        Ok(told(&ids, "terminated"))
    }

    /// PAUSE.
    pub(crate) async fn pause(&self, choice: &ast::QueryChoice, text: &str) -> Answered {
        let ids = self.chosen(choice).await?;
        for id in &ids {
            let change = CatalogChange::PauseQuery { id: id.clone(), paused: true, from: None, ends: None };
            self.publish(text, change, span_of(choice)).await?;
        }
        self.sync().await?;
        Ok(told(&ids, "paused"))
    }

    /// RESUME.
    pub(crate) async fn resume(&self, resume: &ast::Resume, text: &str) -> Answered {
        let (from, verb) = match resume.from {
            None => (None, "resumed"),
            Some(ast::ResumeFrom::Earliest) => (
                Some(RestartFrom::Earliest),
                "resumed; partitions whose place is lost are read from their first record, others go on",
            ),
            Some(ast::ResumeFrom::Latest) => (
                Some(RestartFrom::Latest),
                "resumed; partitions whose place is lost are read from their end, others go on",
            ),
        };
        let ids = self.chosen(&resume.choice).await?;
        for id in &ids {
            let ends = if from == Some(RestartFrom::Latest) { self.ends_of_input(id).await? } else { None };
            let change = CatalogChange::PauseQuery { id: id.clone(), paused: false, from, ends };
            self.publish(text, change, span_of(&resume.choice)).await?;
        }
        self.work_on();
        self.sync().await?;
        Ok(told(&ids, verb))
    }

    /// Where the input of a query ends now; none while there is none.
    async fn ends_of_input(&self, id: &str) -> Result<Option<Ends>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let Some(query) = catalog.query(id).cloned() else { return Ok(None) };
        let transport = self.transport().clone();
        let extent = move || transport.admin().extent(&query.topology.input.topic, Isolation::ReadCommitted);
        match blocking(extent).await? {
            Ok(Extent { id, marks }) => Ok(Some(Ends {
                topic: id.map(|id| id.to_string()),
                offsets: marks.iter().map(|marks| marks.end).collect(),
            })),
            Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    async fn chosen(&self, choice: &ast::QueryChoice) -> Result<Vec<String>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        match choice {
            ast::QueryChoice::All => Ok(catalog.queries().map(|q| q.id.clone()).collect()),
            ast::QueryChoice::Id(name) => find(&catalog, name).map(|query| vec![query.id.clone()]),
        }
    }

    /// SHOW QUERIES.
    pub(crate) async fn show_queries(&self, extended: bool) -> Result<Vec<Section>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let failing = self.failing(&catalog).await?;
        let words = self.words_of(catalog.queries(), &failing).await?;
        if extended {
            let explained = |query| self.explained(query, &words[&query.id], &failing);
            return Ok(catalog.queries().flat_map(explained).collect());
        }
        let row = |query: &Arc<QueryDef>| {
            vec![
                query.id.clone(),
                "PERSISTENT".to_owned(),
                words[&query.id].clone(),
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
        let failures = catalog.queries().filter_map(|query| failures(failing.get(&query.id)?));
        Ok(std::iter::once(queries).chain(failures).collect())
    }

    /// Which queries fail, here and in other processes.
    async fn failing(&self, catalog: &Catalog) -> Result<BTreeMap<String, Vec<Failing>>, Vec<Diagnostic>> {
        let (transport, service_id) = (self.transport().clone(), self.service_id().to_owned());
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

    /// EXPLAIN of a running query.
    pub(crate) async fn explain_query(&self, name: &ast::Name) -> Result<Vec<Section>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let query = find(&catalog, name)?;
        let failing = self.failing(&catalog).await?;
        let words = self.words_of([query], &failing).await?;
        Ok(self.explained(query, &words[&query.id], &failing))
    }

    /// EXPLAIN of a statement that would make or be a continuous query; none for other statements.
    pub(crate) async fn explain_continuous(
        &self,
        session: &Session,
        statement: &ast::Statement,
    ) -> Result<Option<Vec<Section>>, Vec<Diagnostic>> {
        let (catalog, settings) = (self.catalog().await?, session.settings());
        let topology = match &statement.kind {
            ast::StatementKind::Query(query) if !query.is_bounded() => {
                planner::push(query, &catalog, settings)?.topology
            }
            ast::StatementKind::CreateAs(create) => {
                planner::create_as(create, &statement.text, &catalog, settings)?.query.topology
            }
            ast::StatementKind::InsertSelect(insert) => {
                planner::insert_select(insert, &statement.text, &catalog, settings)?.query.topology
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![Section { text: Some(topology.to_string()), ..Section::default() }]))
    }

    fn explained(&self, query: &Arc<QueryDef>, word: &str, failing: &BTreeMap<String, Vec<Failing>>) -> Vec<Section> {
        let status = self.status(&query.id);
        let mut facts = vec![
            ("ID", query.id.clone()),
            ("Status", word.to_owned()),
            ("Source", query.source().to_owned()),
            ("Sink", query.sink().to_owned()),
            ("Consumer group", self.group(query)),
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
        sections.extend(failing.get(&query.id).and_then(|failing| failures(failing)));
        sections.extend(status.map(|status| counters(&status)));
        sections
    }

    /// What a stream or table has to do with queries: for DESCRIBE … EXTENDED.
    pub(crate) async fn describe_queries(&self, source: &str) -> Result<Vec<Section>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let mut sections = Vec::new();
        let failing = self.failing(&catalog).await?;
        let words = self.words_of(catalog.queries_of(source), &failing).await?;
        for query in catalog.queries_of(source) {
            let status = self.status(&query.id);
            let writes = query.sink() == source;
            let mut section = match &status {
                Some(status) => counters(status),
                None => Section {
                    columns: ["Counter", "Value"].map(str::to_owned).to_vec(),
                    rows: vec![vec!["Status".to_owned(), words[&query.id].clone()]],
                    ..Section::default()
                },
            };
            let verb = if writes { "writes" } else { "reads" };
            section.title = Some(format!("Query {} {verb} it", query.id));
            sections.push(section);
            sections.extend(failing.get(&query.id).and_then(|failing| failures(failing)));
            let (transport, query, group) = (self.transport().clone(), query.clone(), self.group(query));
            sections.push(blocking(move || lag::lag(transport.as_ref(), &query, &group)).await?.map_err(refused)?);
        }
        Ok(sections)
    }

    /// What SHOW QUERIES says of each of these queries, by id. Processes elsewhere are known as members of its group.
    async fn words_of<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Arc<QueryDef>>,
        failing: &BTreeMap<String, Vec<Failing>>,
    ) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
        let queries: Vec<&Arc<QueryDef>> = queries.into_iter().collect();
        let groups: Vec<String> = queries.iter().map(|query| self.group(query)).collect();
        let (transport, asked) = (self.transport().clone(), groups.clone());
        let members = blocking(move || transport.admin().group_members(&asked)).await?.map_err(refused)?;
        let word = |query: &&Arc<QueryDef>, group| {
            let working = members.get(group).copied().unwrap_or(0);
            let said = failing.get(&query.id).map_or(&[][..], Vec::as_slice);
            (query.id.clone(), word(query, self.status(&query.id).as_ref(), working, said))
        };
        Ok(queries.iter().zip(&groups).map(|(query, group)| word(query, group)).collect())
    }

    fn group(&self, query: &QueryDef) -> String {
        job::group_of(self.service_id(), query)
    }
}

fn find<'a>(catalog: &'a Catalog, name: &ast::Name) -> Result<&'a Arc<QueryDef>, Vec<Diagnostic>> {
    let folded = name.to_uppercase();
    catalog.query(name).or_else(|| catalog.query(&folded)).ok_or_else(|| {
        let error = Diagnostic::new(UNKNOWN_QUERY, format!("query \"{}\" does not exist", name.value)).at(name.span);
        vec![error.hint("SHOW QUERIES; lists them all.").nearest_of(name, catalog.queries().map(|q| q.id.as_str()))]
    })
}

fn span_of(choice: &ast::QueryChoice) -> Span {
    match choice {
        ast::QueryChoice::All => Span::default(),
        ast::QueryChoice::Id(name) => name.span,
    }
}

fn told(ids: &[String], what: &str) -> Answer {
    match ids {
        [] => Answer::warning("there are no queries; nothing was done"),
        [id] => Answer::done(format!("Query {id} {what}")),
        ids => Answer::done(format!("Queries {} {what}", ids.join(", "))),
    }
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

fn partitions_of(admin: &dyn Admin, topic: &str) -> Result<i32, Vec<Diagnostic>> {
    let found = admin.topic(topic).map_err(refused)?;
    let missing = || {
        let message = format!("topic \"{topic}\" does not exist");
        vec![Diagnostic::new(crate::diagnostic::UNKNOWN_TOPIC, message)]
    };
    found.map(|found| found.partitions).ok_or_else(missing)
}

/// What DROP says of a stream that queries hold.
pub(crate) fn in_use(name: &ast::Name, ids: &[String]) -> Diagnostic {
    let message = format!("\"{}\" cannot be dropped: {} use it", name.value, ids.join(", "));
    let hint = format!("TERMINATE {};", ids.first().map_or("ALL", String::as_str));
    Diagnostic::new(IN_USE, message).at(name.span).hint(hint)
}
