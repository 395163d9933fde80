//! Messages of DataFusion and Arrow that users meet, in our words: wrong plans, and queries that fail while they run.
//!
//! What is wrong with a plan is told in DataFusion's words for its nodes, with Rust's notation of values and links to its
//! issues. [`super::foreign`] lets none of that pass; what is listed here is said in its place.

use headwater_language::diagnostic::{AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, NOT_SUPPORTED, PLAN, RUNTIME};

use super::our_types::with_our_types;

/// What is said in place of a message: `{}` stands for anything, and the pieces are handed over in order.
type Tell = fn(&[String]) -> Diagnostic;

fn plan(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(PLAN, message)
}

fn unsupported(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, message)
}

/// A query of which a part has no plan.
pub(super) fn unplanned() -> Diagnostic {
    unsupported("this query cannot be planned yet")
        .detail("What a part of it computes is not found where it is needed.")
        .hint("Say it in steps: WITH a AS (SELECT …), b AS (SELECT … FROM a) SELECT … FROM b.")
}

/// How the refusal of a subquery ends that depends on the query around it.
const DEPENDS: &str = "it depends on the query around it in a way that is not supported";

/// How the refusal of a column ends that is of a query further out.
const FURTHER: &str = "is of one further out";

/// A subquery that depends on the query around it in a way that has no plan.
pub fn correlated(what: &str) -> Diagnostic {
    unsupported(format!("{what} cannot be computed here: {DEPENDS}"))
        .detail("A subquery may refer to the query around it by conditions with =, and have no LIMIT then.")
        .hint("Say it as a join.")
}

/// A column in a subquery that is of a query further out than the one around it.
pub fn too_far(column: &str) -> Diagnostic {
    unsupported(format!("a subquery may refer to the query directly around it, and \"{column}\" {FURTHER}"))
        .hint("Say it as a join.")
}

/// The column of such a refusal.
pub(super) fn too_far_column(told: &Diagnostic) -> Option<&str> {
    told.message.strip_suffix(FURTHER)?.rsplit('"').nth(1)
}

