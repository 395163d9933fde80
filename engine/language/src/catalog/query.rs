//! A persistent query as it was created: what it does, and the properties it was created with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::topology::Topology;

/// A persistent query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryDef {
    /// Its name. In a change that is `numbered`, the part before the number.
    pub id: String,
    /// The catalog gives it a number when the change is applied: `CSAS_PAID` becomes `CSAS_PAID_7`.
    pub numbered: bool,
    /// Number of the change that created it, assigned by the catalog. It distinguishes the query from earlier ones of
    /// the same name.
    pub made: u64,
    /// A unique suffix of its consumer group. It distinguishes the group from that of any other query, including one
    /// that had the same name and number before the command topic was recreated. Queries created before suffixes
    /// existed have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// The statement that created it.
    pub statement: String,
    /// What it does.
    pub topology: Topology,
    /// Values of the properties when it was created, by name.
    pub properties: BTreeMap<String, String>,
    /// The dead-letter topic, for records that could not be read, computed or written.
    pub dlq_topic: Option<String>,
    /// Whether it is paused until RESUME.
    pub paused: bool,
    /// The number of RESUME statements for it: a new one restarts the query where it has failed.
    #[serde(default)]
    pub resumed: u64,
    /// The latest `RESUME … FROM`: where partitions continue whose position in the log was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Set once a position in its input has been committed: the number of the restart that preceded the commit, or 0
    /// for none. If there is no committed position although this is set, the position has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// Whether it was created together with its sink by CREATE … AS, or with the table that it keeps, so that it is dropped with that.
    pub owns_sink: bool,
}

/// A `RESUME … FROM` statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The end to continue from.
    pub from: RestartFrom,
    /// The ends of the input at the time of the statement, if they are known: this is what FROM LATEST means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Ends>,
    /// The number of the RESUME. It applies to positions that were lost before it, not to those lost later.
    pub number: u64,
}

/// The end offsets of a topic's partitions at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// The topic's id, as Kafka's tools write it; none if the cluster does not assign ids.
    pub topic: Option<String>,
    /// The end of each partition, in their order.
    pub offsets: Vec<i64>,
}

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartFrom {
    /// The first record that exists.
    Earliest,
    /// The records that arrive from now on.
    Latest,
}

impl QueryDef {
    /// The prefix of its consumer group: its name with a number, and a suffix that is unique within the service.
    pub fn unique_name(&self) -> String {
        let number = format!("_{}", self.made);
        let name = if self.id.ends_with(&number) { self.id.clone() } else { format!("{}{number}", self.id) };
        match &self.unique {
            Some(unique) => format!("{name}_{unique}"),
            None => name,
        }
    }

    /// The names of the streams and tables that it reads.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.topology.sources().map(|source| source.name.as_str())
    }

    /// Whether what it writes depends on records that it has read before.
    pub fn keeps_state(&self) -> bool {
        self.topology.stores().next().is_some()
    }

    /// The number of the latest RESUME … FROM; 0 if there was none.
    pub fn restarts(&self) -> u64 {
        self.restart.as_ref().map_or(0, |restart| restart.number)
    }

    /// What can be done, as statements, when its position in its input is lost.
    pub fn way_out(&self) -> String {
        let Self { id, .. } = self;
        match self.keeps_state() {
            false => format!(
                "RESUME {id} FROM EARLIEST; continues at the first record that exists now, RESUME {id} FROM LATEST; with new \
                 records only."
            ),
            true => format!(
                "RESUME {id} FROM LATEST; keeps the state and continues with new records. To compute all of it again: TERMINATE {id}; \
                 SET 'auto.offset.reset' = 'earliest'; and create it again with CREATE OR REPLACE. Rows that do not come back \
                 remain in \"{}\", unless it is dropped with DELETE TOPIC before.",
                self.sink()
            ),
        }
    }

    /// Whether it reads a topic, apart from those of its own.
    pub fn reads(&self, topic: &str) -> bool {
        self.topology.sources().any(|source| source.topic == topic)
    }

    /// Name of the stream or table it writes; empty for a query that only keeps its source.
    pub fn sink(&self) -> &str {
        self.topology.sink().map_or("", |sink| &sink.name)
    }

    /// Name of the stream or table that it computes: the one that it writes or, for CREATE SOURCE TABLE, the one that it keeps.
    pub fn computed(&self) -> &str {
        self.topology.sink().map_or_else(|| self.topology.source().name.as_str(), |sink| &sink.name)
    }

    /// The value of a property when the query was created; empty if it was not recorded.
    pub fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }
}
