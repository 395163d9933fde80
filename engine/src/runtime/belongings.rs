//! What belongs to one query alone: its consumer group, and its topics. It is deleted when the query has ended.
//!
//! The process in which a query is terminated deletes it at once. What could not be deleted then, because another process still ran
//! the query or because this one died, is found later by any process that runs queries: the command topic says which queries have
//! ended, so that nothing else is ever deleted, whatever its name is.
//!
//! ```text
//! command topic → ended queries → (a minute later) not used by a living query, no members → topics and group deleted
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, TransportError, TransportErrorKind};
use headwater_language::catalog::{Catalog, QueryDef};

use super::job::group_of;
use super::own_topics;

/// How long after a query has ended its belongings are looked for, in ms. Every process has stopped running it by then.
const AFTER_MS: i64 = 60_000;

/// The consumer group and the topics of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Belongings {
    query: String,
    /// `None` if the query lives on without some of its topics.
    group: Option<String>,
    topics: Vec<String>,
}

impl Belongings {
    /// Those of a query.
    pub(crate) fn of(query: &QueryDef, service_id: &str) -> Self {
        let topics = own_topics::names(query, service_id).into_iter().map(|(name, _)| name).collect();
        Self { query: query.id.clone(), group: Some(group_of(service_id, query)), topics }
    }

    /// Those of the queries in `before` that `after` has no more, and the topics that replaced queries use no more.
    pub(super) fn ended(before: &Catalog, after: &Catalog, service_id: &str) -> Vec<Self> {
        let ended = |query: &Arc<QueryDef>| {
            let next = after.query(&query.id);
            // Nearly all are the same: this runs for each command that is read.
            if next.is_some_and(|next| Arc::ptr_eq(query, next)) {
                return None;
            }
            let old = Self::of(query, service_id);
            let Some(next) = next else { return Some(old) };
            let kept = Self::of(next, service_id);
            let topics: Vec<String> = old.topics.into_iter().filter(|topic| !kept.topics.contains(topic)).collect();
            let group = old.group.filter(|group| kept.group.as_ref() != Some(group));
            (group.is_some() || !topics.is_empty()).then_some(Self { query: old.query, group, topics })
        };
        before.queries().filter_map(ended).collect()
    }

    /// Deletes them. If one cannot be deleted, the others still are. Returns a note for each that could not be, and whether all
    /// are gone: a group that still has members stays. Blocks.
    pub(crate) fn delete(&self, admin: &dyn Admin) -> (Vec<String>, bool) {
        let (mut notes, mut is_done) = (Vec::new(), true);
        for topic in &self.topics {
            match admin.delete_topic(topic) {
                Err(error) if error.kind != TransportErrorKind::UnknownTopic => {
                    notes.push(format!("topics of query {} could not be deleted: {}", self.query, error.message));
                }
                _ => {}
            }
        }
        match self.group.as_ref().map_or(Ok(true), |group| admin.delete_group(group)) {
            Ok(deleted) => is_done = deleted,
            Err(error) => {
                let fact = format!("the consumer group of query {} could not be deleted", self.query);
                notes.push(format!("{fact}: {}", error.message));
            }
        }
        (notes, is_done)
    }
}

/// What ended queries may have left behind.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Each with the time from which on it is looked for, in ms.
    waiting: Vec<(i64, Belongings)>,
}

impl Leftovers {
    /// Adds the belongings of queries that have ended.
    pub(super) fn add(&mut self, ended: Vec<Belongings>, now_ms: i64) {
        self.waiting.extend(ended.into_iter().map(|belongings| (now_ms + AFTER_MS, belongings)));
    }

    /// Deletes what is due and exists, unless a query of `catalog` uses it. What a process still uses is looked for later again.
    /// Fails, and tries again later, if the cluster fails. Blocks.
    pub(super) fn clean(
        &mut self,
        admin: &dyn Admin,
        catalog: &Catalog,
        service_id: &str,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        if !self.waiting.iter().any(|(at_ms, _)| *at_ms <= now_ms) {
            return Ok(());
        }
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|it| it.0 <= now_ms);
        self.waiting = later;
        let due: Vec<Belongings> = due.into_iter().map(|(_, belongings)| belongings).collect();
        let cleaned = clean(admin, &due, catalog, service_id);
        // If the cluster fails, all of them are looked for again.
        let left = cleaned.as_ref().map_or(due, Clone::clone);
        self.add(left, now_ms);
        cleaned.map(drop)
    }
}

