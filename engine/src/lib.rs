//! The ksqlDB dialect over topics.

pub mod answer;
pub mod diagnostic;
