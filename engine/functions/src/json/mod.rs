//! JSON in texts.
//!
//! A text may continue after its JSON value, as in Jackson. Numbers keep their digits and are printed as by
//! `BigDecimal`, as in a STRING column.

mod contains;
mod list;
mod path;
mod scan;
mod write;

use super::signature::Category::Json;
use super::signature::Type::{Any, Boolean, Int, Map, String};
use super::signature::{ARRAY_STRING, Function, Param, T, Variant, p};

const JSON: &[Param] = &[p("json", String)];

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "EXTRACTJSONFIELD",
        Json,
        "The value at a path such as '$.a.b[0]' in a JSON text; array indexes start at 0. Strings are returned without quotes, anything else as JSON. NULL if there is no such value.",
        &[Variant::new(&[p("json", String), p("path", String)], String, path::extract)],
        &[
            ("EXTRACTJSONFIELD('{\"a\": {\"b\": [1, \"x\"]}}', '$.a.b[1]')", "x"),
            ("EXTRACTJSONFIELD('{\"a\": {\"b\": [1, \"x\"]}}', '$.a')", "{\"b\":[1,\"x\"]}"),
            ("EXTRACTJSONFIELD('{\"a\": 1e3}', '$.a')", "1E+3"),
        ],
    ),
    Function::new(
        "JSON_ARRAY_CONTAINS",
        Json,
        "Whether a JSON array contains an element. INT and BIGINT are compared with numbers without a decimal point, DOUBLE and DECIMAL with numbers that have one. False if the text is not an array, and for values of other types.",
        &[Variant::new(&[p("json", String), p("value", T)], Boolean, contains::contains)
            .sees_nulls()
            .about("NULL finds null.")],
        &[("JSON_ARRAY_CONTAINS('[1, 2]', 2)", "true"), ("JSON_ARRAY_CONTAINS('[\"a\"]', 'b')", "false")],
    ),
    Function::new(
        "JSON_ARRAY_LENGTH",
        Json,
        "The number of elements in a JSON array; NULL for anything else.",
        &[Variant::new(JSON, Int, list::length)],
        &[("JSON_ARRAY_LENGTH('[1, [2, 3]]')", "2"), ("JSON_ARRAY_LENGTH('{}')", "NULL")],
    ),
    Function::new(
        "JSON_CONCAT",
        Json,
        "JSON objects merged into one, where the last of several members with the same name wins; anything else is concatenated into one array.",
        &[Variant::new(&[p("json", String)], String, list::concat).variadic()],
        &[("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"), ("JSON_CONCAT('[1, 2]', '3')", "[1,2,3]")],
    ),
    Function::new(
        "JSON_KEYS",
        Json,
        "The keys of a JSON object; NULL for anything else.",
        &[Variant::new(JSON, ARRAY_STRING, list::keys)],
        &[("JSON_KEYS('{\"a\": 1, \"b\": 2}')", "[a, b]")],
    ),
    Function::new(
        "JSON_ITEMS",
        Json,
        "The elements of a JSON array, each as a JSON text; NULL for anything else.",
        &[Variant::new(JSON, ARRAY_STRING, list::items)],
        &[("JSON_ITEMS('[{\"a\": 1}, 2]')", "[{\"a\":1}, 2]")],
    ),
    Function::new(
        "JSON_RECORDS",
        Json,
        "The members of a JSON object as a map: strings without quotes, anything else as JSON. NULL if the text is not an object.",
        &[Variant::new(JSON, Map(&String, &String), list::records)],
        &[("JSON_RECORDS('{\"a\": \"x\", \"b\": [1]}')", "{a: x, b: [1]}")],
    ),
    Function::new(
        "IS_JSON_STRING",
        Json,
        "Whether a text is valid JSON; false for NULL.",
        &[Variant::new(JSON, Boolean, list::is_json).sees_nulls()],
        &[("IS_JSON_STRING('[1]')", "true"), ("IS_JSON_STRING('abc')", "false")],
    ),
    Function::new(
        "TO_JSON_STRING",
        Json,
        "Any value as JSON: dates and times in ISO format, bytes in base64, fields and keys sorted by name. NULL becomes null.",
        &[Variant::new(&[p("value", Any)], String, write::to_json).sees_nulls()],
        &[
            ("TO_JSON_STRING(ARRAY[1, 2])", "[1,2]"),
            ("TO_JSON_STRING(STRUCT(b := 'x', a := 1))", "{\"A\":1,\"B\":\"x\"}"),
        ],
    ),
];
