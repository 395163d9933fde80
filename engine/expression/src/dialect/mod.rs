//! The dialect's expressions: their types and conversions are made explicit, so that nothing is left for DataFusion to
//! decide.
//!
//! DataFusion plans the expression tree, but its types, coercions and three-valued comparisons are not the dialect's.
//! So it receives a tree in which every number literal has a type ([`literal`]) and every CAST and constructor is a
//! call of a function of this module. `planner` turns operators into `operator::Operation`s, and [`lower()`] converts
//! the planned expression, bottom up, to DataFusion's own nodes with explicit casts, or to our own kernels where the
//! semantics differ. `pass` does that for every node of a plan and adds a `guard` where a row may fail.
//!
//! Semantics are ksqlDB's. This module knows neither the catalog nor statements.

mod adapt;
mod aggregates;
mod any_all;
mod arithmetic;
mod assign;
mod average;
mod cast;
mod common;
mod comparison;
mod constructor;
mod convert;
mod correlation;
mod doubles;
mod either;
mod extremes;
mod failures;
mod field;
mod foreign;
mod frames;
mod guard;
mod halves;
mod kernel;
mod kind;
mod lambda;
mod like;
pub mod literal;
mod lower;
mod mean;
mod multiset;
mod negation;
mod on;
mod one_form;
mod one_row;
mod operator;
mod ordinary;
mod pass;
mod planner;
mod quotient;
mod reach;
mod refusal;
mod shift;
mod simplify;
mod subqueries;
mod sums;
mod text;
mod text_form;
mod truncate;
mod truth;
mod user;

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::ExprPlanner;

pub use assign::coerces;
pub use cast::CAST;
pub use constructor::{ARRAY, MAP, STRUCT};
pub use either::EITHER;
pub use failures::{CountFailures, count_in};
pub use failures::{InnerFailures, within};
pub use halves::by_halves;
pub use like::LIKE;
pub use lower::lower;
pub use negation::NEGATE;
pub use operator::{DISTINCT, Division, NOT_DISTINCT};
pub use pass::settle_plan;
pub use simplify::simplified;
pub use user::{Declared, UserFunction};

/// The planner for the dialect's operators; it takes precedence over DataFusion's own.
pub fn expr_planner(division: Division) -> Arc<dyn ExprPlanner> {
    Arc::new(planner::Operators { division })
}

/// Registers the functions that rewritten queries call.
pub fn register(mut state: SessionState) -> SessionState {
    let functions = [
        ScalarUDF::from(cast::CastCall::default()),
        ScalarUDF::from(constructor::Constructor::array()),
        ScalarUDF::from(constructor::Constructor::map()),
        ScalarUDF::from(constructor::StructCall::default()),
        ScalarUDF::from(either::Either::default()),
        ScalarUDF::from(like::LikeCall::default()),
        ScalarUDF::from(negation::Negation::default()),
        ScalarUDF::from(operator::Operation::new(operator::Op::Distinct)),
        ScalarUDF::from(operator::Operation::new(operator::Op::NotDistinct)),
    ];
    for function in functions {
        // Registering replaces a function of the same name; for scalar functions it cannot fail.
        let _ = state.register_udf(Arc::new(function));
    }
    state
}
