//! Aggregates: functions that compute one value from several rows.
//!
//! Each aggregate has an entry in [`FUNCTIONS`], and a file that it may share with similar ones. All have the same
//! form (`recipe`): the types of the intermediate state, and an accumulator to which batches of rows are added,
//! into which states are merged, and from which rows can be retracted if the recipe allows it. `call` makes each of
//! them an aggregate of DataFusion; those without a recipe are DataFusion's own.
//!
//! LATEST_BY_OFFSET and others depend on the order of the records: `place`. Nothing here knows where the address of a row
//! comes from (`planner/aggregate`).

mod attr;
mod call;
mod collect_list;
mod collect_set;
pub(crate) mod correlation;
pub(crate) mod deviation;
mod ends;
pub(crate) mod histogram;
mod place;
mod queue;
mod recipe;
mod sum_list;
pub(crate) mod topk;
pub(crate) mod values;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;

use super::signature::Type::{
    Any, Array, BigInt, Boolean, Bytes, Date, Decimal, Double, Int, Map, String, Time, Timestamp,
};
use super::signature::{ARRAY_T, Param, T, Variant, p};

pub use call::{chosen, shaped, unsettled};
pub use queue::Queue;
pub use recipe::{Aggregate, Compute, Order, Shape, Shared};

const VALUE: &[Param] = &[p("value", T)];
const VALUE_NULLS: &[Param] = &[p("value", T), p("ignore_nulls", Boolean)];
const VALUE_COUNT: &[Param] = &[p("value", T), p("n", Int)];
const VALUE_COUNT_NULLS: &[Param] = &[p("value", T), p("n", Int), p("ignore_nulls", Boolean)];
const NUMBER: &[Param] = &[p("number", Double)];

/// A variant that DataFusion computes, for each of these types.
macro_rules! elsewhere {
    ($($ty:expr => $returns:expr),* $(,)?) => {
        &[$(Variant::elsewhere(&[p("value", $ty)], $returns)),*]
    };
}

/// The types that have an order.
const SORTED: &str = "The value is a number, STRING, BYTES, DATE, TIME or TIMESTAMP.";

