//! The clauses that a call of an aggregate may have. The dialect's own aggregates take their order from the records and
//! accept no ORDER BY, DISTINCT or NULL treatment.

use headwater_functions::aggregate::{self, Aggregate};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::sql::place;
use sqlparser::ast::{DuplicateTreatment, Function, FunctionArgumentClause, FunctionArguments, Ident, ObjectName};

/// Rewrites a call of an aggregate and checks its clauses. COLLECT_LIST with ORDER BY or DISTINCT, and COUNT_DISTINCT,
/// become DataFusion's aggregates.
pub fn rewrite(function: &mut Function, errors: &mut Vec<Diagnostic>) {
    let [part] = &function.name.0[..] else { return };
    let Some(name) = part.as_ident().map(|name| name.value.to_uppercase()) else { return };
    match name.as_str() {
        "COUNT_DISTINCT" => {
            rename(function, "count");
            duplicates(function, Some(DuplicateTreatment::Distinct));
        }
        "COLLECT_LIST" if is_ordered(function) => rename(function, "array_agg"),
        "COLLECT_LIST" if is_distinct(function) => {
            rename(function, "collect_set");
            duplicates(function, None);
        }
        name => {
            if let Some(aggregate) = aggregate::find(name).filter(|aggregate| aggregate.is_ours()) {
                errors.extend(refusal(aggregate, function));
            }
        }
    }
}

/// The error for a clause that the aggregate does not accept.
fn refusal(aggregate: &Aggregate, function: &Function) -> Option<Diagnostic> {
    let name = aggregate.name;
    let (what, hint) = if is_distinct(function) {
        let hint = match name {
            "TOPK" => "Use TOPKDISTINCT, which returns each value once.",
            "COLLECT_SET" | "TOPKDISTINCT" => "It returns each value once anyway.",
            _ => "Select distinct rows in a subquery: FROM (SELECT DISTINCT …).",
        };
        ("DISTINCT", hint)
    } else if is_ordered(function) {
        let hint = match name {
            "LATEST_BY_OFFSET" => "Use LAST_VALUE(value ORDER BY …) to order by something other than the records.",
            "EARLIEST_BY_OFFSET" => "Use FIRST_VALUE(value ORDER BY …) to order by something other than the records.",
            "COLLECT_SET" => "Sort the result: ARRAY_SORT(COLLECT_SET(…)).",
            _ => "Remove it.",
        };
        ("ORDER BY", hint)
    } else if !function.within_group.is_empty() {
        ("WITHIN GROUP", "Remove it.")
    } else if treats_nulls(function) {
        let hint = match name {
            "LATEST_BY_OFFSET" | "EARLIEST_BY_OFFSET" => "Use the last argument instead: false keeps NULL.",
            _ => "Remove it; FILTER (WHERE … IS NOT NULL) skips NULL values.",
        };
        ("IGNORE NULLS or RESPECT NULLS", hint)
    } else {
        return None;
    };
    let span = function.name.0.first().and_then(|part| part.as_ident()).and_then(|name| place(name.span));
    Some(Diagnostic::new(PLAN, format!("\"{name}\" does not take {what}")).at_maybe(span).hint(hint))
}

fn rename(function: &mut Function, name: &str) {
    function.name = ObjectName::from(vec![Ident::new(name)]);
}

fn duplicates(function: &mut Function, treatment: Option<DuplicateTreatment>) {
    if let FunctionArguments::List(list) = &mut function.args {
        list.duplicate_treatment = treatment;
    }
}

fn is_distinct(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
}

fn has_clause(function: &Function, is_it: impl Fn(&FunctionArgumentClause) -> bool) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.clauses.iter().any(is_it))
}

fn is_ordered(function: &Function) -> bool {
    has_clause(function, |clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
}

fn treats_nulls(function: &Function) -> bool {
    let says = |clause: &FunctionArgumentClause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_));
    function.null_treatment.is_some() || has_clause(function, says)
}
