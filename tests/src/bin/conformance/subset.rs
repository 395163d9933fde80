//! Which parts of the dialect a case needs, derived from the words of its statements and not from its outcome.

use headwater_engine::sql;

use crate::case::Case;

/// Functions that exist only inside ksqlDB's test module.
const TEST_FUNCTIONS: &[&str] = &[
    "TEST_UDF",
    "TEST_UDAF",
    "TEST_UDTF",
    "TEST_UDTF1",
    "TEST_UDTF2",
    "TEST_UDF_1",
    "BAD_UDF",
    "BAD_TEST_UDF",
    "BAD_TEST_UDAF",
    "BAD_TEST_UDTF",
    "THROWING_UDTF",
    "MULTI_ARG",
    "VAR_ARG",
    "GENERIC_VAR_ARG",
    "MID_VAR_ARG",
    "OBJ_COL_ARG",
    "FOUR_ARG",
    "FIVE_ARG",
    "WHENCONDITION",
    "WHENRESULT",
    "TOSTRUCT",
    "KSQLSTRUCTUDF",
    "CONFIGURABLEUDF",
    "DECIMALSTRUCT",
    "SOMEFUNCTION",
    "COMPLEXFUNCTION",
    "RETURNDECIMAL",
    "RETURNINCOMPATIBLE",
    "MULTIPLY",
    "TOLIST",
    "TOMAP",
    "TOSTRING",
    "BACKWARD_CONCAT",
];

/// Formats that need a schema registry.
const REGISTRY_FORMATS: &[&str] = &["AVRO", "PROTOBUF", "JSON_SR"];

/// Functions that need state.
const AGGREGATES: &[&str] = &[
    "COUNT",
    "COUNT_DISTINCT",
    "SUM",
    "SUM_LIST",
    "AVG",
    "MIN",
    "MAX",
    "COLLECT_LIST",
    "COLLECT_SET",
    "TOPK",
    "TOPKDISTINCT",
    "HISTOGRAM",
    "ATTR",
    "CORRELATION",
    "STDDEV_SAMP",
    "STDDEV_SAMPLE",
    "EARLIEST_BY_OFFSET",
    "LATEST_BY_OFFSET",
];

/// The function of ksqlDB's tests that a case calls, if any.
pub fn test_function(case: &Case) -> Option<String> {
    let words = statement_words(case);
    calls(&words).find(|name| TEST_FUNCTIONS.contains(name)).map(str::to_owned)
}

/// Whether a statement or topic uses one of [`REGISTRY_FORMATS`].
pub fn needs_registry(case: &Case) -> bool {
    let topics = case.topics.iter().flat_map(|topic| words_of(&topic.to_string()));
    let statements = case.statements.iter().flat_map(|statement| words_of(statement));
    topics.chain(statements).any(|word| REGISTRY_FORMATS.contains(&word.as_str()))
}

/// Whether a query of the case needs state: it groups, joins, has windows, or maintains a table.
pub fn needs_state(case: &Case) -> bool {
    let words = statement_words(case);
    let has = |phrase: &[&str]| words.windows(phrase.len()).any(|found| found.iter().eq(phrase));
    let makes_table = || case.statements.iter().any(|statement| makes_table(statement));
    has(&["GROUP", "BY"])
        || has(&["JOIN"])
        || has(&["SOURCE", "TABLE"])
        || makes_table()
        || calls(&words).any(|name| AGGREGATES.contains(&name))
}

/// CREATE TABLE … AS SELECT.
fn makes_table(statement: &str) -> bool {
    sql::split(statement).iter().any(|span| {
        let words = words_of(&without_text(&statement[span.start..span.end]));
        let creates = words.first().is_some_and(|word| word == "CREATE") && words.iter().take(4).any(|w| w == "TABLE");
        creates && words.windows(2).any(|pair| pair == ["AS", "SELECT"])
    })
}

fn statement_words(case: &Case) -> Vec<String> {
    case.statements.iter().flat_map(|statement| words_of(&without_text(statement))).collect()
}

/// A statement without its string literals.
fn without_text(statement: &str) -> String {
    statement.split('\'').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Words in upper case; an opening parenthesis counts as a word.
fn words_of(text: &str) -> Vec<String> {
    let upper = text.to_uppercase().replace('(', " ( ");
    let word = |word: &&str| !word.is_empty();
    upper.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(').filter(word).map(str::to_owned).collect()
}

/// Names before an opening parenthesis.
fn calls(words: &[String]) -> impl Iterator<Item = &str> {
    words.windows(2).filter(|pair| pair[1] == "(").map(|pair| pair[0].as_str())
}
