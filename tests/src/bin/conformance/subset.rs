//! Which parts of the dialect a case needs, told by the words of its statements: its outcome plays no part.

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

/// Formats whose payloads begin with the id of a registered schema, and their kin.
const REGISTRY_FORMATS: &[&str] = &["AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR"];

/// Functions that hold state.
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

/// The function of ksqlDB's tests that a case calls, if there is one.
pub fn test_function(case: &Case) -> Option<String> {
    let words = statement_words(case);
    calls(&words).find(|name| TEST_FUNCTIONS.contains(name)).map(str::to_owned)
}

/// A format with a registry, or one of its kin, is named by a statement or a topic.
pub fn needs_registry(case: &Case) -> bool {
    let topics = case.topics.iter().flat_map(|topic| words_of(&topic.to_string()));
    let statements = case.statements.iter().flat_map(|statement| words_of(statement));
    topics.chain(statements).any(|word| REGISTRY_FORMATS.contains(&word.as_str()))
}

/// A query of the case holds state: it groups, joins, has windows, or keeps a table.
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

/// A statement without what stands between apostrophes.
fn without_text(statement: &str) -> String {
    statement.split('\'').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Words in capitals; an opening bracket is one, too.
fn words_of(text: &str) -> Vec<String> {
    let upper = text.to_uppercase().replace('(', " ( ");
    let word = |word: &&str| !word.is_empty();
    upper.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(').filter(word).map(str::to_owned).collect()
}

/// Names before an opening bracket.
fn calls(words: &[String]) -> impl Iterator<Item = &str> {
    words.windows(2).filter(|pair| pair[1] == "(").map(|pair| pair[0].as_str())
}
