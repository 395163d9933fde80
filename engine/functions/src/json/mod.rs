//! JSON in texts.
//!
//! A text may go on behind its JSON value, as Jackson reads it. Numbers keep their digits and are printed as
//! `BigDecimal` prints them, in a STRING column, too.

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
        "What a JSON text has at a path such as '$.a.b[0]', whose indexes count from 0: a text without its quotes, anything else as JSON. NULL when there is nothing.",
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
        "Whether a JSON array has an element, compared as its type: INT and BIGINT with numbers without a point, DOUBLE and DECIMAL with those that have one. False for what is no array, and for values of other types.",
        &[Variant::new(&[p("json", String), p("value", T)], Boolean, contains::contains)
            .sees_nulls()
            .about("NULL finds null.")],
        &[("JSON_ARRAY_CONTAINS('[1, 2]', 2)", "true"), ("JSON_ARRAY_CONTAINS('[\"a\"]', 'b')", "false")],
    ),
    Function::new(
        "JSON_ARRAY_LENGTH",
        Json,
        "The number of elements of a JSON array; NULL for anything else.",
        &[Variant::new(JSON, Int, list::length)],
        &[("JSON_ARRAY_LENGTH('[1, [2, 3]]')", "2"), ("JSON_ARRAY_LENGTH('{}')", "NULL")],
    ),
    Function::new(
        "JSON_CONCAT",
        Json,
        "JSON objects as one, in which the last of several members with one name stays; anything else as one array.",
        &[Variant::new(&[p("json", String)], String, list::concat).variadic()],
        &[("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"), ("JSON_CONCAT('[1, 2]', '3')", "[1,2,3]")],
    ),
    Function::new(
        "JSON_KEYS",
        Json,
        "The names of a JSON object's members; NULL for anything else.",
        &[Variant::new(JSON, ARRAY_STRING, list::keys)],
        &[("JSON_KEYS('{\"a\": 1, \"b\": 2}')", "[a, b]")],
    ),
    Function::new(
        "JSON_ITEMS",
        Json,
        "The elements of a JSON array, each as JSON; NULL for anything else.",
        &[Variant::new(JSON, ARRAY_STRING, list::items)],
        &[("JSON_ITEMS('[{\"a\": 1}, 2]')", "[{\"a\":1}, 2]")],
    ),
    Function::new(
        "JSON_RECORDS",
        Json,
        "The members of a JSON object: texts without their quotes, anything else as JSON. NULL for what is no object.",
        &[Variant::new(JSON, Map(&String, &String), list::records)],
        &[("JSON_RECORDS('{\"a\": \"x\", \"b\": [1]}')", "{a: x, b: [1]}")],
    ),
    Function::new(
        "IS_JSON_STRING",
        Json,
        "Whether a text is JSON; false for NULL.",
        &[Variant::new(JSON, Boolean, list::is_json).sees_nulls()],
        &[("IS_JSON_STRING('[1]')", "true"), ("IS_JSON_STRING('abc')", "false")],
    ),
    Function::new(
        "TO_JSON_STRING",
        Json,
        "Any value as JSON: days and times as ISO texts, bytes as base64, fields and keys in the order of their names. NULL is null.",
        &[Variant::new(&[p("value", Any)], String, write::to_json).sees_nulls()],
        &[
            ("TO_JSON_STRING(ARRAY[1, 2])", "[1,2]"),
            ("TO_JSON_STRING(STRUCT(b := 'x', a := 1))", "{\"A\":1,\"B\":\"x\"}"),
        ],
    ),
];
