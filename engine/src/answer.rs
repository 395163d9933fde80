//! What a statement answers: the one shape that the shell, scripts and (later) the server show.

use std::pin::Pin;
use std::sync::Arc;

use datafusion::physical_plan::SendableRecordBatchStream;
use futures::Stream;

pub use headwater_connectors::table::{Progress, Snapshot};

use crate::diagnostic::Diagnostic;

/// The answer to one statement.
pub enum Answer {
    /// One sentence about what was done, such as `Stream "ORDERS" created.`, and warnings.
    Done {
        /// What was done.
        message: String,
        /// What the user should know besides.
        warnings: Vec<String>,
    },
    /// Facts that are complete: SHOW, DESCRIBE, EXPLAIN. One section or several.
    Facts(Vec<Section>),
    /// Rows as they are found.
    Rows(Rows),
    /// Lines as they are found: PRINT.
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

/// A table of text with an optional heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Heading over the table; none for a statement with one section.
    pub title: Option<String>,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each with one cell a column.
    pub rows: Vec<Vec<String>>,
    /// Free text under the table (a printed plan, a remark).
    pub text: Option<String>,
}

/// A running query's rows.
pub struct Rows {
    /// The rows as record batches; its schema names the columns. Dropping it stops the query.
    pub stream: SendableRecordBatchStream,
    /// How far the scan is.
    pub progress: Arc<Progress>,
    /// What the user should know before the first row.
    pub notice: Option<String>,
}