/// Deletes what exists and no living query uses. Returns what cannot be deleted yet.
fn clean(
    admin: &dyn Admin,
    due: &[Belongings],
    catalog: &Catalog,
    service_id: &str,
) -> Result<Vec<Belongings>, TransportError> {
    let living: Vec<Belongings> = catalog.queries().map(|query| Belongings::of(query, service_id)).collect();
    let used: BTreeSet<&str> = living.iter().flat_map(Belongings::names).collect();
    let (topics, groups) = (admin.topics()?, admin.groups()?);
    let topics = topics.iter().map(|topic| topic.name.as_str());
    let found: BTreeSet<&str> = topics.chain(groups.iter().map(String::as_str)).collect();
    let is_left = |name: &&String| found.contains(name.as_str()) && !used.contains(name.as_str());
    let mut busy = Vec::new();
    for Belongings { query, group, topics } in due {
        let topics = topics.iter().filter(is_left).cloned().collect();
        let left = Belongings { query: query.clone(), group: group.as_ref().filter(is_left).cloned(), topics };
        if left.names().next().is_none() {
            continue;
        }
        // Whoever still runs the query would miss its topics, and create them again.
        let members = admin.group_members(left.group.as_slice())?;
        let is_free = members.values().all(|members| *members == 0);
        let (notes, is_done) = if is_free { left.delete(admin) } else { (Vec::new(), false) };
        for note in &notes {
            tracing::warn!(query_id = query, note, "what belonged to an ended query is left");
        }
        match is_done {
            true if notes.is_empty() => tracing::info!(query_id = query, "deleted what an ended query had left"),
            true => {}
            false => busy.push(left),
        }
    }
    Ok(busy)
}

impl Belongings {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.group.iter().chain(&self.topics).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
    use headwater_connectors::transport::{NewTopic, Transport as _};
    use headwater_language::catalog::CatalogChange;

    use super::super::driver::Driver;
    use super::super::for_tests::Process;
    use super::super::job::Job;
    use super::*;

    const TABLES: [&str; 2] = [
        "CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM s GROUP BY a;",
        "CREATE TABLE u AS SELECT a, COUNT(*) AS n FROM s GROUP BY a;",
    ];

    async fn query(process: &Process, table: &str) -> Arc<QueryDef> {
        let catalog = process.engine.catalog().await.expect("a catalog");
        catalog.query_behind(&table.to_uppercase()).expect("a query").clone()
    }

    /// What exists of the belongings of a query.
    fn existing(process: &Process, query: &QueryDef) -> Vec<String> {
        let admin = process.cluster.admin();
        let (topics, groups) = (admin.topics().expect("topics"), admin.groups().expect("groups"));
        let belongings = Belongings::of(query, "default_");
        let exists = |name: &&str| groups.contains(*name) || topics.iter().any(|topic| topic.name == *name);
        belongings.names().filter(exists).map(str::to_owned).collect()
    }

    fn driver(process: &Process, query: &Arc<QueryDef>) -> Driver {
        let job = Job { in_threads: false, ..Job::new(query.clone(), "default_", false).expect("a job") };
        let transport = Arc::new(process.cluster.clone());
        Driver::new(transport, job, Arc::default(), Arc::default()).expect("it starts")
    }

    /// Has a query commit, so that it has topics and a group with offsets.
    fn run(process: &mut Process, query: &Arc<QueryDef>) -> Driver {
        let mut driver = driver(process, query);
        process.drive(&mut [&mut driver]);
        driver
    }

    /// Goal: TERMINATE and DROP leave nothing of a query, and nothing of another one is touched.
    #[tokio::test]
    async fn a_terminated_query_leaves_nothing_behind() {
        let mut process = Process::with(&TABLES).await;
        process.ask("INSERT INTO s VALUES ('a', 1, 1);").await;
        let queries = [query(&process, "t").await, query(&process, "u").await];
        for query in &queries {
            drop(run(&mut process, query));
            assert_eq!(existing(&process, query).len(), 3, "a group, an exchange and a changelog");
        }
        process.ask("TERMINATE CTAS_T_2;").await;
        assert!(existing(&process, &queries[0]).is_empty());
        assert_eq!(existing(&process, &queries[1]).len(), 3);
        process.ask("DROP TABLE u;").await;
        assert!(existing(&process, &queries[1]).is_empty());
        for topic in ["s", "T", "U"] {
            assert!(process.cluster.admin().topic(topic).expect("an answer").is_some(), "{topic} is no query's own");
        }
    }

