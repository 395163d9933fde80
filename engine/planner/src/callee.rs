//! What a name means when it is called as a function: the one place that decides whether it is a function, and which
//! functions are suggested for an unknown one.
//!
//! ```text
//!                        bounded query  continuous query  CREATE FUNCTION
//! aggregate                   yes             yes               -
//! EXPLODE, CUBE_EXPLODE       yes             yes               -
//! UNNEST                      yes             -                 -
//! MAP, STRUCT, scalar         yes             yes               yes
//! DataFusion's own, window    yes             -                 -
//! ```

use datafusion::execution::session_state::SessionState;
use headwater_expression::{defined, is_defined};
use headwater_functions::{aggregate, is_table_function};
use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::expr_forms::is_constructor;

/// What a name means when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// `MAP` or `STRUCT`, which construct a value from their arguments.
    Constructor,
    /// A function that returns several rows.
    Table,
    /// `UNNEST`, which also returns several rows, but only in bounded queries.
    Unnest,
    /// A function that returns one value for many rows.
    Aggregate,
    /// A function of the dialect that returns one value per row.
    Scalar,
    /// The same, defined by a statement.
    Defined,
    /// A scalar function of DataFusion.
    Bounded,
    /// A function that can only be used as a window function.
    Window,
    /// `ROLLUP` or `CUBE`, which define grouping sets.
    Grouping,
}

impl Callee {
    /// The meaning of a name, ignoring case; none if there is no such function.
    pub(super) fn of(name: &str, state: &SessionState) -> Option<Self> {
        let lower = name.to_lowercase();
        Some(match () {
            () if is_constructor(name) => Self::Constructor,
            () if is_table_function(name) => Self::Table,
            () if lower == "unnest" => Self::Unnest,
            () if aggregate::find(name).is_some() || state.aggregate_functions().contains_key(&lower) => {
                Self::Aggregate
            }
            () if headwater_functions::find(name).is_some() => Self::Scalar,
            () if is_defined(name, state) => Self::Defined,
            // Functions that expressions are rewritten to cannot be called by users.
            () if lower.starts_with("headwater_") => return None,
            () if state.scalar_functions().contains_key(&lower) => Self::Bounded,
            () if state.window_functions().contains_key(&lower) => Self::Window,
            () if ["rollup", "cube"].contains(&lower.as_str()) => Self::Grouping,
            () => return None,
        })
    }

    /// Whether it returns several rows.
    pub(super) fn makes_rows(self) -> bool {
        matches!(self, Self::Table | Self::Unnest)
    }

    /// Whether it returns one value per row.
    pub(super) fn is_scalar(self) -> bool {
        matches!(self, Self::Constructor | Self::Scalar | Self::Defined | Self::Bounded)
    }

    /// Whether continuous queries support it.
    pub(super) fn is_continuous(self) -> bool {
        matches!(self, Self::Constructor | Self::Table | Self::Aggregate | Self::Scalar | Self::Defined)
    }
}

/// Whether this is the name of an aggregate, ignoring case.
pub(super) fn is_aggregate(name: &str, state: &SessionState) -> bool {
    Callee::of(name, state) == Some(Callee::Aggregate)
}

/// The kind of caller, which determines the functions that can be called.
#[derive(Clone, Copy)]
pub(super) enum Caller<'a> {
    /// A bounded query.
    Bounded(&'a SessionState),
    /// A continuous query.
    Continuous(&'a SessionState),
    /// The expression of a function that a statement defines.
    Function(&'a Catalog),
}

impl Caller<'_> {
    /// The error for an unknown function, suggesting the nearest one that can be called.
    pub(super) fn unknown(self, name: &str) -> Diagnostic {
        let names = self.names();
        headwater_functions::unknown(name, names.iter().map(String::as_str))
    }

    /// The functions that can be called.
    fn names(self) -> Vec<String> {
        let scalar = headwater_functions::all().map(|function| function.name.to_owned());
        match self {
            Self::Bounded(state) => headwater_functions::list(state).into_iter().map(|(name, _)| name).collect(),
            Self::Continuous(state) => {
                let aggregates = aggregate::FUNCTIONS.iter().map(|function| function.name.to_owned());
                scalar.chain(aggregates).chain(defined(state)).collect()
            }
            Self::Function(catalog) => scalar.chain(catalog.functions().map(|def| def.name.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_expression::session;
    use headwater_language::config::Settings;

    /// The order of the checks in [`Callee::of`] does not matter: no name passes two of them.
    #[test]
    fn no_function_is_of_two_kinds() {
        let state = session(&Settings::default());
        for function in headwater_functions::all() {
            let lower = function.name.to_lowercase();
            assert!(!state.aggregate_functions().contains_key(&lower), "{lower} is an aggregate, too");
            assert!(!state.window_functions().contains_key(&lower), "{lower} is a window function, too");
        }
        for name in state.scalar_functions().keys() {
            assert!(!state.aggregate_functions().contains_key(name), "{name} is an aggregate, too");
            assert!(!state.window_functions().contains_key(name), "{name} is a window function, too");
        }
    }

    #[test]
    fn a_name_means_one_thing() {
        let state = session(&Settings::default());
        let of = |name| Callee::of(name, &state);
        assert_eq!(of("map"), Some(Callee::Constructor));
        assert_eq!(of("Explode"), Some(Callee::Table));
        assert_eq!(of("unnest"), Some(Callee::Unnest));
        assert_eq!(of("count"), Some(Callee::Aggregate));
        assert_eq!(of("ucase"), Some(Callee::Scalar));
        assert_eq!(of("to_hex"), Some(Callee::Bounded));
        assert_eq!(of("row_number"), Some(Callee::Window));
        assert_eq!(of("ROLLUP"), Some(Callee::Grouping));
        assert_eq!(of("headwater_element"), None);
        assert_eq!(of("nothing"), None);
    }
}
