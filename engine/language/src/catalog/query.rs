//! A persistent query as it was made: what it does and with which properties.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::topology::Topology;

/// A persistent query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryDef {
    /// Its name. In a change that is `numbered`, what stands before the number.
    pub id: String,
    /// The catalog gives it a number when the change is applied: `CSAS_PAID` becomes `CSAS_PAID_7`.
    pub numbered: bool,
    /// Number of the change that made it, given by the catalog: tells it from a former query of its name.
    pub made: u64,
    /// What tells its group from that of any other query, also of one that had its name and number before the command
    /// topic was made anew. Queries that were made before there was one have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// The statement that made it.
    pub statement: String,
    /// What it does.
    pub topology: Topology,
    /// Properties as they were when it was made, by name.
    pub properties: BTreeMap<String, String>,
    /// Where records go that could not be read, computed or written.
    pub dlq_topic: Option<String>,
    /// It is not running until RESUME.
    pub paused: bool,
    /// How often someone said RESUME: where it has failed, it is begun again.
    #[serde(default)]
    pub resumed: u64,
    /// The latest `RESUME … FROM`: where partitions begin whose place in the log is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// A place in its input was committed for it, after the restart of this number; 0 for before any. So where there is none
    /// any more, it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// It came with its sink and goes with it: CREATE … AS.
    pub owns_sink: bool,
}

/// What `RESUME … FROM` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Where.
    pub from: RestartFrom,
    /// The ends of the input when it was said, where they are known: what "from now on" means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Ends>,
    /// The number of the RESUME: it is meant for what was lost before it and not for what is lost later.
    pub number: u64,
}

/// Where the partitions of a topic ended at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// The topic's id, as Kafka's tools write it; none of a cluster that gives none.
    pub topic: Option<String>,
    /// The end of each partition, in their order.
    pub offsets: Vec<i64>,
}

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartFrom {
    /// The first record that there is.
    Earliest,
    /// What comes from now on.
    Latest,
}

impl QueryDef {
    /// Its name with a number, and what no other query of the service has or had.
    pub fn unique_name(&self) -> String {
        let number = format!("_{}", self.made);
        let name = if self.id.ends_with(&number) { self.id.clone() } else { format!("{}{number}", self.id) };
        match &self.unique {
            Some(unique) => format!("{name}_{unique}"),
            None => name,
        }
    }

    /// Name of the stream it reads.
    pub fn source(&self) -> &str {
        &self.topology.source().name
    }

    /// Name of the stream it writes.
    pub fn sink(&self) -> &str {
        self.topology.sink().map_or("", |sink| &sink.name)
    }

    /// A property as it was when the query was made; empty when it was not kept.
    pub fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }
}
