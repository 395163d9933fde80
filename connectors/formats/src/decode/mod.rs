//! Records as rows: which column of a row comes from where in a record, and the one place where keys, values, headers and
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
