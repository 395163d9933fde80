//! DataFusion's and Arrow's messages that users meet, reworded: errors of planning, and failures at run time.
//!
//! DataFusion describes a wrong plan by the names of its nodes, with Rust's notation for values and links to its
//! issues. [`super::foreign`] blocks such messages; those listed here are replaced.

use headwater_language::diagnostic::{AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, NOT_SUPPORTED, PLAN, RUNTIME};

use super::our_types::with_our_types;

/// Builds the diagnostic that replaces a message. The texts that the pattern's `{}` matched are passed in order.
type Reword = fn(&[String]) -> Diagnostic;

fn plan(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(PLAN, message)
}

fn unsupported(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, message)
}

/// The error for a query of which a part cannot be planned.
pub(super) fn unplanned() -> Diagnostic {
    unsupported("this query cannot be planned yet")
        .detail("A part of the query needs a value that is not available there.")
        .hint("Split it into steps: WITH a AS (SELECT …), b AS (SELECT … FROM a) SELECT … FROM b.")
}

/// The end of the message for a correlated subquery that is not supported.
const DEPENDS: &str = "it refers to the outer query in a way that is not supported";

/// The end of the message for a column that belongs to a query further out.
const FURTHER: &str = "belongs to a query further out";

/// The error for a subquery that refers to the outer query in a way that cannot be planned.
pub fn correlated(what: &str) -> Diagnostic {
    unsupported(format!("{what} cannot be computed here: {DEPENDS}"))
        .detail("A subquery may refer to the outer query in conditions with =, and cannot have a LIMIT then.")
        .hint("Rewrite it as a join.")
}

/// The error for a column in a subquery that belongs to a query further out than the one directly around it.
pub fn too_far(column: &str) -> Diagnostic {
    unsupported(format!("a subquery may refer only to the query directly around it, but column \"{column}\" {FURTHER}"))
        .hint("Rewrite it as a join.")
}

/// The column named in an error made by [`too_far`].
pub(super) fn too_far_column(diagnostic: &Diagnostic) -> Option<&str> {
    diagnostic.message.strip_suffix(FURTHER)?.rsplit('"').nth(1)
}

/// Whether a diagnostic was made by [`correlated`].
pub(super) fn is_correlated(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == NOT_SUPPORTED && diagnostic.message.ends_with(DEPENDS)
}

fn arguments(function: &str, takes: &str, given: &str) -> Diagnostic {
    plan(format!("function \"{}\" takes {}, not {given}", function.to_uppercase(), counted(takes)))
}

fn counted(number: &str) -> String {
    if number == "1" { "1 argument".to_owned() } else { format!("{number} arguments") }
}

fn refused(function: &str, types: &str) -> Diagnostic {
    plan(format!("function \"{}\" does not take {types}", function.to_uppercase()))
}

