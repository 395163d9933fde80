//! Random queries over random tables, and whether their answers are correct.
//!
//! ```text
//! seed → tables (a few rows, many NULLs and equal values) → queries → laws (what must be equal) → the rule to blame
//! ```
//!
//! Nothing here computes the result of a query: a law compares two ways in which the engine must return the same rows.
//! The first law compares a query with all optimizer rules and without any.

mod expressions;
mod laws;
mod queries;
mod tables;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{FutureExt as _, TryStreamExt as _};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::INTERNAL;
use headwater_engine::{Engine, Session};

use crate::random::Random;

/// Number of queries over the tables of one seed.
pub const QUERIES: usize = 20;

/// The property that disables optimizer rules.
const OFF: &str = "query.optimizer.off";

/// Counts of what was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of laws checked.
    pub checked: usize,
    /// Number of laws that could not be checked because a query was rejected.
    pub refused: usize,
}

/// Tries queries over the tables of a seed. Returns the failures, with the statements that reproduce them.
pub async fn run(seed: u64, queries: usize) -> (Tally, Vec<String>) {
    let mut random = Random::of(seed);
    let world = World::new(&mut random).await;
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for at in 0..queries {
        let law = laws::any(&mut Random::of(seed << 20 | at as u64), &world.tables);
        match world.check(&law).await {
            Verdict::Holds => tally.checked += 1,
            Verdict::Refused => tally.refused += 1,
            Verdict::Broken(how) => wrong.push(format!("seed {seed}: {how}\n{}", world.script())),
        }
    }
    (tally, wrong)
}

/// Rows as text, in order.
type Table = Vec<Vec<String>>;

enum Verdict {
    Holds,
    Refused,
    Broken(String),
}

/// Tables in a separate engine.
struct World {
    engine: Engine,
    tables: Vec<tables::Table>,
}

impl World {
    async fn new(random: &mut Random) -> Self {
        let cluster = MemoryTransport::default();
        let tables = tables::some(random);
        let world = Self { engine: Engine::driven(Arc::new(cluster.clone()), &Settings::default()), tables };
        for table in &world.tables {
            let created = world.engine.ask(&mut Session::new(Settings::default()), &table.declaration()).await;
            created.unwrap_or_else(|errors| panic!("{}: {errors:?}", table.declaration()));
            table.write(&cluster);
        }
        world
    }

    /// The statements that create the tables.
    fn script(&self) -> String {
        self.tables.iter().map(|table| format!("{}\n{}\n", table.declaration(), table.insertion())).collect()
    }

    /// The rows of a query, or its errors as text.
    async fn rows(&self, query: &str, way: Way<'_>) -> Result<Table, String> {
        let rows = AssertUnwindSafe(self.rows_or_panic(query, way)).catch_unwind().await;
        rows.unwrap_or_else(|_| Err("INTERNAL panic".to_owned()))
    }

    async fn rows_or_panic(&self, query: &str, way: Way<'_>) -> Result<Table, String> {
        let mut settings = Settings::default();
        if !way.off.is_empty() {
            settings.set(OFF, way.off).expect("names of rules");
        }
        settings.set("query.partitions", way.partitions).expect("a number");
        let mut session = Session::new(settings);
        let message = |errors: Vec<headwater_engine::diagnostic::Diagnostic>| {
            let internal = errors.iter().any(|error| error.code == INTERNAL);
            let words: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
            format!("{}{}", if internal { "INTERNAL " } else { "" }, words.join("; "))
        };
        let Answer::Rows(rows) = self.engine.ask(&mut session, &format!("{query};")).await.map_err(message)? else {
            return Err("INTERNAL no rows".to_owned());
        };
        let batches: Vec<_> = rows
            .stream
            .try_collect()
            .await
            .map_err(|error| message(headwater_engine::failure::diagnose(&error, None)))?;
        let options = FormatOptions::default().with_null("NULL");
        let mut table = Table::new();
        for batch in &batches {
            let columns: Vec<ArrayFormatter<'_>> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).expect("printable"))
                .collect();
            // 0.0 and -0.0 are equal, and a group may show either.
            let cell = |row: usize, column: &ArrayFormatter<'_>| match column.value(row).to_string() {
                zero if zero == "-0.0" => "0.0".to_owned(),
                text => text,
            };
            table.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(row, column)).collect()));
        }
        Ok(table)
    }

    async fn check(&self, law: &laws::Law) -> Verdict {
        let mut sides = Vec::new();
        for side in &law.sides {
            let way = Way { off: side.off, partitions: side.partitions };
            match self.rows(&side.query, way).await {
                Ok(rows) => sides.push(rows),
                Err(message) if message.starts_with("INTERNAL") => {
                    return Verdict::Broken(format!("{}\n  {} returns {message}", law.name, side.query));
                }
                Err(message) if law.same_query && sides.is_empty() => return self.refused_by_all(law, &message).await,
                // Without the rules some queries cannot be planned.
                Err(_) => return Verdict::Refused,
            }
        }
        let Some((left, right)) = (law.holds)(sides) else { return Verdict::Holds };
        let sides = law
            .sides
            .iter()
            .map(|side| format!("  {} [off={} partitions={}]\n", side.query, side.off, side.partitions));
        let sides: String = sides.collect();
        let blame = if law.same_query { self.blame(law).await } else { String::new() };
        Verdict::Broken(format!("{}{blame}\n{sides}  left {left:?}\n  right {right:?}", law.name))
    }

    async fn refused_by_all(&self, law: &laws::Law, message: &str) -> Verdict {
        for side in &law.sides[1..] {
            if self.rows(&side.query, Way { off: side.off, partitions: side.partitions }).await.is_ok() {
                return Verdict::Broken(format!(
                    "{}\n  {}\n  is rejected only with all rules: {message}",
                    law.name, side.query
                ));
            }
        }
        if std::env::var_os("HEADWATER_FUZZ_REFUSED").is_some() {
            println!("{message}\n    {}", law.sides[0].query);
        }
        Verdict::Refused
    }

    /// The rules without which a query returns different rows.
    async fn blame(&self, law: &laws::Law) -> String {
        let (Some(first), Some(last)) = (law.sides.first(), law.sides.last()) else { return String::new() };
        let mut guilty = Vec::new();
        for rule in self.rules().await {
            let one = self.rows(&first.query, Way { off: &rule, partitions: first.partitions }).await;
            let wanted = self.rows(&last.query, Way { off: last.off, partitions: last.partitions }).await;
            if let (Ok(one), Ok(wanted)) = (one, wanted)
                && (law.holds)(vec![one, wanted]).is_none()
            {
                guilty.push(rule);
            }
        }
        format!(" (right without {})", guilty.join(" or without "))
    }

    /// The rules that can be disabled, by the names that the property accepts.
    async fn rules(&self) -> Vec<String> {
        let mut settings = Settings::default();
        settings.set(OFF, "?").expect("a text");
        let refused = self.engine.ask(&mut Session::new(settings), "SELECT 1 AS a;").await;
        let detail = refused.err().and_then(|errors| errors.into_iter().next()?.detail).unwrap_or_default();
        let names = detail.split_once(": ").map_or("", |(_, names)| names).trim_end_matches('.');
        names.split(", ").filter(|name| *name != "all").map(str::to_owned).collect()
    }
}

/// How a query is run.
#[derive(Clone, Copy, Debug)]
struct Way<'a> {
    off: &'a str,
    partitions: &'a str,
}
