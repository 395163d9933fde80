//! Pull queries, and where they are asked.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt as _;
use headwater_engine::answer::{Answer, Facts};
use headwater_engine::{Engine, Session};
use headwater_language::config::Settings;

use super::feed::key;
use super::latencies::Latencies;

/// Pull queries, and where they are asked.
#[derive(Clone)]
pub struct Pulls {
    /// The engine that runs the query and answers.
    pub engine: Arc<Engine>,
    /// The settings of its sessions.
    pub settings: Settings,
    /// The number of keys of the table.
    pub keys: u64,
}

impl Pulls {
    /// A new session.
    pub fn session(&self) -> Session {
        Session::new(self.settings.clone())
    }

    /// The consumer group of the query that writes the table.
    pub async fn group(&self) -> Result<String, Box<dyn Error>> {
        let mut session = self.session();
        let answer = self.engine.ask(&mut session, "SHOW QUERIES EXTENDED;").await;
        match answer.map_err(|errors| errors[0].message.clone())? {
            Answer::Facts(Facts::QueryDescriptions(queries)) => Ok(queries.first().ok_or("no query")?.group.clone()),
            _ => Err("no queries".into()),
        }
    }

    /// The number in the first column of the only row of a query; `None` if it is null or there is no row.
    async fn number(&self, session: &mut Session, query: &str) -> Result<Option<i64>, Box<dyn Error>> {
        let answer = self.engine.ask(session, query).await.map_err(|errors| errors[0].message.clone())?;
        let Answer::Rows(rows) = answer else { return Err("no rows".into()) };
        let batches: Vec<_> = rows.stream.try_collect().await?;
        let column = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0).clone());
        Ok(column.and_then(|column| column.as_primitive::<Int64Type>().iter().next().flatten()))
    }

    /// Looks one key up. Fails if it is not there.
    async fn look(&self, session: &mut Session, number: u64) -> Result<(), Box<dyn Error>> {
        let key = key(number, self.keys);
        let found = self.number(session, &format!("SELECT n, total FROM t WHERE k = {key};")).await?;
        if found.is_some_and(|n| n > 0) { Ok(()) } else { Err(format!("key {key} is not there").into()) }
    }

    /// Looks keys up one after the other.
    pub async fn in_turn(&self, span: Duration) -> Result<Latencies, Box<dyn Error>> {
        let (mut session, mut latencies) = (self.session(), Latencies::new());
        while latencies.begun().elapsed() < span {
            let begun = Instant::now();
            self.look(&mut session, latencies.count() as u64).await?;
            latencies.add(begun.elapsed());
        }
        Ok(latencies.ended())
    }

    /// Looks keys up at a rate until it is over. One that is late begins at once.
    pub async fn at_rate(self, rate: u64, is_over: Arc<AtomicBool>) -> Result<Latencies, String> {
        let (mut session, mut latencies) = (self.session(), Latencies::new());
        while !is_over.load(Ordering::Relaxed) {
            let number = latencies.count() as u64;
            let due = latencies.begun() + Duration::from_micros(number * 1_000_000 / rate);
            let early = due.saturating_duration_since(Instant::now());
            if early > Duration::from_millis(1) {
                tokio::time::sleep(early).await;
            }
            let begun = Instant::now();
            self.look(&mut session, number).await.map_err(|error| error.to_string())?;
            latencies.add(begun.elapsed());
        }
        Ok(latencies.ended())
    }
}
