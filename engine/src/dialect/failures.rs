//! Where guards tell what failed: a part of a bounded query's configuration, which every call of a function is handed.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use headwater_connectors::table::Progress;

use crate::planner::plan_errors::reason;

/// The counters of one query.
#[derive(Clone, Debug)]
struct Counters(Arc<Progress>);

/// Has guards count in `progress` what they make NULL.
pub(crate) fn count_in(progress: &Arc<Progress>, options: &mut ConfigOptions) {
    options.extensions.insert(Counters(progress.clone()));
}

/// Counts a value that could not be computed, where anybody wants to know.
pub(super) fn tell(options: &ConfigOptions, error: &DataFusionError) {
    if let Some(Counters(progress)) = options.extensions.get::<Counters>() {
        progress.add_failure(|| reason(error));
    }
}

impl ConfigExtension for Counters {
    const PREFIX: &'static str = "headwater_failures";
}

impl ExtensionOptions for Counters {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        plan_err!("there is no property {key}")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