/// The messages that are reworded, without DataFusion's prefixes and in lower case at the start.
const KNOWN: &[(&str, Reword)] = &[
    // Names.
    ("{}require unique expression names but the expression \"{}\" at position {}", |m| {
        let name = m[1].split(" AS ").last().unwrap_or(&m[1]).trim_matches('`');
        let name = name.rsplit('.').next().unwrap_or(name);
        let message = match name.contains(['(', ' ']) {
            true => "two columns have the same name".to_owned(),
            false => format!("column \"{name}\" appears twice in the result"),
        };
        Diagnostic::new(DUPLICATE_COLUMN, message).hint("Give one of them another name with AS.")
    }),
    ("schema contains duplicate unqualified field name {}", |m| twice(&m[0])),
    ("schema contains duplicate qualified field name {}", |m| twice(&m[0])),
    ("WITH query name \"{}\" specified more than once", |m| plan(format!("\"{}\" is defined twice in WITH", m[0]))),
    ("the window {} is not defined!", |m| plan(format!("window \"{}\" does not exist", unquoted(&m[0])))),
    ("the window {} is defined multiple times!", |m| plan(format!("window \"{}\" is defined twice", unquoted(&m[0])))),
    ("table function '{}' not found", |m| {
        plan(format!("function \"{}\" cannot be used as a relation in FROM", m[0].to_uppercase()))
    }),
    ("mismatch: {} columns specified, but result has {} columns", |m| {
        plan(format!("the column list has {} names, but the query has {} columns", m[0], m[1]))
    }),
    ("source table contains {} columns but only {} names given as column alias", |m| {
        plan(format!("the column list has {} names, but the relation has {} columns", m[1], m[0]))
    }),
    ("EXCLUDE or EXCEPT contains duplicate column names", |_| plan("a column appears twice in EXCEPT after *")),
    ("SELECT list is empty after resolving * expressions{}", |_| plan("EXCEPT leaves no column in the SELECT list")),
    ("SELECT * with no tables specified is not valid", |_| plan("SELECT * needs a FROM clause")),
    // Subqueries.
    ("correlated scalar subquery must be aggregated to return at most one row", |_| {
        plan("a scalar subquery may return several rows for one row of the outer query")
            .hint("Reduce them to one row with MAX or another aggregate.")
    }),
    ("A GROUP BY clause in a scalar correlated subquery cannot contain non-correlated columns", |_| {
        plan("a scalar subquery with GROUP BY may return several rows")
            .hint("Remove its GROUP BY, or aggregate its result again.")
    }),
    ("correlated scalar subquery {}", |_| {
        correlated("a scalar subquery").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("scalar subquery should only return one column, but found {}: {}", |m| {
        plan(format!("a scalar subquery must return one column, not {}", m[0]))
    }),
    ("scalar subquery must return exactly one column, got {}", |m| {
        plan(format!("a scalar subquery must return one column, not {}", m[0]))
    }),
    ("inSubquery should only return one column, but found {}: {}", |m| in_one_column("IN", &m[0])),
    ("set comparison subquery should only return one column, but found {}: {}", |m| in_one_column("ANY or ALL", &m[0])),
    ("{} should only return one column, but found {}: {}", |m| in_one_column(&m[0], &m[1])),
    ("too many columns! {}", |_| plan("a scalar subquery or the subquery of IN must return one column")),
    ("in/Exist/SetComparison subquery can only be used in {}", |_| {
        correlated("EXISTS, IN, ANY or ALL with a subquery").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("accessing outer reference columns is not allowed in the plan: {}", |_| correlated("a subquery")),
    ("window expressions should not contain a mixed of outer references and inner columns", |_| {
        correlated("a subquery")
    }),
    ("unsupported Subquery plan", |_| correlated("a subquery")),
    ("physical plan does not support undecorrelated Subquery", |_| correlated("a LATERAL subquery")),
    ("physical plan does not support logical expression Exists{}", |_| correlated("EXISTS")),
    ("physical plan does not support logical expression InSubquery{}", |_| correlated("IN with a subquery")),
    ("physical plan does not support logical expression ScalarSubquery{}", |_| correlated("a scalar subquery")),
    ("physical plan does not support logical expression SetComparison{}", |_| correlated("ANY or ALL with a subquery")),
    ("physical plan does not support logical expression OuterReferenceColumn{}", |_| correlated("a subquery")),
    ("physical plan does not support logical expression AggregateFunction{}", |_| {
        plan("an aggregate cannot be used here; a position in GROUP BY cannot refer to one")
    }),
    ("physical plan does not support logical expression WindowFunction{}", |_| {
        plan("a window function cannot be used here").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("physical plan does not support logical expression Unnest{}", |_| {
        plan("table functions are allowed only in SELECT")
    }),
    ("physical plan does not support logical expression {}", |_| {
        unsupported("an expression cannot be evaluated where it appears")
            .hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("LATERAL syntax is not supported for {}", |_| unsupported("LATERAL is not supported here")),
    // Groups, windows, order.
    ("{} must appear in the GROUP BY clause or must be part of an aggregate function{}", |m| {
        ungrouped(last_quoted(&m[0]), &m[0])
    }),
    ("aggregate functions are not allowed in the WHERE clause{}", |_| {
        plan("WHERE cannot contain an aggregate").hint("Use HAVING to filter groups.")
    }),
    ("{}: '{}' is nested inside '{}'", |m| plan(format!("{} cannot be part of {}", m[1], m[2]))),
    ("HAVING clause references: {}", |_| plan("in HAVING and neither aggregated nor in GROUP BY")),
    ("cannot create filter with non-boolean predicate {} returning {}", |m| {
        plan(format!("a condition must be a BOOLEAN, not {}", m[1]))
    }),
    ("QUALIFY clause requires window functions {}", |_| plan("QUALIFY needs a window function")),
    ("for SELECT DISTINCT, ORDER BY expressions {} must appear in select list", |m| {
        plan(format!("ORDER BY of SELECT DISTINCT may use only expressions of the SELECT list, not {}", m[0]))
    }),
    ("SELECT DISTINCT ON expressions must match initial ORDER BY expressions", |_| {
        plan("ORDER BY must begin with the expressions of DISTINCT ON, in the same order")
    }),
    ("ORDER BY ALL is not supported for non-column expressions", |_| unsupported("ORDER BY ALL supports only columns")),
    ("GROUPS requires an ORDER BY clause", |_| plan("a GROUPS frame needs an ORDER BY in its window")),
    ("RANGE requires exactly one ORDER BY column", |_| {
        plan("a RANGE frame needs one ORDER BY expression in its window")
    }),
    ("invalid window frame: start bound {} cannot be larger than end bound {}", |_| {
        plan("a window frame cannot start after its end")
    }),
    ("invalid window frame: start bound cannot be UNBOUNDED FOLLOWING", |_| {
        plan("a window frame cannot start at UNBOUNDED FOLLOWING")
    }),
    ("invalid window frame: end bound cannot be UNBOUNDED PRECEDING", |_| {
        plan("a window frame cannot end at UNBOUNDED PRECEDING")
    }),
    ("invalid window frame: frame offsets for ROWS / GROUPS must be non negative integers", |_| {
        plan("the offset of a ROWS or GROUPS frame must be a non-negative integer")
    }),
    ("invalid window frame: frame offsets for RANGE must be either {}", |_| {
        plan("the offset of a RANGE frame must be a number or an interval")
    }),
    ("there is no window function named {}", |m| {
        plan(format!("function \"{}\" is not a window function", m[0].to_uppercase()))
    }),
    ("aggregate can not be used as a sliding accumulator because {}", |_| {
        unsupported("this aggregate cannot be computed over a sliding window frame")
            .hint("Start the frame at UNBOUNDED PRECEDING.")
    }),
    ("WITHIN GROUP is only supported for ordered-set aggregate functions", |_| {
        plan("WITHIN GROUP is only for ordered-set aggregates, such as a percentile")
    }),
    ("FILTER clause can only be used with aggregate window functions{}", |_| plan("FILTER is only for aggregates")),
    ("argument {} to grouping function is not in grouping columns{}", |m| {
        plan(format!("the arguments of GROUPING must appear in GROUP BY, unlike {}", m[0]))
    }),
    ("the number of group_expression in grouping_set exceeds the maximum limit {}", |_| {
        plan("GROUP BY has too many grouping sets")
    }),
    ("the number of grouping_set in grouping_sets exceeds the maximum limit {}", |_| {
        plan("GROUP BY has too many grouping sets")
    }),
    ("invalid group by expressions, GroupingSet must be the only expression", |_| {
        unsupported("GROUPING SETS, ROLLUP or CUBE must be the only item of GROUP BY")
    }),
    ("tuple expressions {}", |_| unsupported("ROLLUP and CUBE do not support lists of expressions")),
    // Rows.
    ("inconsistent data length across values list: got {} values in row {} but expected {}", |m| {
        plan(format!("row {} of VALUES has {} values, but the first row has {}", counted_from_one(&m[1]), m[0], m[2]))
    }),
    ("inconsistent data type across values list at row {} column {}. Was {} but found {}", |m| {
        let (row, column) = (counted_from_one(&m[0]), counted_from_one(&m[1]));
        plan(format!("row {row} of VALUES has {} in column {column}, but the rows before it have {}", m[3], m[2]))
    }),
    ("UNION queries have different number of columns{}", |_| {
        plan("the sides of UNION have different numbers of columns")
    }),
    ("INTERSECT/EXCEPT query must have the same number of columns. Left is {} and right is {}", |m| {
        plan("the sides of INTERSECT or EXCEPT have different numbers of columns")
            .detail(format!("The left side has {}, the right side has {}.", m[0], m[1]))
    }),
    ("UNION field {} have different type in inputs: {}", |_| differing()),
    (
        "incompatible inputs for Union: Previous inputs were of type {}, but got incompatible type {} on column '{}'",
        |m| {
            plan(format!("the sides of UNION have different types in column \"{}\": {} and {}", m[2], m[0], m[1]))
                .hint(format!("Convert one of them: CAST(… AS {}).", m[0]))
        },
    ),
    ("non-recursive term and recursive term must have the same number of columns ({} != {})", |_| {
        plan("the sides of a recursive WITH have different numbers of columns")
    }),
    ("multiple recursive references to the same CTE are not supported", |_| {
        unsupported("a recursive WITH may refer to itself only once")
    }),
    ("LIMIT must be >= 0, '{}' was provided", |_| plan("LIMIT cannot be negative")),
    ("OFFSET must be >=0, '{}' was provided", |_| plan("OFFSET cannot be negative")),
    ("unsupported LIMIT expression: {}", |_| plan("LIMIT must be a literal number")),
    ("unsupported OFFSET expression: {}", |_| plan("OFFSET must be a literal number")),
    ("expected OFFSET to be an integer or null, but got {}", |m| {
        plan(format!("OFFSET must be an integer, not {}", m[0]))
    }),
    // Types.
    ("there isn't a common type to coerce {} and {} in {} expression", |m| no_common_type(&m[0], &m[1])),
    ("cannot infer common argument type for comparison operation {} {} {}", |m| no_common_type(&m[0], &m[2])),
    ("can not find compatible types to compare {} with [{}]", |m| no_common_type(&m[0], &m[1])),
    ("expr type {} can't cast to {} in {}", |m| no_common_type(&m[0], &m[1])),
    ("cannot coerce arithmetic expression {} {} {} to valid types", |m| {
        plan(format!("operator {} does not take {} and {}", m[1], m[0], m[2]))
    }),
    ("cannot automatically convert {} to {}", |m| {
        plan(format!("{} is not converted to {} automatically", m[0], m[1])).hint(format!("Use CAST(… AS {}).", m[1]))
    }),
    ("unsupported CAST from {} to {}", |m| plan(format!("{} cannot be cast to {}", m[0], m[1]))),
    ("unsupported TRY_CAST from {} to {}", |m| plan(format!("{} cannot be cast to {}", m[0], m[1]))),
    ("negation only supports numeric, interval and timestamp types", |_| plan("operator - takes a number")),
    ("{} must be boolean type, but got {}", |_| plan("a condition must be a BOOLEAN")),
    ("unsupported SQL type {}", |m| plan(format!("type {} does not exist", m[0]))),
    ("expected {} to be an integer or null, but got {}", |m| {
        plan(format!("{} must be an integer, not {}", m[0], m[1]))
    }),
    ("cannot get result type for temporal operation {}: {}", |m| {
        plan(format!("invalid arithmetic on dates or times: {}", m[0]))
    }),
    ("{} cannot be used with {}", |m| plan(format!("operator {} does not take {}", m[0], m[1]))),
    ("invalid digit found in string", |_| plan("a position in ORDER BY or GROUP BY must be an integer")),
    // Calls.
    ("support for '{}' for data type {} is not implemented", |m| refused(&m[0], &m[1])),
    ("unsupported ast node in sqltorel: Lambda{}", |_| {
        plan("a lambda can only be an argument of a function that takes one, such as TRANSFORM")
    }),
    ("unsupported ast node in sqltorel: {}", |_| unsupported("an expression of this form is not supported")),
    ("'{}' does not support zero arguments{}", |m| refused(&m[0], "no arguments")),
    ("function '{}' has signature {} which does not support zero arguments{}", |m| refused(&m[0], "no arguments")),
    ("function '{}' expects {} arguments but received {}", |m| arguments(&m[0], &m[1], &m[2])),
    ("the function '{}' expected at least one argument but received 0", |m| refused(&m[0], "no arguments")),
    ("the function '{}' expected at least one argument", |m| refused(&m[0], "no arguments")),
    ("function '{}' expected at least one argument but received 0", |m| refused(&m[0], "no arguments")),
    ("the function '{}' expected zero argument but received {}", |m| arguments(&m[0], "no", &m[1])),
    ("the function '{}' expected {} argument(s) but received {}", |m| arguments(&m[0], &m[1], &m[2])),
    ("the function '{}' expected {} arguments but received {}", |m| arguments(&m[0], &m[1], &m[2])),
    ("the function '{}' expected a lambda at position {} but received a value", |m| {
        plan(format!("function \"{}\" takes a lambda as argument {}", m[0].to_uppercase(), counted_from_one(&m[1])))
    }),
    ("the function '{}' expected a value at position {} but received a lambda", |m| {
        plan(format!(
            "function \"{}\" does not take a lambda as argument {}",
            m[0].to_uppercase(),
            counted_from_one(&m[1])
        ))
    }),
    ("function '{}' expects {} but received {}", |m| refused(&m[0], &m[2])),
    ("function '{}' requires {}, but received {} (DataType: {}", |m| refused(&m[0], &m[2])),
    (
        "failed to coerce arguments to satisfy a call to '{}' function: coercion from {} to the signature {} failed",
        |m| refused(&m[0], &types(&m[1])),
    ),
    ("function '{}' failed to match any signature{}", |m| refused(&m[0], "these arguments")),
    ("for function '{}' {} and {} is not comparable", |m| no_common_type(&m[1], &m[2])),
    ("for function '{}' {} and {} are not coercible to a common numeric type", |m| no_common_type(&m[1], &m[2])),
    ("function '{}' could not coerce {} and {} to a common string type", |m| no_common_type(&m[1], &m[2])),
    ("function '{}' user-defined coercion failed with: {}", |m| refused(&m[0], "these arguments")),
    ("function '{}' does not support named arguments", |m| {
        plan(format!("function \"{}\" takes its arguments by position, not by name", m[0].to_uppercase()))
    }),
    ("{} does not support type {}", |m| refused(&m[0], &m[1])),
    ("min/Max accumulator not implemented for type {}", |m| no_order(&m[0])),
    ("min/max accumulator not implemented for type {}", |m| no_order(&m[0])),
    ("unnest() can only be applied to array, struct and null", |_| plan("a table function takes an ARRAY")),
    ("unnest() does not support null yet", |_| plan("a table function takes an ARRAY, not NULL")),
    ("unnest on struct can only be applied at the root level of select expression", |_| {
        plan("a table function takes an ARRAY, not a STRUCT")
    }),
    ("struct type columns are not currently supported in UNNEST{}", |_| {
        plan("a table function takes an ARRAY, not a STRUCT")
    }),
    ("unnest should be rewritten to {}", |_| plan("table functions are allowed only in SELECT")),
    ("unsupported Interval Expression {}", |_| unsupported("this form of INTERVAL is not supported")),
    ("invalid interval {}", |_| {
        plan("the string after INTERVAL is not a valid interval")
            .hint("Write INTERVAL '3' DAY or INTERVAL '1 hour 30 minutes'.")
    }),
];

fn twice(name: &str) -> Diagnostic {
    let name = name.trim_matches(['"', '`']).rsplit('.').next().unwrap_or(name);
    Diagnostic::new(AMBIGUOUS_COLUMN, format!("column \"{name}\" appears twice in the result"))
        .hint("Give one of them another name with AS.")
}

fn no_order(ty: &str) -> Diagnostic {
    plan(format!("MIN and MAX do not take {ty}: its values have no order"))
}

fn in_one_column(what: &str, found: &str) -> Diagnostic {
    plan(format!("the subquery of {} must return one column, not {found}", what.trim_end_matches(" subquery")))
}

/// The error for an expression that is neither grouped nor aggregated. `words` is DataFusion's message, which names the
/// clause.
pub(super) fn ungrouped(name: &str, words: &str) -> Diagnostic {
    let clause = words.split_once("Column in ").and_then(|(_, rest)| rest.split_once(" must be in GROUP BY"));
    let clause = clause.map_or("SELECT", |(clause, _)| clause);
    plan(format!("in {clause} and neither aggregated nor in GROUP BY: {name}"))
        .hint("Add it to GROUP BY, or take one value per group with ANY_VALUE, MAX or another aggregate.")
}

fn differing() -> Diagnostic {
    plan("the sides of UNION have different types in a column").hint("Convert one of them with CAST.")
}

fn no_common_type(left: &str, right: &str) -> Diagnostic {
    plan(format!("{left} and {right} cannot be compared")).hint("Convert one of them with CAST.")
}

fn counted_from_one(index: &str) -> String {
    index.parse::<u64>().map_or_else(|_| index.to_owned(), |index| (index + 1).to_string())
}

fn unquoted(name: &str) -> &str {
    name.trim_matches(['"', '`'])
}

fn last_quoted(text: &str) -> &str {
    text.rsplit('"').find(|piece| !piece.trim().is_empty()).unwrap_or(text)
}

/// Rewrites a list such as `[Int64, Utf8]` with the dialect's type names.
fn types(list: &str) -> String {
    with_our_types(list.trim_matches(['[', ']'])).replace("Decimal", "DECIMAL")
}

/// The diagnostic for a planning error of DataFusion; none if the message is not in [`KNOWN`].
pub(super) fn known(message: &str) -> Option<Diagnostic> {
    KNOWN.iter().find_map(|(pattern, reword)| {
        let pieces = pieces(pattern, message)?;
        Some(reword(&pieces.into_iter().map(with_our_types).collect::<Vec<_>>()))
    })
}

/// The diagnostic for a failure at run time; none if the message is not listed.
pub(super) fn known_failure(message: &str) -> Option<Diagnostic> {
    let failure = |message: &str, hint: &str| Some(Diagnostic::new(RUNTIME, message).hint(hint));
    match message {
        "scalar subquery returned more than one row" => failure(
            "a scalar subquery returned more than one row",
            "Reduce them to one row with MAX, or with ORDER BY and LIMIT 1.",
        ),
        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list" => failure(
            "an aggregate with DISTINCT can be ordered only by its arguments",
            "Select the distinct rows in a subquery first.",
        ),
        _ => None,
    }
}

/// The texts that the `{}` of a pattern match; none if the pattern does not match.
pub(super) fn pieces<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = pattern.split("{}");
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut found = Vec::new();
    let literals: Vec<&str> = literals.collect();
    for (at, literal) in literals.iter().enumerate() {
        let is_last = at + 1 == literals.len();
        let end = match (is_last, literal.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest
                .len()
                .checked_sub(literal.len())
                .filter(|end| rest[..].ends_with(literal) && rest.is_char_boundary(*end))?,
            (false, _) => rest.find(literal)?,
        };
        found.push(&rest[..end]);
        rest = &rest[end + literal.len()..];
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::foreign::is_inside;
    use super::*;

    #[test]
    fn pieces_are_the_texts_that_the_braces_match() {
        assert_eq!(pieces("a {} b {}", "a x b y z"), Some(vec!["x", "y z"]));
        assert_eq!(pieces("{}: '{}' is", "m: 'n' is"), Some(vec!["m", "n"]));
        assert_eq!(pieces("a {} b", "a x c"), None);
        assert_eq!(pieces("abc", "abcd"), None);
    }

    #[test]
    fn known_messages_reveal_no_internals() {
        let message = "correlated scalar subquery can only be used in Projection, Filter, Aggregate plan nodes";
        let reworded = known(message).expect("it is listed");
        assert!(!is_inside(&reworded.message), "{}", reworded.message);
        for (pattern, reword) in KNOWN {
            let reworded = reword(&vec!["x".to_owned(); pattern.matches("{}").count()]);
            let texts = [Some(reworded.message), reworded.detail, reworded.hint];
            assert!(texts.iter().flatten().all(|text| !is_inside(text)), "{pattern}: {texts:?}");
        }
    }
}