/// The aggregates.
pub static FUNCTIONS: &[Aggregate] = &[
    Aggregate::aggregate(
        "COUNT",
        "The number of rows, or of rows in which the value is not NULL.",
        &[
            Variant::elsewhere(&[], BigInt).about("COUNT(*), all rows."),
            Variant::elsewhere(&[p("value", Any)], BigInt).about("Counts the rows in which the value is not NULL."),
        ],
        &[
            ("SELECT COUNT(*) FROM (VALUES (7), (NULL)) AS t(x)", "2"),
            ("SELECT COUNT(x) FROM (VALUES (7), (NULL)) AS t(x)", "1"),
        ],
    ),
    Aggregate::aggregate(
        "COUNT_DISTINCT",
        "The number of distinct values, not counting NULL. The count is exact.",
        &[Variant::elsewhere(&[p("value", Any)], BigInt)],
        &[("SELECT COUNT_DISTINCT(x) FROM (VALUES ('a'), ('b'), ('a')) AS t(x)", "2")],
    ),
    Aggregate::aggregate(
        "SUM",
        "The sum of the values. NULL is ignored; the result is NULL if there are no other values. In a continuous query it is 0 instead, and the sum has the type of the values: that of INTs or BIGINTs wraps around, and a record with which that of DECIMALs would have too many digits is rejected.",
        elsewhere!(Int => BigInt, BigInt => BigInt, Double => Double, Decimal => Decimal),
        &[("SELECT SUM(x) FROM (VALUES (1), (2), (NULL)) AS t(x)", "3")],
    ),
    Aggregate::aggregate(
        "SUM_LIST",
        "The sum of all elements of all arrays. NULL is ignored; the result is 0 if there is nothing to add.",
        &[
            Variant::of_rows(&[p("numbers", Array(&Int))], Int, &sum_list::SUM_LIST),
            Variant::of_rows(&[p("numbers", Array(&BigInt))], BigInt, &sum_list::SUM_LIST),
            Variant::of_rows(&[p("numbers", Array(&Double))], Double, &sum_list::SUM_LIST),
        ],
        &[("SELECT SUM_LIST(x) FROM (VALUES (ARRAY[1, 2]), (ARRAY[3])) AS t(x)", "6")],
    ),
    Aggregate::aggregate(
        "AVG",
        "The average of the values. NULL is ignored; the result is NULL if there are no other values. In a continuous query it is 0 instead, and the sum of which it is computed is that of SUM.",
        elsewhere!(Int => Double, BigInt => Double, Double => Double, Decimal => Decimal),
        &[("SELECT AVG(x) FROM (VALUES (1), (2)) AS t(x)", "1.5")],
    ),
    Aggregate::aggregate(
        "MIN",
        "The smallest value. NULL is ignored; the result is NULL if there are no other values.",
        elsewhere!(
            Int => Int, BigInt => BigInt, Double => Double, Decimal => Decimal, String => String, Bytes => Bytes,
            Date => Date, Time => Time, Timestamp => Timestamp,
        ),
        &[("SELECT MIN(x) FROM (VALUES (3), (1), (NULL)) AS t(x)", "1")],
    ),
    Aggregate::aggregate(
        "MAX",
        "The largest value. NULL is ignored; the result is NULL if there are no other values.",
        elsewhere!(
            Int => Int, BigInt => BigInt, Double => Double, Decimal => Decimal, String => String, Bytes => Bytes,
            Date => Date, Time => Time, Timestamp => Timestamp,
        ),
        &[("SELECT MAX(x) FROM (VALUES ('a'), ('b')) AS t(x)", "b")],
    ),
    Aggregate::aggregate(
        "LATEST_BY_OFFSET",
        "The value of the last record: by offset within a partition, by time across partitions; a continuous query uses the order in which it processes records. NULL is ignored unless ignore_nulls is false.",
        &[
            Variant::of_rows(VALUE, T, &ends::LATEST),
            Variant::of_rows(VALUE_NULLS, T, &ends::LATEST).constants(1),
            Variant::of_rows(VALUE_COUNT, ARRAY_T, &ends::LATEST)
                .constants(1)
                .about("The last n values, in order, the latest one last."),
            Variant::of_rows(VALUE_COUNT_NULLS, ARRAY_T, &ends::LATEST).constants(2),
        ],
        &[
            ("SELECT LATEST_BY_OFFSET(x) FROM (VALUES (5), (7), (NULL)) AS t(x)", "7"),
            ("SELECT LATEST_BY_OFFSET(x, 2) FROM (VALUES (5), (6), (7)) AS t(x)", "[6, 7]"),
        ],
    ),
    Aggregate::aggregate(
        "EARLIEST_BY_OFFSET",
        "The value of the first record: by offset within a partition, by time across partitions; a continuous query uses the order in which it processes records. NULL is ignored unless ignore_nulls is false.",
        &[
            Variant::of_rows(VALUE, T, &ends::EARLIEST),
            Variant::of_rows(VALUE_NULLS, T, &ends::EARLIEST).constants(1),
            Variant::of_rows(VALUE_COUNT, ARRAY_T, &ends::EARLIEST).constants(1).about("The first n values, in order."),
            Variant::of_rows(VALUE_COUNT_NULLS, ARRAY_T, &ends::EARLIEST).constants(2),
        ],
        &[
            ("SELECT EARLIEST_BY_OFFSET(x) FROM (VALUES (NULL), (5), (7)) AS t(x)", "5"),
            ("SELECT EARLIEST_BY_OFFSET(x, 2) FROM (VALUES (5), (6), (7)) AS t(x)", "[5, 6]"),
        ],
    ),
    Aggregate::aggregate(
        "ATTR",
        "The value that all rows share; NULL if they have different values, where NULL counts as a value.",
        &[Variant::of_rows(VALUE, T, &attr::ATTR)],
        &[
            ("SELECT ATTR(x) FROM (VALUES ('a'), ('a')) AS t(x)", "a"),
            ("SELECT ATTR(x) FROM (VALUES ('a'), ('b')) AS t(x)", "NULL"),
        ],
    ),
    Aggregate::aggregate(
        "COLLECT_LIST",
        "An array of all values, including NULL, in the order of the records. The property collect_list.limit limits its length.",
        &[Variant::of_rows(VALUE, ARRAY_T, &collect_list::COLLECT_LIST)],
        &[("SELECT COLLECT_LIST(x) FROM (VALUES (2), (1), (2)) AS t(x)", "[2, 1, 2]")],
    ),
    Aggregate::aggregate(
        "COLLECT_SET",
        "An array of the distinct values, including NULL, in the order in which they first appear. The property collect_set.limit limits its length.",
        &[Variant::of_rows(VALUE, ARRAY_T, &collect_set::COLLECT_SET)],
        &[("SELECT COLLECT_SET(x) FROM (VALUES (2), (1), (2)) AS t(x)", "[2, 1]")],
    ),
    Aggregate::aggregate(
        "TOPK",
        "The k largest values, in descending order; NULL is ignored. With further columns the result is an array of structs, in which the value is sort_col and the others are col0, col1, ….",
        &[
            Variant::of_rows(&[p("value", T), p("k", Int)], ARRAY_T, &topk::TOPK).constants(1).about(SORTED),
            Variant::of_rows(
                &[p("value", T), p("column", Any), p("more", Any), p("k", Int)],
                ARRAY_T,
                &topk::TOPK_WITH,
            )
            .constants(1)
            .variadic_inside()
            .giving_written("ARRAY<STRUCT<`sort_col` T, `col0` ANY, ...>>", topk::rows_type),
        ],
        &[
            ("SELECT TOPK(x, 2) FROM (VALUES (3), (9), (9), (5)) AS t(x)", "[9, 9]"),
            (
                "SELECT TOPK(x, y, 2) FROM (VALUES (3, 'a'), (9, 'b'), (5, 'c')) AS t(x, y)",
                "[{sort_col: 9, col0: b}, {sort_col: 5, col0: c}]",
            ),
        ],
    ),
    Aggregate::aggregate(
        "TOPKDISTINCT",
        "The k largest distinct values, in descending order; NULL is ignored.",
        &[Variant::of_rows(&[p("value", T), p("k", Int)], ARRAY_T, &topk::TOPK_DISTINCT).constants(1).about(SORTED)],
        &[("SELECT TOPKDISTINCT(x, 2) FROM (VALUES (3), (9), (9), (5)) AS t(x)", "[9, 5]")],
    ),
    Aggregate::aggregate(
        "HISTOGRAM",
        "How often each text occurs, for the first 1,000 distinct texts; NULL is ignored.",
        &[Variant::of_rows(&[p("text", String)], Map(&String, &BigInt), &histogram::HISTOGRAM)],
        &[("SELECT HISTOGRAM(x) FROM (VALUES ('a'), ('b'), ('a')) AS t(x)", "{a: 2, b: 1}")],
    ),
    Aggregate::aggregate(
        "STDDEV_SAMPLE",
        "The sample standard deviation; NULL is ignored. 0 for fewer than two values.",
        &[Variant::of_rows(NUMBER, Double, &deviation::DEVIATION)],
        &[("SELECT STDDEV_SAMPLE(x) FROM (VALUES (2), (4), (6)) AS t(x)", "2.0")],
    ),
    Aggregate::aggregate(
        "STDDEV_SAMP",
        "The sample variance, as in ksqlDB, where this misleading name is deprecated. Use STDDEV_SAMPLE for the standard deviation.",
        &[Variant::of_rows(NUMBER, Double, &deviation::VARIANCE)],
        &[("SELECT STDDEV_SAMP(x) FROM (VALUES (2), (4), (6)) AS t(x)", "4.0")],
    ),
    Aggregate::aggregate(
        "CORRELATION",
        "The Pearson correlation coefficient of two columns; rows with a NULL are ignored. NaN for fewer than two rows, or if all values of a column are the same.",
        &[Variant::of_rows(&[p("x", Double), p("y", Double)], Double, &correlation::CORRELATION)],
        &[("SELECT CORRELATION(x, y) FROM (VALUES (1, 2), (2, 4), (3, 6)) AS t(x, y)", "1.0")],
    ),
];

