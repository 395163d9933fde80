//! The ksqlDB dialect over topics.

pub mod answer;
pub mod diagnostic;
pub mod sql;
pub mod types;
