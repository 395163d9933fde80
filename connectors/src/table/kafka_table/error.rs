//! Why a table could not be built.

use std::fmt::Write as _;

use datafusion::error::DataFusionError;

use crate::transport::TransportError;

/// Why a [`KafkaTable`](super::KafkaTable) could not be built. Within DataFusion it is a `DataFusionError::External`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The description is wrong: it has to be changed. Nothing was asked of the cluster.
    #[error("{}", described(.topic, .mistakes))]
    Definition {
        /// The topic.
        topic: String,
        /// Every mistake, each a sentence without a full stop.
        mistakes: Vec<String>,
    },
    /// The cluster cannot be reached, does not accept the credentials, or does not have the topic: its
    /// [`kind`](TransportError::kind) says which.
    #[error(transparent)]
    Cluster(#[from] TransportError),
}

fn described(topic: &str, mistakes: &[String]) -> String {
    let mut text = format!("topic \"{topic}\" cannot be a table");
    for (mistake, separator) in mistakes.iter().zip(std::iter::once(": ").chain(std::iter::repeat("; "))) {
        let _ = write!(text, "{separator}{mistake}");
    }
    text
}

impl From<TableError> for DataFusionError {
    fn from(error: TableError) -> Self {
        Self::External(Box::new(error))
    }
}
