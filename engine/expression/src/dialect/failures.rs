//! Where guards tell what failed.
//!
//! That of a bounded query is a part of its configuration, which every call of a function is handed. A guard inside of another
//! expression, as around an argument of a function, tells whoever evaluates that expression ([`within`]): what is around it
//! may yet fail as a whole and be evaluated again in parts, and a continuous query wants to know the row.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use crate::errors::reason;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;

/// Where values that could not be computed are counted: what the counters of a query are.
pub trait CountFailures: std::fmt::Debug + Send + Sync {
    /// Counts values that became NULL. `why` says why the first of them did, in words for a user.
    fn add_failures(&self, count: u64, why: &mut dyn FnMut() -> String);
}

/// The counters of one query.
#[derive(Clone, Debug)]
struct Counters(Arc<dyn CountFailures>);

/// Has guards count in `counters` what they make NULL.
pub fn count_in(counters: Arc<dyn CountFailures>, options: &mut ConfigOptions) {
    options.extensions.insert(Counters(counters));
}

/// What failed inside of an expression while it was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Values that could not be computed.
    pub count: u64,
    /// Why the first of them could not, in words for a user.
    pub first: Option<String>,
}

thread_local! {
    /// Of the expression that is evaluated by this thread just now. Expressions are evaluated by the thread that asks for
    /// their values.
    static INSIDE: RefCell<Option<Inside>> = const { RefCell::new(None) };
}

/// Puts back what was there before, also when an evaluation panics.
struct Before(Option<Inside>);

impl Drop for Before {
    fn drop(&mut self) {
        INSIDE.set(self.0.take());
    }
}

/// What `evaluate` gives, and what failed inside of it without making it fail.
pub fn within<T>(evaluate: impl FnOnce() -> T) -> (T, Inside) {
    let before = Before(INSIDE.replace(Some(Inside::default())));
    let value = evaluate();
    let inside = INSIDE.take().unwrap_or_default();
    drop(before);
    (value, inside)
}

/// Counts values that could not be computed, where anybody wants to know.
pub(super) fn tell(options: &ConfigOptions, count: u64, why: impl FnOnce() -> String) {
    let is_inside = INSIDE.with_borrow(Option::is_some);
    if is_inside {
        INSIDE.with_borrow_mut(|inside| {
            if let Some(inside) = inside {
                inside.count += count;
                inside.first.get_or_insert_with(why);
            }
        });
    } else if let Some(Counters(counters)) = options.extensions.get::<Counters>() {
        let mut why = Some(why);
        counters.add_failures(count, &mut || why.take().map(|why| why()).unwrap_or_default());
    }
}

/// Counts a value that could not be computed for this reason.
pub(super) fn tell_one(options: &ConfigOptions, error: &DataFusionError) {
    tell(options, 1, || reason(error));
}

/// Hands on what failed inside of an expression.
pub(super) fn tell_inside(options: &ConfigOptions, inside: Inside) {
    if let Some(first) = inside.first {
        tell(options, inside.count, || first);
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
