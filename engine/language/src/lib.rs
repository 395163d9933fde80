//! The dialect as text and as plain data.
//!
//! * [`sql`]: text to statements with places;
//! * [`diagnostic`]: what is wrong with a statement, with its place, and how it is rendered;
//! * [`types`], [`config`]: types of values; properties with their defaults;
//! * [`definition`], [`topology`], [`catalog`]: what statements define, queries that run on, and everything that exists.
//!
//! Nothing here plans or runs anything.

pub mod catalog;
pub mod config;
pub mod definition;
pub mod diagnostic;
pub mod sql;
pub mod topology;
pub mod types;
