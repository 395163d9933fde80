//! Subqueries in FROM without a name, in joins that refer to their columns by name: `(SELECT k FROM p) JOIN q USING
//! (k)`.

use sqlparser::ast::{Ident, JoinConstraint, TableAlias, TableFactor, TableWithJoins};

use super::merged::constraint_mut;

/// Numbers them if a join is USING or NATURAL. The generated names contain a space so that they do not clash with
/// users' names.
pub(super) fn name(from: &mut TableWithJoins, named: &mut usize) {
    let merges = from.joins.iter_mut().any(|join| {
        let constraint = constraint_mut(&mut join.join_operator);
        constraint.is_some_and(|c| matches!(c, JoinConstraint::Using(_) | JoinConstraint::Natural))
    });
    let factors = std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|join| &mut join.relation));
    for factor in factors {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => name(table_with_joins, named),
            TableFactor::Derived { alias: alias @ None, .. } if merges => {
                *named += 1;
                let name = Ident::with_quote('`', format!("subquery {named}"));
                *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
            }
            _ => {}
        }
    }
}
