//! Rows of a result as text: what the shell prints and COPY writes.
//!
//! Here because both need it. What only a terminal needs (tables, widths, what it must not obey) is the shell's.

pub mod calendar;
pub mod column;
pub mod csv;
pub mod json;
pub mod value;

/// Bytes that are gathered before they are written out.
const WRITE_BYTES_MIN: usize = 1 << 16;
