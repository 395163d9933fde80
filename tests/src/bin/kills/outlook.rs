//! The service as other clients see it during the trial: what its queries have committed, whether a transaction is open
//! in an output, and the members of its groups.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::instance::Instance;

const ANSWER_MAX: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time without a commit of some query. A query that fails repeatedly waits up to 15 s between two attempts.
const SILENCE_MAX: Duration = Duration::from_secs(100);

/// A view of a service.
pub struct Outlook {
    bootstrap: String,
    service_id: String,
    topics: Vec<String>,
    partitions: i32,
    queries: usize,
    /// The topics that each query reads, added up.
    reads: usize,
    committed: BaseConsumer,
    written: BaseConsumer,
    /// A client for each group of the service, by name.
    groups: Vec<BaseConsumer>,
}

impl Outlook {
    /// A view of a service whose queries read and write these topics, with this many partitions each. The last
    /// argument is the number of queries, and the number of topics that each of them reads, added up.
    pub fn new(
        bootstrap: &str,
        service_id: &str,
        topics: &[&str],
        partitions: i32,
        (queries, reads): (usize, usize),
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            service_id: service_id.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            partitions,
            queries,
            reads,
            committed: client(bootstrap, "kills-outlook", "read_committed")?,
            written: client(bootstrap, "kills-outlook", "read_uncommitted")?,
            groups: Vec::new(),
        })
    }

    /// Waits until every query has committed a higher offset of every partition, and returns how long it
    /// took. Fails after [`SILENCE_MAX`], or when the process that should work ends.
    pub fn await_commits(&mut self, instance: &mut Instance) -> Result<Duration, Box<dyn Error>> {
        let begun = Instant::now();
        let mut before: Option<Vec<i64>> = None;
        loop {
            instance.check()?;
            // An error while a broker is down or a group does not exist yet is ignored.
            let now = self.positions().ok();
            if let (Some(before), Some(now)) = (&before, &now)
                && is_above(now, before)
            {
                return Ok(begun.elapsed());
            }
            before = before.or(now);
            if begun.elapsed() > SILENCE_MAX {
                return Err(instance.said(&format!("some query or partition had no commit for {SILENCE_MAX:?}")));
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Whether a transaction is open in any of the topics.
    pub fn has_open_transaction(&self) -> Result<bool, Box<dyn Error>> {
        for topic in &self.topics {
            let (stable, end) = (self.end(&self.committed, topic)?, self.end(&self.written, topic)?);
            if stable < end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of members of each group of the service, by name.
    pub fn members(&self) -> Result<Vec<usize>, Box<dyn Error>> {
        Ok(self.find_groups()?.into_iter().map(|(_, members)| members).collect())
    }

    /// The offsets that the queries have committed, of every partition. Fails until all of them exist.
    fn positions(&mut self) -> Result<Vec<i64>, Box<dyn Error>> {
        if self.groups.len() != self.queries {
            let found = self.find_groups()?;
            let made = found.iter().map(|(name, _)| client(&self.bootstrap, name, "read_uncommitted"));
            self.groups = made.collect::<Result<_, _>>()?;
        }
        let mut positions = Vec::new();
        for group in &self.groups {
            positions.extend(self.positions_of(group)?);
        }
        let expected = self.reads * usize::try_from(self.partitions)?;
        if positions.len() == expected { Ok(positions) } else { Err("some partition has no commit yet".into()) }
    }

    fn positions_of(&self, group: &BaseConsumer) -> Result<Vec<i64>, Box<dyn Error>> {
        let mut asked = TopicPartitionList::new();
        for topic in &self.topics {
            asked.add_partition_range(topic, 0, self.partitions - 1);
        }
        let answered = group.committed_offsets(asked, ANSWER_MAX)?;
        let elements = answered.elements();
        elements.iter().try_for_each(|element| element.error())?;
        Ok(elements.iter().filter_map(|element| element.offset().to_raw().filter(|offset| *offset >= 0)).collect())
    }

    fn find_groups(&self) -> Result<Vec<(String, usize)>, Box<dyn Error>> {
        let list = self.written.fetch_group_list(None, ANSWER_MAX)?;
        let own = list.groups().iter().filter(|group| group.name().contains(&self.service_id));
        let mut groups: Vec<_> = own.map(|group| (group.name().to_owned(), group.members().len())).collect();
        groups.sort_unstable();
        Ok(groups)
    }

    /// The sum of the ends of all partitions.
    fn end(&self, consumer: &BaseConsumer, topic: &str) -> Result<i64, Box<dyn Error>> {
        let mut sum = 0;
        for partition in 0..self.partitions {
            let (_, end) = consumer.fetch_watermarks(topic, partition, ANSWER_MAX)?;
            sum += end;
        }
        Ok(sum)
    }
}

fn client(bootstrap: &str, group: &str, isolation: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", group).set("isolation.level", isolation);
    config.set("enable.auto.commit", "false").set_log_level(RDKafkaLogLevel::Emerg);
    Ok(config.create()?)
}

fn is_above(now: &[i64], before: &[i64]) -> bool {
    now.len() == before.len() && now.iter().zip(before).all(|(now, before)| now > before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_must_have_moved() {
        assert!(is_above(&[2, 9], &[1, 8]));
        assert!(!is_above(&[2, 8], &[1, 8]));
        assert!(!is_above(&[2], &[1, 8]));
    }
}
