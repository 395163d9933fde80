//! The dialect's expressions: types decided and conversions written out, so that nothing is left for DataFusion to decide.
//!
//! DataFusion plans the tree of an expression; its types, its coercions and its three-valued comparisons are not the
//! dialect's. So the text goes in with every number typed ([`literal`]) and every CAST and constructor as a call of a
//! function of this room, operators become `operator::Operation`s on the way (`planner`), and [`lower()`] turns what
//! came out, from the leaves up, into DataFusion's own nodes with explicit casts, or into kernels of ours where the
//! semantics differ. `pass` does that for every node of a plan and puts a `guard` where a row may fail.
//!
//! Semantics are ksqlDB's. This room knows no catalog and no statements.

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
pub use failures::{Inside, within};
pub use halves::by_halves;
pub use like::LIKE;
pub use lower::lower;
pub use negation::NEGATE;
pub use operator::{DISTINCT, Division, NOT_DISTINCT};
pub use pass::settle_plan;
pub use simplify::simplified;
pub use user::{Declared, UserFunction};

/// Plans operators; it goes in front of DataFusion's own planners.
pub fn expr_planner(division: Division) -> Arc<dyn ExprPlanner> {
    Arc::new(planner::Operators { division })
}

/// Adds the functions that rewritten texts call.
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
        // Registering replaces a function of the same name; it does not fail for scalar functions.
        let _ = state.register_udf(Arc::new(function));
    }
    state
}
