//! Arrays and maps.
//!
//! An array's elements and a map's entries are moved by their places ([`Call::each_taken`]), so that
//! these functions work for elements of any type. Elements are equal as Java's objects are: NULL equals
//! NULL, NaN equals NaN.

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
        "Whether the array has an element, which may be NULL. False for an array that is NULL.",
        &[Variant::new(ARRAY_AND_ONE, Boolean, element::contains).sees_nulls()],
        &[("ARRAY_CONTAINS(ARRAY[1, 2, 3], 2)", "true"), ("ARRAY_CONTAINS(ARRAY['a'], 'b')", "false")],
    ),
    Function::new(
        "ARRAY_CONCAT",
        Array,
        "The elements of two arrays one after the other. NULL when both are.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, element::concat).sees_nulls()],
        &[("ARRAY_CONCAT(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 2, 3]")],
    ),
    Function::new(
        "ARRAY_DISTINCT",
        Array,
        "Each element once, in the order of their first appearance.",
        &[Variant::new(ARRAY, ARRAY_T, set::distinct)],
        &[("ARRAY_DISTINCT(ARRAY[1, 2, 1, 3, 2])", "[1, 2, 3]")],
    ),
    Function::new(
        "ARRAY_UNION",
        Array,
        "Each element of either array once, in the order of their first appearance.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::union)],
        &[("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]")],
    ),
    Function::new(
        "ARRAY_INTERSECT",
        Array,
        "Each element of the first array that the second has, too, once, in the order of the first.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::intersect)],
        &[("ARRAY_INTERSECT(ARRAY[3, 1, 2, 3], ARRAY[2, 3])", "[3, 2]")],
    ),
    Function::new(
        "ARRAY_EXCEPT",
        Array,
        "Each element of the first array that the second has not, once, in the order of the first.",
        &[Variant::new(TWO_ARRAYS, ARRAY_T, set::except)],
        &[("ARRAY_EXCEPT(ARRAY[3, 1, 2, 3], ARRAY[2])", "[3, 1]")],
    ),
    Function::new(
        "ARRAY_JOIN",
        Array,
        "The elements as one text, with a comma or another delimiter between them. NULL is written null; elements are BOOLEAN, numbers or STRING.",
        &[
            Variant::new(ARRAY, String, join::join),
            Variant::new(&[p("array", ARRAY_T), p("delimiter", String)], String, join::join)
                .sees_nulls()
                .about("A delimiter that is NULL is an empty one."),
        ],
        &[("ARRAY_JOIN(ARRAY[1, 2, 3])", "1,2,3"), ("ARRAY_JOIN(ARRAY['a', 'b'], '; ')", "a; b")],
    ),
    Function::new(
        "ARRAY_MAX",
        Array,
        "The greatest element; NULL is ignored, and the result when there is nothing else.",
        &[Variant::new(ARRAY, T, sort::max)],
        &[("ARRAY_MAX(ARRAY[3, 9, 1])", "9")],
    ),
    Function::new(
        "ARRAY_MIN",
        Array,
        "The least element; NULL is ignored, and the result when there is nothing else.",
        &[Variant::new(ARRAY, T, sort::min)],
        &[("ARRAY_MIN(ARRAY['b', 'a'])", "a")],
    ),
    Function::new(
        "ARRAY_REMOVE",
        Array,
        "The array without an element, all of its occurrences; NULL removes NULL.",
        &[Variant::new(ARRAY_AND_ONE, ARRAY_T, element::remove).sees_nulls()],
        &[("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]")],
    ),
    Function::new(
        "ARRAY_SORT",
        Array,
        "The elements in order, NULL last whatever the order.",
        &[
            Variant::new(ARRAY, ARRAY_T, sort::sort),
            Variant::new(&[p("array", ARRAY_T), p("direction", String)], ARRAY_T, sort::sort)
                .about("The direction is ASC, ASCENDING, DESC or DESCENDING, in any case; another gives NULL."),
        ],
        &[("ARRAY_SORT(ARRAY[3, 1, 2])", "[1, 2, 3]"), ("ARRAY_SORT(ARRAY[3, 1, 2], 'DESC')", "[3, 2, 1]")],
    ),
    Function::new(
        "SLICE",
        Array,
        "The elements from one position to another, both included and counted from 1. A position that is NULL is the first or last; one outside gives NULL.",
        &[Variant::new(&[p("array", ARRAY_T), p("from", Int), p("to", Int)], ARRAY_T, element::slice).sees_nulls()],
        &[("SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]"), ("SLICE(ARRAY[1, 2, 3], 2, NULL)", "[2, 3]")],
    ),
    Function::new(
        "AS_MAP",
        Maps,
        "A map from keys to the values at the same positions. A key without a value has NULL; of several keys that are the same the last stays.",
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
        "The entries of two maps; where both have a key, the second's. A map that is NULL is empty, unless both are.",
        &[Variant::new(&[p("left", MAP_KV), p("right", MAP_KV)], MAP_KV, map::union).sees_nulls()],
        &[("MAP_UNION(MAP('a' := 1, 'b' := 2), MAP('b' := 3))", "{a: 1, b: 3}")],
    ),
    Function::new(
        "ENTRIES",
        Maps,
        "The entries of a map as structs with the fields K and V, in the order of the keys when sorted.",
        &[entries!(Int), entries!(BigInt), entries!(Double), entries!(Boolean), entries!(String)],
        &[("ENTRIES(MAP('b' := 1, 'a' := 2), true)", "[{K: a, V: 2}, {K: b, V: 1}]")],
    ),
];
