//! Topics: their names, their settings and the logs of their partitions.
//!
//! Separate because all other modules find logs here. This module knows neither the protocol nor groups nor
//! transactions.

mod leftovers;
mod name;
mod registry;
mod setting;
mod settings;
mod table;
mod upkeep;

pub(crate) use leftovers::holds_records;
pub(crate) use name::check_name;
pub(crate) use registry::{Topic, TopicError, Topics};
pub(crate) use setting::{Setting, SettingType};
pub(crate) use settings::{Edit, Origin, Settings};
pub(crate) use table::SETTINGS;