    /// Refuses the first deletion.
    #[derive(Default)]
    struct FirstRefused(AtomicBool);

    impl Plan for FirstRefused {
        fn fault(&self, call: Call) -> Option<Fault> {
            (call == Call::DeleteTopic && !self.0.swap(true, Ordering::Relaxed)).then_some(Fault::Refused)
        }

        fn cut(&self, records: usize) -> usize {
            records
        }
    }

    #[tokio::test]
    async fn the_others_are_deleted_if_one_cannot_be() {
        let mut process = Process::with(&TABLES[..1]).await;
        let query = query(&process, "t").await;
        drop(run(&mut process, &query));
        let faulty = FaultyTransport::new(Arc::new(process.cluster.clone()), Arc::<FirstRefused>::default());
        let belongings = Belongings::of(&query, "default_");
        let (notes, _) = belongings.delete(faulty.admin());
        assert!(notes.len() == 1 && notes[0].starts_with("topics of query CTAS_T_2 could not be deleted"), "{notes:?}");
        assert_eq!(existing(&process, &query), [belongings.topics[0].clone()]);
        assert_eq!(belongings.delete(faulty.admin()), (Vec::new(), true), "one is there, the others are not");
    }

    /// Goal: what a process could not delete before it died is deleted by another one, but not while somebody still uses it, and
    /// nothing else is. Method: queries are terminated by commands alone; their topics stay, next to those of living queries, of
    /// another service and of a name that only looks alike.
    #[tokio::test]
    async fn what_is_left_of_ended_queries_is_found_in_the_command_topic() {
        let mut process = Process::with(&TABLES).await;
        process.ask("INSERT INTO s VALUES ('a', 1, 1);").await;
        let (ended, living) = (query(&process, "t").await, query(&process, "u").await);
        let (mut other, _) = (run(&mut process, &ended), drop(run(&mut process, &living)));
        let alike =
            [format!("{}-2-changelog", group_of("default_", &ended)), group_of("other_", &ended) + "-changelog"];
        for name in &alike {
            let topic = NewTopic { name: name.clone(), partitions: 1, replicas: None, settings: BTreeMap::new() };
            process.cluster.admin().create_topic(&topic).expect("a topic");
        }
        let change = CatalogChange::DropQuery { id: ended.id.clone() };
        process.engine.process().log().append("", change).expect("it is terminated");
        let (admin, mut leftovers) = (process.cluster.admin(), Leftovers::default());
        let found = process.engine.process().log().take_ended();
        assert_eq!(found, [Belongings::of(&ended, "default_")]);
        leftovers.add(found, 0);
        let catalog = process.engine.catalog().await.expect("a catalog");
        leftovers.clean(admin, &catalog, "default_", AFTER_MS - 1).expect("nothing fails");
        assert_eq!(existing(&process, &ended).len(), 3, "it may still run elsewhere");
        leftovers.clean(admin, &catalog, "default_", AFTER_MS).expect("nothing fails");
        assert_eq!(existing(&process, &ended).len(), 3, "it still runs elsewhere");
        other.step(process.now_ms, Duration::ZERO).expect("it goes on");
        drop(other);
        leftovers.clean(admin, &catalog, "default_", 2 * AFTER_MS).expect("nothing fails");
        assert!(existing(&process, &ended).is_empty());
        assert!(leftovers.waiting.is_empty());
        assert_eq!(existing(&process, &living).len(), 3);
        assert!(alike.iter().all(|name| admin.topic(name).expect("an answer").is_some()));
    }

    /// Goal: a process that starts finds what earlier ones left, and a query that was replaced keeps what it uses.
    #[tokio::test]
    async fn a_process_that_starts_knows_which_queries_have_ended() {
        let mut process = Process::with(&TABLES).await;
        let ended = query(&process, "t").await;
        process.ask("CREATE OR REPLACE TABLE u AS SELECT a, COUNT(*) AS n, COUNT(*) * 2 AS m FROM s GROUP BY a;").await;
        process.ask("TERMINATE CTAS_T_2;").await;
        let next = Process::new(&process.cluster, "another");
        next.engine.catalog().await.expect("a catalog");
        assert_eq!(next.engine.process().log().take_ended(), [Belongings::of(&ended, "default_")]);
    }
}
