//! Decodes records to rows: the source of each column in a record, and the only place where keys, values, headers and
//! addresses become columns.

mod decoder;
mod event_time;
mod spec;
mod window;

pub use decoder::{DecodedRows, RecordDecoder};
pub use event_time::ColumnTimes;
pub use spec::{
    Column, ColumnOrigin, EventTime, KeyWindow, ROWOFFSET, ROWPARTITION, ROWTIME, RowKind, SideSpec, TopicSpec,
    WINDOWEND, WINDOWSTART, header_column_type,
};
pub use window::with_windows;
