//! Arrays and maps.
//!
//! Elements of arrays and entries of maps are copied by index ([`Call::each_taken`]), so these functions work for
//! elements of any type. Elements are compared like Java objects: NULL equals NULL, and NaN equals NaN.

mod element;
mod entries;
mod join;
mod map;
mod set;
mod sort;

use super::signature::Category::{Array, Map as Maps};
use super::signature::Type::{self, BigInt, Boolean, Double, Int, Map, String, Struct};
use super::signature::{ARRAY_STRING, ARRAY_T, Function, K, MAP_KV, Param, T, V, Variant, p};

pub use map::keys_of;
pub(super) use map::{assemble, map_from};

const ARRAY: &[Param] = &[p("array", ARRAY_T)];
const TWO_ARRAYS: &[Param] = &[p("left", ARRAY_T), p("right", ARRAY_T)];
const ARRAY_AND_ONE: &[Param] = &[p("array", ARRAY_T), p("element", T)];

/// ENTRIES of one type of values.
macro_rules! entries {
    ($ty:expr) => {
        Variant::new(
            &[p("map", Map(&String, &$ty)), p("sorted", Boolean)],
            Type::Array(&Struct(&[("K", String), ("V", $ty)])),
            entries::entries,
        )
    };
}

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "ARRAY_LENGTH",
        Array,
        "The number of elements.",
        &[Variant::new(ARRAY, Int, element::length)],
        &[("ARRAY_LENGTH(ARRAY[1, 2, 3])", "3")],
    ),
    Function::new(
        "ARRAY_CONTAINS",
        Array,
        "Whether the array contains an element, which may be NULL. False if the array is NULL.",
        &[Variant::new(ARRAY_AND_ONE, Boolean, element::contains).sees_nulls()],
        &[("ARRAY_CONTAINS(ARRAY[1, 2, 3], 2)", "true"), ("ARRAY_CONTAINS(ARRAY['a'], 'b')", "false")],
    ),
    Function::new(
        "ARRAY_CONCAT",
        Array,
        "The elements of two arrays, concatenated. NULL if both arrays are NULL.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, element::concat).sees_nulls()],
        &[("ARRAY_CONCAT(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 2, 3]")],
    ),
    Function::new(
        "ARRAY_DISTINCT",
        Array,
        "The distinct elements, in the order in which they first appear.",
        &[Variant::new(ARRAY, ARRAY_T, set::distinct)],
        &[("ARRAY_DISTINCT(ARRAY[1, 2, 1, 3, 2])", "[1, 2, 3]")],
    ),
    Function::new(
        "ARRAY_UNION",
        Array,
        "The distinct elements of both arrays, in the order in which they first appear.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::union)],
        &[("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]")],
    ),
    Function::new(
        "ARRAY_INTERSECT",
        Array,
        "The distinct elements of the first array that are also in the second, in the order of the first.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::intersect)],
        &[("ARRAY_INTERSECT(ARRAY[3, 1, 2, 3], ARRAY[2, 3])", "[3, 2]")],
    ),
    Function::new(
        "ARRAY_EXCEPT",
        Array,
        "The distinct elements of the first array that are not in the second, in the order of the first.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::except)],
        &[("ARRAY_EXCEPT(ARRAY[3, 1, 2, 3], ARRAY[2])", "[3, 1]")],
    ),
    Function::new(
        "ARRAY_JOIN",
        Array,
        "The elements joined into one text, separated by a comma or another delimiter. NULL is written as null; elements are BOOLEAN, numbers or STRING.",
        &[
            Variant::new(ARRAY, String, join::join),
            Variant::new(&[p("array", ARRAY_T), p("delimiter", String)], String, join::join)
                .sees_nulls()
                .about("A NULL delimiter means an empty one."),
        ],
        &[("ARRAY_JOIN(ARRAY[1, 2, 3])", "1,2,3"), ("ARRAY_JOIN(ARRAY['a', 'b'], '; ')", "a; b")],
    ),
    Function::new(
        "ARRAY_MAX",
        Array,
        "The largest element. NULL is ignored; the result is NULL if there are no other elements.",
        &[Variant::new(ARRAY, T, sort::max)],
        &[("ARRAY_MAX(ARRAY[3, 9, 1])", "9")],
    ),
    Function::new(
        "ARRAY_MIN",
        Array,
        "The smallest element. NULL is ignored; the result is NULL if there are no other elements.",
        &[Variant::new(ARRAY, T, sort::min)],
        &[("ARRAY_MIN(ARRAY['b', 'a'])", "a")],
    ),
    Function::new(
        "ARRAY_REMOVE",
        Array,
        "The array without any occurrence of an element, which may be NULL.",
        &[Variant::new(ARRAY_AND_ONE, ARRAY_T, element::remove).sees_nulls()],
        &[("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]")],
    ),
    Function::new(
        "ARRAY_SORT",
        Array,
        "The elements in sorted order; NULL is always last.",
        &[
            Variant::new(ARRAY, ARRAY_T, sort::sort),
            Variant::new(&[p("array", ARRAY_T), p("direction", String)], ARRAY_T, sort::sort).about(
                "The direction is ASC, ASCENDING, DESC or DESCENDING, in upper or lower case; NULL for any other.",
            ),
        ],
        &[("ARRAY_SORT(ARRAY[3, 1, 2])", "[1, 2, 3]"), ("ARRAY_SORT(ARRAY[3, 1, 2], 'DESC')", "[3, 2, 1]")],
    ),
    Function::new(
        "SLICE",
        Array,
        "The elements from one position to another, both included and counted from 1. A NULL position means the first or the last element; the result is NULL if a position is out of range.",
        &[Variant::new(&[p("array", ARRAY_T), p("from", Int), p("to", Int)], ARRAY_T, element::slice).sees_nulls()],
        &[("SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]"), ("SLICE(ARRAY[1, 2, 3], 2, NULL)", "[2, 3]")],
    ),
    Function::new(
        "AS_MAP",
        Maps,
        "A map from keys to the values at the same positions. A key without a value maps to NULL; the last of several equal keys wins.",
        &[Variant::new(&[p("keys", ARRAY_STRING), p("values", ARRAY_T)], Map(&String, &T), map::as_map)],
        &[("AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "{a: 1, b: 2}")],
    ),
    Function::new(
        "MAP_KEYS",
        Maps,
        "The keys of a map.",
        &[Variant::new(&[p("map", MAP_KV)], Type::Array(&K), map::keys)],
        &[("MAP_KEYS(MAP('a' := 1, 'b' := 2))", "[a, b]")],
    ),
    Function::new(
        "MAP_VALUES",
        Maps,
        "The values of a map, in the order of its keys.",
        &[Variant::new(&[p("map", MAP_KV)], Type::Array(&V), map::values)],
        &[("MAP_VALUES(MAP('a' := 1, 'b' := 2))", "[1, 2]")],
    ),
    Function::new(
        "MAP_UNION",
        Maps,
        "The entries of two maps; if both have a key, the second map's value wins. A NULL map counts as empty; the result is NULL if both are NULL.",
        &[Variant::new(&[p("left", MAP_KV), p("right", MAP_KV)], MAP_KV, map::union).sees_nulls()],
        &[("MAP_UNION(MAP('a' := 1, 'b' := 2), MAP('b' := 3))", "{a: 1, b: 3}")],
    ),
    Function::new(
        "ENTRIES",
        Maps,
        "The entries of a map as structs with the fields K and V, optionally sorted by key.",
        &[entries!(Int), entries!(BigInt), entries!(Double), entries!(Boolean), entries!(String)],
        &[("ENTRIES(MAP('b' := 1, 'a' := 2), true)", "[{K: a, V: 2}, {K: b, V: 1}]")],
    ),
];
