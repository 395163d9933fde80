//! Sockets, frames and the list of APIs.
//!
//! Separate because only this module knows how requests arrive and how responses leave; what they mean is in `api`.

mod answer;
mod apis;
mod connection;
mod dispatch;
mod fetched;
mod frame;
mod listener;
mod refusal;
mod shapes;
mod skim;
mod wire;

pub(crate) use apis::{API_VERSIONS, APIS, Api};
pub(crate) use listener::serve;
