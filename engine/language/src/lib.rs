//! The dialect as text and as plain data.
//!
//! * [`sql`]: parses text to statements with positions;
//! * [`diagnostic`]: errors in statements, with their positions, and how they are rendered;
//! * [`types`], [`config`]: types of values, and properties with their defaults;
//! * [`definition`], [`topology`], [`catalog`]: what statements define, continuous queries, and all that exists.
//!
//! Nothing here plans or runs anything.

pub mod catalog;
pub mod config;
pub mod definition;
pub mod diagnostic;
pub mod sql;
pub mod topology;
pub mod types;
