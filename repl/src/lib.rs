//! The shell and the command line of Headwater.
//!
//! A command line becomes [`options::Options`]; [`app`] opens the cluster, connects to the engine (anything that
//! implements [`ask::Ask`]) and runs the work in a [`session::Session`]. [`script`] splits text into statements,
//! [`output`] formats answers. [`check`] runs test files in memory.
//!
//! Only this crate uses the terminal. It knows no SQL beyond where a statement ends, and no Kafka beyond the demo's
//! writer; only [`check`] creates an engine of its own.

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
mod registry;
mod registry_file;
mod registry_properties;
mod rows;
pub mod screen;
pub mod script;
pub mod session;
pub mod settings;
mod shell;
mod visible;
