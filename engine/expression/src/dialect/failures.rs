//! Where guards report the values that could not be computed.
//!
//! The counters of a bounded query are part of its configuration, which every function call receives. A guard inside
//! another expression, such as around an argument of a function, reports to whoever evaluates that expression
//! ([`within`]): the outer expression may still fail as a whole and be evaluated again in parts, and a continuous query
//! needs to know the row.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use crate::errors::reason;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;

/// Counts values that could not be computed: the counters of a query.
pub trait CountFailures: std::fmt::Debug + Send + Sync {
    /// Counts values that became NULL. `why` returns the reason for the first of them, in words for a user.
    fn add_failures(&self, count: u64, why: &mut dyn FnMut() -> String);
}

/// The counters of one query, as an extension of its configuration.
#[derive(Clone, Debug)]
struct Counters(Arc<dyn CountFailures>);

/// Makes guards count the values that they replace with NULL in `counters`.
pub fn count_in(counters: Arc<dyn CountFailures>, options: &mut ConfigOptions) {
    options.extensions.insert(Counters(counters));
}

/// The failures inside an expression during one evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InnerFailures {
    /// The number of values that could not be computed.
    pub count: u64,
    /// The reason for the first of them, in words for a user.
    pub first: Option<String>,
}

thread_local! {
    /// The failures inside the expression that this thread is evaluating. Expressions are evaluated by the thread that
    /// asks for their values.
    static INNER: RefCell<Option<InnerFailures>> = const { RefCell::new(None) };
}

/// Restores the previous value when dropped, even if an evaluation panics.
struct RestoreOnDrop(Option<InnerFailures>);

impl Drop for RestoreOnDrop {
    fn drop(&mut self) {
        INNER.set(self.0.take());
    }
}

/// Returns the result of `evaluate`, and the failures inside it that did not make it fail.
pub fn within<T>(evaluate: impl FnOnce() -> T) -> (T, InnerFailures) {
    let before = RestoreOnDrop(INNER.replace(Some(InnerFailures::default())));
    let value = evaluate();
    let inside = INNER.take().unwrap_or_default();
    drop(before);
    (value, inside)
}

/// Counts values that could not be computed, if anyone is counting.
pub(super) fn report(options: &ConfigOptions, count: u64, why: impl FnOnce() -> String) {
    let is_inner = INNER.with_borrow(Option::is_some);
    if is_inner {
        INNER.with_borrow_mut(|inside| {
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

/// Counts one value that could not be computed because of `error`.
pub(super) fn report_one(options: &ConfigOptions, error: &DataFusionError) {
    report(options, 1, || reason(error));
}

/// Passes on the failures inside an expression.
pub(super) fn report_inner(options: &ConfigOptions, inside: InnerFailures) {
    if let Some(first) = inside.first {
        report(options, inside.count, || first);
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
        plan_err!("property {key} does not exist")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
