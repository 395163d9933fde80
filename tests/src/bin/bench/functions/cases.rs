//! The expressions that are measured, by family, and DataFusion's closest equivalents.

/// An expression and its equivalent.
pub struct Case {
    /// The family of the expression.
    pub family: &'static str,
    /// The expression in Headwater's dialect.
    pub ours: &'static str,
    /// DataFusion's closest expression; `None` if there is none.
    pub theirs: Option<&'static str>,
    /// Why Headwater may be slower than half of DataFusion's rate, or why there is no equivalent.
    pub reason: Option<&'static str>,
}

const fn pair(family: &'static str, ours: &'static str, theirs: &'static str) -> Case {
    Case { family, ours, theirs: Some(theirs), reason: None }
}

impl Case {
    /// The same case with a reason for being slower than half of DataFusion's rate.
    const fn slow(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

const fn alone(family: &'static str, ours: &'static str) -> Case {
    Case { family, ours, theirs: None, reason: Some("DataFusion has no such function") }
}

/// All cases, by family.
pub const CASES: &[Case] = &[
    pair("operators", "I + J", "\"I\" + \"J\""),
    pair("operators", "I / J", "\"I\" / \"J\""),
    pair("operators", "D * 2.5e0 + I", "\"D\" * 2.5 + \"I\""),
    pair("operators", "P + P", "\"P\" + \"P\""),
    pair("operators", "P * P", "\"P\" * \"P\""),
    pair("operators", "I > J", "\"I\" > \"J\"")
        .slow("NULL makes a comparison false: a second pass over the bits, which WHERE does without"),
    pair("operators", "R = 'pear'", "\"R\" = 'pear'"),
    pair("operators", "D BETWEEN 10 AND 500", "\"D\" BETWEEN 10 AND 500"),
    pair("operators", "R IN ('fig', 'date', 'pear')", "\"R\" IN ('fig', 'date', 'pear')"),
    pair("operators", "S LIKE '%apple%'", "\"S\" LIKE '%apple%'")
        .slow("in Java % does not match line ends, so every match is searched for them"),
    pair("operators", "S LIKE 'or_nge%'", "\"S\" LIKE 'or_nge%'"),
    pair("operators", "S || R", "\"S\" || \"R\""),
    pair("operators", "I > 10 AND D < 500", "\"I\" > 10 AND \"D\" < 500"),
    pair("casts", "CAST(I AS BIGINT)", "CAST(\"I\" AS BIGINT)"),
    pair("casts", "CAST(I AS STRING)", "CAST(\"I\" AS VARCHAR)"),
    pair("casts", "CAST(N AS INT)", "CAST(\"N\" AS INT)"),
    pair("casts", "CAST(D AS STRING)", "CAST(\"D\" AS VARCHAR)")
        .slow("Java's form of a DOUBLE, with the standard library's shortest digits"),
    pair("casts", "CAST(I AS DECIMAL(10, 2))", "CAST(\"I\" AS DECIMAL(10, 2))"),
    pair("casts", "CAST(T AS STRING)", "CAST(\"T\" AS VARCHAR)"),
    pair("math", "ABS(D)", "abs(\"D\")"),
    pair("math", "SQRT(D)", "sqrt(\"D\")"),
    pair("math", "ROUND(D, 2)", "round(\"D\", 2)")
        .slow("Java rounds the shortest decimal form, so ties must be decided exactly"),
    pair("math", "FLOOR(D)", "floor(\"D\")"),
    pair("math", "POWER(D, 2)", "power(\"D\", 2)"),
    pair("math", "SIN(D)", "sin(\"D\")"),
    pair("math", "GREATEST(I, J)", "greatest(\"I\", \"J\")"),
    alone("math", "GEO_DISTANCE(D / 200, D / 100, 10.5e0, 20.5e0)"),
    pair("text", "UCASE(S)", "upper(\"S\")")
        .slow("the result is validated as UTF-8 again, because there is no unsafe code"),
    pair("text", "INITCAP(S)", "initcap(\"S\")").slow("non-ASCII letters as in Java, and leading spaces are removed"),
    pair("text", "LEN(S)", "character_length(\"S\")"),
    pair("text", "SUBSTRING(S, 3, 5)", "substr(\"S\", 3, 5)"),
    pair("text", "TRIM(S)", "trim(\"S\")"),
    pair("text", "LPAD(R, 20, '*')", "lpad(\"R\", 20, '*')").slow("lengths are in UTF-16 units, as in Java"),
    pair("text", "REPLACE(S, 'and', '&')", "replace(\"S\", 'and', '&')"),
    pair("text", "CONCAT(S, R, N)", "concat(\"S\", \"R\", \"N\")"),
    pair("text", "CONCAT_WS('-', S, R)", "concat_ws('-', \"S\", \"R\")"),
    pair("text", "INSTR(S, 'and')", "strpos(\"S\", 'and')")
        .slow("positions are in UTF-16 units, and occurrences may overlap, as in Java"),
    pair("text", "SPLIT(CSV, ',')", "string_to_array(\"CSV\", ',')"),
    pair("text", "REGEXP_REPLACE(S, 'a+', 'A')", "regexp_replace(\"S\", 'a+', 'A', 'g')"),
    pair("text", "REGEXP_EXTRACT('([a-z]+) and', S, 1)", "regexp_match(\"S\", '([a-z]+) and')"),
    pair("text", "ENCODE(N, 'utf8', 'base64')", "encode(\"N\", 'base64')"),
    pair("text", "CHR(J + 40)", "chr(\"J\" + 40)"),
    pair("text", "FROM_BYTES(Y, 'hex')", "encode(\"Y\", 'hex')").slow("the encoding is a value of each row"),
    alone("text", "MASK(S)"),
    alone("json", "EXTRACTJSONFIELD(JS, '$.address.city')"),
    alone("json", "JSON_KEYS(JS)"),
    alone("json", "IS_JSON_STRING(JS)"),
    alone("json", "TO_JSON_STRING(A)"),
    alone("url", "URL_EXTRACT_PARAMETER(URL, 'id')"),
    alone("url", "URL_EXTRACT_HOST(URL)"),
    alone("url", "URL_ENCODE_PARAM(S)"),
    pair("conditional", "COALESCE(I, J, 0)", "coalesce(\"I\", \"J\", 0)"),
    pair("conditional", "IFNULL(I, 0)", "nvl(\"I\", 0)"),
    pair("conditional", "NULLIF(R, 'fig')", "nullif(\"R\", 'fig')").slow("a constant is compared as a column"),
    pair(
        "conditional",
        "CASE WHEN I < 0 THEN 'low' WHEN I < 500 THEN 'mid' ELSE 'high' END",
        "CASE WHEN \"I\" < 0 THEN 'low' WHEN \"I\" < 500 THEN 'mid' ELSE 'high' END",
    ),
    pair("collections", "A[1]", "\"A\"[1]"),
    pair("collections", "M['pear']", "\"M\"['pear']"),
    pair("collections", "ARRAY_LENGTH(A)", "array_length(\"A\")"),
    pair("collections", "ARRAY_CONTAINS(A, 7)", "array_has(\"A\", 7)"),
    pair("collections", "ARRAY_MAX(A)", "array_max(\"A\")").slow("one kernel for every type, by positions of elements"),
    pair("collections", "ARRAY_SORT(A)", "array_sort(\"A\")")
        .slow("one stable kernel for every type, by positions of elements; the direction is a value of each row"),
    pair("collections", "ARRAY_DISTINCT(A)", "array_distinct(\"A\")"),
    pair("collections", "ARRAY_UNION(A, A2)", "array_union(\"A\", \"A2\")"),
    pair("collections", "ARRAY_EXCEPT(A, A2)", "array_except(\"A\", \"A2\")"),
    pair("collections", "ARRAY_INTERSECT(A, A2)", "array_intersect(\"A\", \"A2\")"),
    pair("collections", "ARRAY_REMOVE(A, 7)", "array_remove_all(\"A\", 7)"),
    pair("collections", "ARRAY_CONCAT(A, A2)", "array_concat(\"A\", \"A2\")").slow("a NULL array adds nothing"),
    pair("collections", "ARRAY_JOIN(A, ',')", "array_to_string(\"A\", ',')"),
    pair("collections", "SLICE(A, 2, 3)", "array_slice(\"A\", 2, 3)"),
    pair("collections", "ARRAY[I, J]", "make_array(\"I\", \"J\")"),
    pair("collections", "MAP_KEYS(M)", "map_keys(\"M\")").slow("neither copies anything"),
    pair("collections", "MAP_VALUES(M)", "map_values(\"M\")").slow("neither copies anything"),
    alone("collections", "MAP_UNION(M, M)"),
    alone("collections", "AS_MAP(MAP_KEYS(M), MAP_VALUES(M))"),
    pair("lambda", "TRANSFORM(A, x => x + 1)", "array_transform(\"A\", x -> x + 1)")
        .slow("an operator with a NULL operand makes the array NULL, so elements are checked"),
    pair("lambda", "FILTER(A, x => x > 7)", "array_filter(\"A\", x -> x > 7)"),
    alone("lambda", "REDUCE(A, 0, (state, x) => state + x)"),
    alone("lambda", "TRANSFORM(M, (k, v) => UCASE(k), (k, v) => v + 1)"),
    pair("time", "FORMAT_TIMESTAMP(T, 'yyyy-MM-dd HH:mm:ss')", "to_char(\"T\", '%Y-%m-%d %H:%M:%S')"),
    pair("time", "PARSE_TIMESTAMP(TS, 'yyyy-MM-dd HH:mm:ss')", "to_timestamp(\"TS\", '%Y-%m-%d %H:%M:%S')"),
    pair("time", "FORMAT_DATE(DT, 'dd.MM.yyyy')", "to_char(\"DT\", '%d.%m.%Y')"),
    pair("time", "PARSE_DATE(DS, 'yyyy-MM-dd')", "to_date(\"DS\", '%Y-%m-%d')"),
    pair("time", "TIMESTAMPADD(DAYS, 1, T)", "\"T\" + INTERVAL '1 day'"),
    pair("time", "DATEADD(DAYS, 1, DT)", "\"DT\" + INTERVAL '1 day'"),
    pair("time", "UNIX_TIMESTAMP(T)", "CAST(\"T\" AS BIGINT)").slow("neither copies anything"),
    pair("time", "FROM_UNIXTIME(L)", "to_timestamp_millis(\"L\")"),
    alone("time", "CONVERT_TZ(T, 'UTC', 'Europe/Berlin')"),
];
