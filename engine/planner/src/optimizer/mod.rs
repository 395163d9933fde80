//! The optimizer rules for bounded queries.
//!
//! These are DataFusion's own rules, without those that give wrong rows, and ours. Every rule that is left out or
//! replaced is listed here with the reason and the upstream report, so that it can return; `tests/tests/optimizer.rs`
//! compares the results of random queries with all rules and without, and would find the next wrong one.
//!
//! `query.optimizer.off` turns off more rules, by name or all that a plan can be executed without.

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

/// The property that turns rules off.
const OFF: &str = "query.optimizer.off";

/// The value of [`OFF`] for all rules that a plan can be executed without.
const ALL: &str = "all";

type Rule = Arc<dyn OptimizerRule + Send + Sync>;
/// A rule of the physical optimizer.
pub type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rules of DataFusion 55 that are never used.
///
/// * `extract_leaf_expressions` and `push_down_leaf_projections` move fields of structs below joins under generated names,
///   and use a name twice if both sides of a join have a field (apache/datafusion#24241: `"__datafusion_extracted_2" is in
///   more than one source`). They are for files whose columns are read field by field; a record is decoded as a whole.
/// * `propagate_empty_relation` replaces a UNION in which one query is certainly empty with the other query, under the other
///   query's names: `SELECT k AS a FROM l WHERE false UNION ALL SELECT k AS b FROM l ORDER BY a` did not find its column.
///   Joins with an empty side lose names as well. Executing what is empty costs little. No report was found.
const LEFT_OUT: &[&str] = &["extract_leaf_expressions", "push_down_leaf_projections", "propagate_empty_relation"];

/// Physical rules of DataFusion 55 that are never used.
///
/// * `FilterPushdown` distinguishes the columns of a join by their names, so that a condition over `l.i` and `r.i` is
///   evaluated with only one of them (apache/datafusion#25296, #25244; fixed by #25259). For filters that are known when a
///   query is planned, `push_down_filter` does the same. The variant for filters that grow while a query runs,
///   `FilterPushdown(Post)`, stays: only scans that read newest first use them, and there is no join in between.
/// * `LimitAggregation` follows the column of an ORDER BY by its name through the expression that computes it, so that the
///   groups of `SELECT -i AS i … GROUP BY i ORDER BY i LIMIT 1` are limited by the wrong order. [`top_groups`] replaces it.
///   No report was found.
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

/// Physical rules that plans cannot be executed without, or that only check the plan.
const NEEDED_PHYSICAL: &[&str] =
    &["barriers", "OutputRequirements", "join_selection", "EnsureRequirements", "EnsureCooperative", "SanityCheckPlan"];

/// The rules for one query.
pub(super) struct Rules {
    pub logical: Vec<Rule>,
    pub physical: Vec<PhysicalRule>,
}

impl Rules {
    /// The rules that the settings allow, including those of the tables that are scanned.
    pub fn of(settings: &Settings, of_tables: &[PhysicalRule]) -> Self {
        let off = off(settings);
        Self::without(&off, off.contains(&ALL), of_tables)
    }

    /// Only the rules that a plan cannot be executed without.
    pub fn fewest() -> Self {
        Self::without(&[], true, &[])
    }

    /// The rules without some, by name, or without all that can be left out.
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

/// Rejects names in `query.optimizer.off` that are not rules, or that cannot be left out.
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
        error.detail(format!("It takes names of rules, separated by commas: {}.", names.join(", ")))
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

    /// A new version of DataFusion may rename a rule that is left out, which would then be used again.
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
        settings.set(OFF, "push_down_limit, all").expect("a string");
        assert!(check(&settings, &[]).is_ok());
        settings.set(OFF, "push_down_limits").expect("a string");
        assert_eq!(check(&settings, &[]).map_err(|errors| errors[0].code), Err(PROPERTY_VALUE));
    }
}