/// The aggregate of a name in any case.
pub fn find(name: &str) -> Option<&'static Aggregate> {
    FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// Whether every accumulator of an aggregate can retract rows, as changes of a table require. Aggregates that
/// DataFusion computes are recognized by name.
pub fn retracts(name: &str) -> bool {
    let recipes = find(name).into_iter().flat_map(|function| function.variants).map(|variant| variant.kernel.recipe);
    recipes.fold(None, |all, recipe| {
        let one = recipe.map_or(["AVG", "COUNT", "SUM"].contains(&name), |recipe| recipe.retracts);
        Some(all.unwrap_or(true) && one)
    }) == Some(true)
}

/// How many of the last arguments are constants, in a call with this number of arguments.
pub fn constants(name: &str, arguments: usize) -> usize {
    let takes = |variant: &&Variant<Compute>| match variant.variadic {
        true => arguments + 1 >= variant.params.len(),
        false => arguments == variant.params.len(),
    };
    let variants = find(name).into_iter().flat_map(|function| function.variants).filter(takes);
    variants.map(|variant| variant.kernel.constants).max().unwrap_or(0)
}

/// Adds the aggregates that are computed here; they replace those of DataFusion of the same name.
pub fn register(mut state: SessionState) -> SessionState {
    for function in FUNCTIONS.iter().filter(|function| function.is_ours()) {
        // Registering replaces an aggregate of the same name; it does not fail.
        let _ = state.register_udaf(call::planned(function));
    }
    state
}

#[cfg(test)]
mod tests;
