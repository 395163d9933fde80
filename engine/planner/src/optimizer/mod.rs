//! The rules that bounded queries are optimized with.
//!
//! DataFusion's own, without those that give wrong rows, and ours. Every rule that is left out or replaced is named here
//! with the reason and the upstream report, so that it can return; `tests/tests/optimizer.rs` compares what random queries
//! give with all rules and without, and would find the next one.
//!
//! `query.optimizer.off` leaves out more of them, one by one or all that a plan can be executed without.

mod barrier;
mod filters;
mod top_groups;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, PROPERTY_VALUE};

use super::two_valued::TwoValuedNotIn;
use super::yielding::YieldingJoins;

/// The property that leaves rules out.
const OFF: &str = "query.optimizer.off";

/// Stands in [`OFF`] for every rule that a plan can be executed without.
const ALL: &str = "all";

type Rule = Arc<dyn OptimizerRule + Send + Sync>;
/// A rule of the optimizer over physical plans.
pub type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rules of DataFusion 55 that are never used.
///
/// * `extract_leaf_expressions` and `push_down_leaf_projections` move fields of structs below joins under names of their
///   own, and give a name twice where both sides of a join have a field (apache/datafusion#24241: `"__datafusion_extracted_2" is
///   in more than one source`). They are for files whose columns are read field by field; a record is decoded as a whole.
/// * `propagate_empty_relation` makes a UNION of which one query has no row for sure into the other query, under the other
///   query's names: `SELECT k AS a FROM l WHERE false UNION ALL SELECT k AS b FROM l ORDER BY a` did not find its column. Its
///   joins without a side lose names as well. What is empty costs little to execute. No report was found.
const LEFT_OUT: &[&str] = &["extract_leaf_expressions", "push_down_leaf_projections", "propagate_empty_relation"];

/// Physical rules of DataFusion 55 that are never used.
///
/// * `FilterPushdown` tells the columns of a join apart by their names, so that a condition over `l.i` and `r.i` is
///   evaluated with one of them alone (apache/datafusion#25296, #25244; corrected by #25259). What it does for filters
///   that are known when a query is planned is done by `push_down_filter`; that of filters which grow while a query runs,
///   `FilterPushdown(Post)`, stays: only scans that read newest first use them, and no join is between.
/// * `LimitAggregation` follows the column of an ORDER BY by its name through what computes it, so that the groups of
///   `SELECT -i AS i … GROUP BY i ORDER BY i LIMIT 1` are cut by the wrong order. [`top_groups`] takes its place. No report
///   found.
const LEFT_OUT_PHYSICAL: &[&str] = &["FilterPushdown", "LimitAggregation"];

/// Rules that plans cannot be executed without.
const NEEDED: &[&str] = &[
    "rewrite_set_comparison",
    "simplify_expressions",
    "replace_distinct_aggregate",
    "decorrelate_predicate_subquery",
    "two_valued_not_in",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
];

/// Physical rules that plans cannot be executed without, or that only look.
const NEEDED_PHYSICAL: &[&str] =
    &["barriers", "OutputRequirements", "join_selection", "EnsureRequirements", "EnsureCooperative", "SanityCheckPlan"];

/// The rules of one query.
pub(super) struct Rules {
    pub logical: Vec<Rule>,
    pub physical: Vec<PhysicalRule>,
}

impl Rules {
    /// The rules that the settings allow, those of the tables that are scanned included.
    pub fn of(settings: &Settings, of_tables: &[PhysicalRule]) -> Self {
        let off = off(settings);
        Self::without(&off, off.contains(&ALL), of_tables)
    }

    /// The rules that a plan cannot be executed without.
    pub fn fewest() -> Self {
        Self::without(&[], true, &[])
    }

    /// The rules without those of some names, or all that can be left out.
    fn without(off: &[&str], all: bool, of_tables: &[PhysicalRule]) -> Self {
        let (mut logical, mut physical) = (logical(), physical(of_tables));
        logical.retain(|rule| !(off.contains(&rule.name()) || all && !NEEDED.contains(&rule.name())));
        physical.retain(|rule| !(off.contains(&rule.name()) || all && !NEEDED_PHYSICAL.contains(&rule.name())));
        Self { logical, physical }
    }
}

fn off(settings: &Settings) -> Vec<&str> {
    settings.get(OFF).split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// Refuses names in `query.optimizer.off` that are of no rule, or of one that cannot be left out.
pub fn check(settings: &Settings, of_tables: &[PhysicalRule]) -> Result<(), Vec<Diagnostic>> {
    let off = off(settings);
    if off.is_empty() {
        return Ok(());
    }
    let (logical, physical) = (logical(), physical(of_tables));
    let names = logical.iter().map(|rule| rule.name()).filter(|name| !NEEDED.contains(name));
    let physical = physical.iter().map(|rule| rule.name()).filter(|name| !NEEDED_PHYSICAL.contains(name));
    let names: Vec<&str> = std::iter::once(ALL).chain(names).chain(physical).collect();
    let refuse = |name: &str| {
        let error = Diagnostic::new(PROPERTY_VALUE, format!("property \"{OFF}\" cannot be \"{name}\""));
        error.detail(format!("It takes names of rules, with commas between: {}.", names.join(", ")))
    };
    let unknown: Vec<Diagnostic> = off.iter().filter(|name| !names.contains(name)).map(|name| refuse(name)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown) }
}

fn logical() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for rule in Optimizer::new().rules {
        let decorrelates = rule.name() == "decorrelate_predicate_subquery";
        match rule.name() {
            name if LEFT_OUT.contains(&name) => {}
            "push_down_filter" => rules.push(Arc::new(filters::PushDownFilter::default())),
            _ => rules.push(rule),
        }
        if decorrelates {
            rules.push(Arc::new(TwoValuedNotIn));
        }
    }
    rules
}

fn physical(of_tables: &[PhysicalRule]) -> Vec<PhysicalRule> {
    let mut rules: Vec<PhysicalRule> = vec![Arc::new(barrier::Barriers)];
    for rule in PhysicalOptimizer::new().rules {
        match rule.name() {
            "LimitAggregation" => rules.push(Arc::new(top_groups::TopGroups)),
            name if LEFT_OUT_PHYSICAL.contains(&name) => {}
            _ => rules.push(rule),
        }
    }
    rules.extend(of_tables.iter().cloned());
    rules.push(Arc::new(YieldingJoins));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new version of DataFusion may rename a rule that is left out, and would then use it again.
    #[test]
    fn every_rule_that_is_named_exists() {
        let logical: Vec<String> = Optimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        let physical: Vec<String> = PhysicalOptimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        for name in
            LEFT_OUT.iter().chain(NEEDED).chain(&["push_down_filter"]).filter(|name| **name != "two_valued_not_in")
        {
            assert!(logical.iter().any(|rule| rule == name), "{name}");
        }
        for name in LEFT_OUT_PHYSICAL.iter().chain(NEEDED_PHYSICAL).filter(|name| **name != "barriers") {
            assert!(physical.iter().any(|rule| rule == name), "{name}");
        }
    }

    #[test]
    fn names_of_rules_are_checked() {
        let mut settings = Settings::default();
        settings.set(OFF, "push_down_limit, all").expect("a text");
        assert!(check(&settings, &[]).is_ok());
        settings.set(OFF, "push_down_limits").expect("a text");
        assert_eq!(check(&settings, &[]).map_err(|errors| errors[0].code), Err(PROPERTY_VALUE));
    }
}