/// Whether this is the refusal of such a subquery.
pub(super) fn is_correlated(told: &Diagnostic) -> bool {
    told.code == NOT_SUPPORTED && told.message.ends_with(DEPENDS)
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

/// The messages that are known, as [`super::plan_errors`] hands them over: without prefixes, in small letters at the start.
const KNOWN: &[(&str, Tell)] = &[
    // Names.
    ("{}require unique expression names but the expression \"{}\" at position {}", |m| {
        let name = m[1].split(" AS ").last().unwrap_or(&m[1]).trim_matches('`');
        let name = name.rsplit('.').next().unwrap_or(name);
        let message = match name.contains(['(', ' ']) {
            true => "two columns have one name".to_owned(),
            false => format!("column \"{name}\" comes out twice"),
        };
        Diagnostic::new(DUPLICATE_COLUMN, message).hint("Give one of them another name with AS.")
    }),
    ("schema contains duplicate unqualified field name {}", |m| twice(&m[0])),
    ("schema contains duplicate qualified field name {}", |m| twice(&m[0])),
    ("WITH query name \"{}\" specified more than once", |m| plan(format!("WITH names \"{}\" twice", m[0]))),
    ("the window {} is not defined!", |m| plan(format!("window \"{}\" does not exist", unquoted(&m[0])))),
    ("the window {} is defined multiple times!", |m| plan(format!("WINDOW defines \"{}\" twice", unquoted(&m[0])))),
    ("table function '{}' not found", |m| {
        plan(format!("function \"{}\" does not make rows in FROM", m[0].to_uppercase()))
    }),
    ("mismatch: {} columns specified, but result has {} columns", |m| {
        plan(format!("the list of names has {}, the query {} columns", m[0], m[1]))
    }),
    ("source table contains {} columns but only {} names given as column alias", |m| {
        plan(format!("the list of names has {}, the relation {} columns", m[1], m[0]))
    }),
    ("EXCLUDE or EXCEPT contains duplicate column names", |_| plan("EXCEPT after * names a column twice")),
    ("SELECT list is empty after resolving * expressions{}", |_| {
        plan("nothing is left in the SELECT list after EXCEPT")
    }),
    ("SELECT * with no tables specified is not valid", |_| plan("SELECT * needs a FROM: there are no columns to show")),
    // Subqueries.
    ("correlated scalar subquery must be aggregated to return at most one row", |_| {
        plan("a subquery for a value may have several rows for one row of the query around it")
            .hint("Take one of them: MAX(…), or another aggregate.")
    }),
    ("A GROUP BY clause in a scalar correlated subquery cannot contain non-correlated columns", |_| {
        plan("a subquery for a value has a row for each group, which may be several")
            .hint("Leave its GROUP BY out, or aggregate its result once more.")
    }),
    ("correlated scalar subquery {}", |_| {
        correlated("a subquery for a value").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("scalar subquery should only return one column, but found {}: {}", |m| {
        plan(format!("a subquery for a value has one column, not {}", m[0]))
    }),
    ("scalar subquery must return exactly one column, got {}", |m| {
        plan(format!("a subquery for a value has one column, not {}", m[0]))
    }),
    ("inSubquery should only return one column, but found {}: {}", |m| in_one_column("IN", &m[0])),
    ("set comparison subquery should only return one column, but found {}: {}", |m| in_one_column("ANY or ALL", &m[0])),
    ("{} should only return one column, but found {}: {}", |m| in_one_column(&m[0], &m[1])),
    ("too many columns! {}", |_| plan("a subquery for a value or of IN has one column")),
    ("in/Exist/SetComparison subquery can only be used in {}", |_| {
        correlated("EXISTS, IN, ANY or ALL over a subquery").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("accessing outer reference columns is not allowed in the plan: {}", |_| correlated("a subquery")),
    ("window expressions should not contain a mixed of outer references and inner columns", |_| {
        correlated("a subquery")
    }),
    ("unsupported Subquery plan", |_| correlated("a subquery")),
    ("physical plan does not support undecorrelated Subquery", |_| correlated("a LATERAL subquery")),
    ("physical plan does not support logical expression Exists{}", |_| correlated("EXISTS")),
    ("physical plan does not support logical expression InSubquery{}", |_| correlated("IN over a subquery")),
    ("physical plan does not support logical expression ScalarSubquery{}", |_| correlated("a subquery for a value")),
    ("physical plan does not support logical expression SetComparison{}", |_| correlated("ANY or ALL over a subquery")),
    ("physical plan does not support logical expression OuterReferenceColumn{}", |_| correlated("a subquery")),
    ("physical plan does not support logical expression AggregateFunction{}", |_| {
        plan("an aggregate cannot be computed here; GROUP BY cannot name one by its position")
    }),
    ("physical plan does not support logical expression WindowFunction{}", |_| {
        plan("a window function cannot be computed here").hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("physical plan does not support logical expression Unnest{}", |_| plan("a table function can only be in SELECT")),
    ("physical plan does not support logical expression {}", |_| {
        unsupported("an expression cannot be computed where it is")
            .hint("Compute it in the SELECT list of a subquery first.")
    }),
    ("LATERAL syntax is not supported for {}", |_| unsupported("LATERAL is not supported here")),
    // Groups, windows, order.
    ("{} must appear in the GROUP BY clause or must be part of an aggregate function{}", |m| {
        ungrouped(last_quoted(&m[0]), &m[0])
    }),
    ("aggregate functions are not allowed in the WHERE clause{}", |_| {
        plan("WHERE cannot contain an aggregate").hint("HAVING filters groups.")
    }),
    ("{}: '{}' is nested inside '{}'", |m| plan(format!("{} cannot be part of {}", m[1], m[2]))),
    ("HAVING clause references: {}", |_| plan("in HAVING and neither aggregated nor in GROUP BY")),
    ("cannot create filter with non-boolean predicate {} returning {}", |m| {
        plan(format!("a condition is a BOOLEAN, not {}", m[1]))
    }),
    ("QUALIFY clause requires window functions {}", |_| plan("QUALIFY needs a window function")),
    ("for SELECT DISTINCT, ORDER BY expressions {} must appear in select list", |m| {
        plan(format!("ORDER BY of SELECT DISTINCT takes what is in the SELECT list, not {}", m[0]))
    }),
    ("SELECT DISTINCT ON expressions must match initial ORDER BY expressions", |_| {
        plan("ORDER BY begins with what DISTINCT ON names, in its order")
    }),
    ("ORDER BY ALL is not supported for non-column expressions", |_| unsupported("ORDER BY ALL takes columns alone")),
    ("GROUPS requires an ORDER BY clause", |_| plan("a frame in GROUPS needs an ORDER BY in its window")),
    ("RANGE requires exactly one ORDER BY column", |_| {
        plan("a frame in RANGE needs one ORDER BY expression in its window")
    }),
    ("invalid window frame: start bound {} cannot be larger than end bound {}", |_| {
        plan("the frame of a window begins behind its end")
    }),
    ("invalid window frame: start bound cannot be UNBOUNDED FOLLOWING", |_| {
        plan("the frame of a window cannot begin at UNBOUNDED FOLLOWING")
    }),
    ("invalid window frame: end bound cannot be UNBOUNDED PRECEDING", |_| {
        plan("the frame of a window cannot end at UNBOUNDED PRECEDING")
    }),
    ("invalid window frame: frame offsets for ROWS / GROUPS must be non negative integers", |_| {
        plan("a frame in ROWS or GROUPS counts by a whole number that is not negative")
    }),
    ("invalid window frame: frame offsets for RANGE must be either {}", |_| {
        plan("a frame in RANGE reaches by a number or an interval")
    }),
    ("there is no window function named {}", |m| {
        plan(format!("function \"{}\" is no window function", m[0].to_uppercase()))
    }),
    ("aggregate can not be used as a sliding accumulator because {}", |_| {
        unsupported("this aggregate cannot be computed over a frame that moves")
            .hint("A frame from UNBOUNDED PRECEDING on only grows.")
    }),
    ("WITHIN GROUP is only supported for ordered-set aggregate functions", |_| {
        plan("WITHIN GROUP is for aggregates over an order, such as a percentile")
    }),
    ("FILTER clause can only be used with aggregate window functions{}", |_| plan("FILTER is for aggregates")),
    ("argument {} to grouping function is not in grouping columns{}", |m| {
        plan(format!("GROUPING takes what is in GROUP BY, not {}", m[0]))
    }),
    ("the number of group_expression in grouping_set exceeds the maximum limit {}", |_| {
        plan("GROUP BY makes too many combinations of groups")
    }),
    ("the number of grouping_set in grouping_sets exceeds the maximum limit {}", |_| {
        plan("GROUP BY makes too many combinations of groups")
    }),
    ("invalid group by expressions, GroupingSet must be the only expression", |_| {
        unsupported("GROUP BY takes one of GROUPING SETS, ROLLUP or CUBE, and nothing beside it")
    }),
    ("tuple expressions {}", |_| unsupported("ROLLUP and CUBE take expressions one by one, not lists")),
    // Rows.
    ("inconsistent data length across values list: got {} values in row {} but expected {}", |m| {
        plan(format!("row {} of VALUES has {} values, the first {}", counted_from_one(&m[1]), m[0], m[2]))
    }),
    ("inconsistent data type across values list at row {} column {}. Was {} but found {}", |m| {
        let (row, column) = (counted_from_one(&m[0]), counted_from_one(&m[1]));
        plan(format!("row {row} of VALUES has {} in column {column}, the rows before it {}", m[3], m[2]))
    }),
    ("UNION queries have different number of columns{}", |_| {
        plan("the sides of UNION have different numbers of columns")
    }),
    ("INTERSECT/EXCEPT query must have the same number of columns. Left is {} and right is {}", |m| {
        plan("the sides of INTERSECT or EXCEPT have different numbers of columns")
            .detail(format!("The left side has {}, the right side {}.", m[0], m[1]))
    }),
    ("UNION field {} have different type in inputs: {}", |_| differing()),
    (
        "incompatible inputs for Union: Previous inputs were of type {}, but got incompatible type {} on column '{}'",
        |m| {
            plan(format!("the sides of UNION differ in column \"{}\": {} and {}", m[2], m[0], m[1]))
                .hint(format!("Bring them to one type: CAST(… AS {}).", m[0]))
        },
    ),
    ("non-recursive term and recursive term must have the same number of columns ({} != {})", |_| {
        plan("the sides of a recursive WITH have different numbers of columns")
    }),
    ("multiple recursive references to the same CTE are not supported", |_| {
        unsupported("a recursive WITH refers to itself once")
    }),
    ("LIMIT must be >= 0, '{}' was provided", |_| plan("LIMIT cannot be negative")),
    ("OFFSET must be >=0, '{}' was provided", |_| plan("OFFSET cannot be negative")),
    ("unsupported LIMIT expression: {}", |_| plan("LIMIT takes a number that the text says")),
    ("unsupported OFFSET expression: {}", |_| plan("OFFSET takes a number that the text says")),
    ("expected OFFSET to be an integer or null, but got {}", |m| {
        plan(format!("OFFSET takes a whole number, not a {}", m[0]))
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
        plan(format!("{} is not converted to {} by itself", m[0], m[1])).hint(format!("Say so: CAST(… AS {}).", m[1]))
    }),
    ("unsupported CAST from {} to {}", |m| plan(format!("{} cannot be cast to {}", m[0], m[1]))),
    ("unsupported TRY_CAST from {} to {}", |m| plan(format!("{} cannot be cast to {}", m[0], m[1]))),
    ("negation only supports numeric, interval and timestamp types", |_| plan("operator - takes a number")),
    ("{} must be boolean type, but got {}", |_| plan("a condition is a BOOLEAN, which this one is not")),
    ("unsupported SQL type {}", |m| plan(format!("type {} does not exist", m[0]))),
    ("expected {} to be an integer or null, but got {}", |m| {
        plan(format!("{} takes a whole number, not a {}", m[0], m[1]))
    }),
    ("cannot get result type for temporal operation {}: {}", |m| {
        plan(format!("times cannot be calculated with like this: {}", m[0]))
    }),
    ("{} cannot be used with {}", |m| plan(format!("operator {} does not take {}", m[0], m[1]))),
    ("invalid digit found in string", |_| plan("a position in ORDER BY or GROUP BY is a whole number")),
    // Calls.
    ("support for '{}' for data type {} is not implemented", |m| refused(&m[0], &m[1])),
    ("unsupported ast node in sqltorel: Lambda{}", |_| {
        plan("a lambda is only an argument of functions that take one, such as TRANSFORM")
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
        plan(format!("function \"{}\" takes no lambda as argument {}", m[0].to_uppercase(), counted_from_one(&m[1])))
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
        plan(format!("function \"{}\" takes its arguments by place, not by name", m[0].to_uppercase()))
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
    ("unnest should be rewritten to {}", |_| plan("a table function can only be in SELECT")),
    ("unsupported Interval Expression {}", |_| unsupported("this form of INTERVAL is not supported")),
    ("invalid interval {}", |_| {
        plan("the text of INTERVAL is not an interval").hint("INTERVAL '3' DAY, or INTERVAL '1 hour 30 minutes'.")
    }),
];

fn twice(name: &str) -> Diagnostic {
    let name = name.trim_matches(['"', '`']).rsplit('.').next().unwrap_or(name);
    Diagnostic::new(AMBIGUOUS_COLUMN, format!("column \"{name}\" comes out twice"))
        .hint("Give one of them another name with AS.")
}

fn no_order(ty: &str) -> Diagnostic {
    plan(format!("MIN and MAX do not take {ty}: its values have no order"))
}

fn in_one_column(what: &str, found: &str) -> Diagnostic {
    plan(format!("the subquery of {} has one column, not {found}", what.trim_end_matches(" subquery")))
}

/// What is not one value for a group. DataFusion's words say in which clause it is.
pub(super) fn ungrouped(name: &str, words: &str) -> Diagnostic {
    let clause = words.split_once("Column in ").and_then(|(_, rest)| rest.split_once(" must be in GROUP BY"));
    let clause = clause.map_or("SELECT", |(clause, _)| clause);
    plan(format!("in {clause} and neither aggregated nor in GROUP BY: {name}"))
        .hint("Add it to GROUP BY, or take one value of each group, as by ANY_VALUE or MAX.")
}

fn differing() -> Diagnostic {
    plan("the sides of UNION differ in the type of a column").hint("Bring them to one type with CAST.")
}

fn no_common_type(left: &str, right: &str) -> Diagnostic {
    plan(format!("{left} and {right} cannot be compared")).hint("Bring them to one type with CAST.")
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

/// `[Int64, Utf8]` as types of the dialect.
fn types(list: &str) -> String {
    with_our_types(list.trim_matches(['[', ']'])).replace("Decimal", "DECIMAL")
}

/// A message of DataFusion about a plan in our words; none when it is not known.
pub(super) fn known(message: &str) -> Option<Diagnostic> {
    KNOWN.iter().find_map(|(pattern, tell)| {
        let pieces = pieces(pattern, message)?;
        Some(tell(&pieces.into_iter().map(with_our_types).collect::<Vec<_>>()))
    })
}

/// A message of a query that failed while it was computed in our words; none when it is not listed.
pub(super) fn known_failure(message: &str) -> Option<Diagnostic> {
    let failure = |message: &str, hint: &str| Some(Diagnostic::new(RUNTIME, message).hint(hint));
    match message {
        "scalar subquery returned more than one row" => {
            failure("a subquery for a value has several rows", "Take one of them: MAX(…), or ORDER BY and LIMIT 1.")
        }
        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list" => failure(
            "an aggregate with DISTINCT is ordered by what it takes, and by nothing else",
            "Take the distinct rows in a subquery first.",
        ),
        _ => None,
    }
}

/// The texts that stand where a pattern has `{}`; none when it does not match.
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
    fn pieces_are_what_stands_for_the_braces() {
        assert_eq!(pieces("a {} b {}", "a x b y z"), Some(vec!["x", "y z"]));
        assert_eq!(pieces("{}: '{}' is", "m: 'n' is"), Some(vec!["m", "n"]));
        assert_eq!(pieces("a {} b", "a x c"), None);
        assert_eq!(pieces("abc", "abcd"), None);
    }

    #[test]
    fn the_known_are_told_without_the_inside() {
        let message = "correlated scalar subquery can only be used in Projection, Filter, Aggregate plan nodes";
        let told = known(message).expect("it is listed");
        assert!(!is_inside(&told.message), "{}", told.message);
        for (pattern, tell) in KNOWN {
            let told = tell(&vec!["x".to_owned(); pattern.matches("{}").count()]);
            let texts = [Some(told.message), told.detail, told.hint];
            assert!(texts.iter().flatten().all(|text| !is_inside(text)), "{pattern}: {texts:?}");
        }
    }
}
