//! The answers of statements: typed facts, rows or lines, which the shell, scripts and (later) the server show.
//!
//! Answers contain no layout; whoever shows a fact decides how it looks.

mod function;
mod listing;
mod plan;
mod query;
mod source;

use std::pin::Pin;
use std::sync::Arc;

use datafusion::physical_plan::SendableRecordBatchStream;
use futures::Stream;

pub use headwater_connectors::table::{Progress, Snapshot};

pub use function::{CalledAs, FunctionDescription, FunctionKind};
pub use listing::{
    FunctionListing, PropertyListing, Rejects, SourceListing, TopicListing, TypeListing, VariableListing,
};
pub use plan::{ExecutedPlan, Plan};
pub use query::{
    Condition, FaultCause, Lag, OpenTransaction, PartitionLag, ProcessFailure, QueryDescription, QueryFailure,
    QueryListing, QueryState, QueryStatistics, RecordFaults, RestoreProgress, StateFacts, StoreFacts, StreamTime,
};
pub use source::{PartitionExtent, SchemaDescription, SchemaPlace, SourceDescription, SourceQuery, TopicDescription};

use headwater_language::definition::SourceKind;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::Topology;

/// The answer to one statement.
pub enum Answer {
    /// One sentence about what was done, such as `Stream "ORDERS" created.`, and warnings.
    Done {
        /// What was done.
        message: String,
        /// Anything else that the user should know.
        warnings: Vec<String>,
    },
    /// Facts that are complete: SHOW, DESCRIBE, EXPLAIN.
    Facts(Facts),
    /// Rows as they are computed.
    Rows(Rows),
    /// Lines as they arrive: PRINT.
    Lines(Pin<Box<dyn Stream<Item = Result<String, Vec<Diagnostic>>> + Send>>),
}

impl Answer {
    /// One sentence about what was done.
    pub(crate) fn done(message: impl Into<String>) -> Self {
        Self::Done { message: message.into(), warnings: Vec::new() }
    }

    /// Nothing was done, and why.
    pub(crate) fn warning(warning: impl Into<String>) -> Self {
        Self::Done { message: String::new(), warnings: vec![warning.into()] }
    }
}

/// Facts: one variant for each statement that answers with some.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// SHOW STREAMS or SHOW TABLES.
    Sources(SourceKind, Vec<SourceListing>),
    /// SHOW TOPICS.
    Topics {
        /// The topics by name.
        topics: Vec<TopicListing>,
        /// The offsets were requested too.
        extended: bool,
        /// Why formats of topics are missing.
        remark: Option<String>,
    },
    /// SHOW TYPES.
    Types(Vec<TypeListing>),
    /// SHOW FUNCTIONS.
    Functions(Vec<FunctionListing>),
    /// SHOW VARIABLES.
    Variables(Vec<VariableListing>),
    /// SHOW PROPERTIES.
    Properties(Vec<PropertyListing>),
    /// SHOW REJECTS; `None` before the first query of the session.
    Rejects(Option<Rejects>),
    /// SHOW QUERIES.
    Queries(Vec<QueryListing>),
    /// SHOW QUERIES EXTENDED, and EXPLAIN of a persistent query.
    QueryDescriptions(Vec<QueryDescription>),
    /// DESCRIBE of a stream or table, of all streams or of all tables.
    SourceDescriptions(Vec<SourceDescription>),
    /// DESCRIBE FUNCTION.
    Function(FunctionDescription),
    /// EXPLAIN of a continuous query that does not exist yet.
    Topology(Box<Topology>),
    /// EXPLAIN of a bounded query.
    Plan(Plan),
    /// EXPLAIN ANALYZE of a bounded query, which has run.
    ExecutedPlan(ExecutedPlan),
}

/// A running query's rows.
pub struct Rows {
    /// The rows as record batches; its schema names the columns. Dropping it stops the query.
    pub stream: SendableRecordBatchStream,
    /// The progress of the scan.
    pub progress: Arc<Progress>,
    /// What the user should know before the first row.
    pub notice: Option<String>,
}
