//! Why a table could not be built.

use std::fmt::Write as _;

use datafusion::error::DataFusionError;

use crate::transport::TransportError;

/// Why a [`KafkaTable`](super::KafkaTable) could not be built. As a DataFusion error it is a
/// `DataFusionError::External`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The description is wrong and must be changed. The cluster was not contacted.
    #[error("{}", described(.topic, .mistakes))]
    Definition {
        /// The topic.
        topic: String,
        /// Every mistake, each a sentence without a full stop.
        mistakes: Vec<String>,
    },
    /// The cluster cannot be reached, rejects the credentials, or does not have the topic; see the error's
    /// [`kind`](TransportError::kind).
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
