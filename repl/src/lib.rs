//! The shell and the command line of Headwater.
//!
//! A command line becomes [`options::Options`]; [`app`] opens the cluster, connects to the engine
//! (anyone who implements [`ask::Ask`]) and runs the work in a [`session::Session`]. Text goes in
//! through [`script`], answers come out through [`output`]. [`check`] runs users' tests, in memory.
//!
//! This room knows terminals. It knows no SQL beyond where a statement ends, and no Kafka beyond
//! the feed of the demo; only [`check`] holds an engine of its own.

pub mod app;
pub mod args;
pub mod ask;
pub mod check;
mod cluster;
pub mod command;
mod complete;
pub mod demo;
mod help;
mod highlight;
pub mod interrupt;
mod lexeme;
mod logs;
pub mod options;
pub mod output;
mod pager;
mod process;
mod progress;
mod properties;
mod rows;
pub mod screen;
pub mod script;
pub mod session;
pub mod settings;
mod shell;
mod visible;
