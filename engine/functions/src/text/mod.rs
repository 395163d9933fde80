//! Texts and bytes.
//!
//! As in Java, positions and lengths are in UTF-16 code units: a character beyond U+FFFF counts as two. If a function
//! would cut such a character in half, the character is omitted, whereas Java keeps half of it.

mod bytes;
mod encoding;
mod join;
mod mask;
mod pad;
mod part;
mod regex;
mod regex_java;
mod regex_pattern;
mod regex_replacement;
mod search;
mod shape;
mod split;
mod units;

use super::signature::Category::{RegularExpression, String as Strings};
use super::signature::Type::{BigInt, Bytes, Double, Int, Map, String};
use super::signature::{ARRAY_STRING, Function, Param, Type, Variant, p};

pub(super) use encoding::write_base64;
pub use regex_pattern::Pattern;

const TEXT: &[Param] = &[p("text", String)];
const BYTES: &[Param] = &[p("bytes", Bytes)];
const BYTES_ORDER: &[Param] = &[p("bytes", Bytes), p("order", String)];
const MASKED: &[Param] = &[p("text", String)];
const MASKED_WITH: &[Param] =
    &[p("text", String), p("upper", String), p("lower", String), p("digit", String), p("other", String)];
const MASKED_PART: &[Param] = &[p("text", String), p("count", Int)];
const MASKED_PART_WITH: &[Param] = &[
    p("text", String),
    p("count", Int),
    p("upper", String),
    p("lower", String),
    p("digit", String),
    p("other", String),
];
const ARRAY_BYTES: Type = Type::Array(&Bytes);

/// A function that masks a part of a text.
macro_rules! mask {
    ($name:literal, $about:literal, $part:expr, $($example:expr),*) => {
        Function::new(
            $name,
            Strings,
            $about,
            &[
                Variant::new(MASKED_PART, String, |call| mask::mask_part(call, $part)),
                Variant::new(MASKED_PART_WITH, String, |call| mask::mask_part(call, $part))
                    .sees_nulls()
                    .about("A NULL mask leaves those characters unchanged."),
            ],
            &[$($example),*],
        )
    };
}

/// A number from its bytes.
macro_rules! from_bytes {
    ($name:literal, $about:literal, $ty:expr, $kernel:expr, $($example:expr),*) => {
        Function::new(
            $name,
            Strings,
            $about,
            &[
                Variant::new(BYTES, $ty, $kernel),
                Variant::new(BYTES_ORDER, $ty, $kernel).about("The byte order is 'BIG_ENDIAN' or 'LITTLE_ENDIAN'."),
            ],
            &[$($example),*],
        )
    };
}

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "CHR",
        Strings,
        "The character with a code point, or the one that Unicode escapes such as '\\u004b' spell.",
        &[
            Variant::new(&[p("code", Int)], String, shape::chr),
            Variant::new(&[p("escapes", String)], String, shape::chr_of_escapes).about(
                "Characters beyond U+FFFF take two escapes. NULL if the text does not begin with an escape.",
            ),
        ],
        &[("CHR(75)", "K"), ("CHR('\\u004b')", "K"), ("CHR(-1)", "NULL")],
    ),
    Function::new(
        "CONCAT",
        Strings,
        "The texts, or bytes, concatenated; NULL is skipped. The same as `a || b`.",
        &[
            Variant::new(&[p("texts", String)], String, join::concat_texts).variadic().sees_nulls(),
            Variant::new(&[p("bytes", Bytes)], Bytes, join::concat_bytes).variadic().sees_nulls(),
        ],
        &[("CONCAT('a', NULL, 'b')", "ab")],
    ),
    Function::new(
        "CONCAT_WS",
        Strings,
        "The texts, or bytes, concatenated with a separator between them; NULL is skipped. NULL if the separator is NULL.",
        &[
            Variant::new(&[p("separator", String), p("first", String), p("more", String)], String, join::join_texts)
                .variadic()
                .sees_nulls(),
            Variant::new(&[p("separator", Bytes), p("first", Bytes), p("more", Bytes)], Bytes, join::join_bytes)
                .variadic()
                .sees_nulls(),
        ],
        &[("CONCAT_WS(', ', 'apple', NULL, 'pear')", "apple, pear")],
    ),
    Function::new(
        "ELT",
        Strings,
        "The text at a position, counted from 1; NULL if there is none.",
        &[Variant::new(&[p("position", Int), p("texts", String)], String, search::elt).variadic().sees_nulls()],
        &[("ELT(2, 'a', 'b')", "b"), ("ELT(3, 'a', 'b')", "NULL")],
    ),
    Function::new(
        "FIELD",
        Strings,
        "The position of a text in a list of texts, counted from 1; 0 if it is NULL or not in the list.",
        &[Variant::new(&[p("text", String), p("texts", String)], Int, search::field).variadic().sees_nulls()],
        &[("FIELD('b', 'a', 'b')", "2"), ("FIELD('c', 'a', 'b')", "0")],
    ),
    Function::new(
        "ENCODE",
        Strings,
        "A text converted from one encoding to another: 'hex' (with or without 0x or X'…'), 'utf8', 'ascii' or 'base64'.",
        &[Variant::new(&[p("text", String), p("from", String), p("to", String)], String, encoding::encode)],
        &[("ENCODE('4578616d706C6521', 'hex', 'ascii')", "Example!"), ("ENCODE('hi', 'utf8', 'base64')", "aGk=")],
    ),
    Function::new(
        "TO_BYTES",
        Strings,
        "The bytes that a text encodes as 'hex', 'utf8', 'ascii' or 'base64'.",
        &[Variant::new(&[p("text", String), p("encoding", String)], Bytes, encoding::to_bytes)],
        &[("FROM_BYTES(TO_BYTES('hi', 'utf8'), 'hex')", "6869")],
    ),
    Function::new(
        "FROM_BYTES",
        Strings,
        "Bytes encoded as a text: 'hex', 'utf8', 'ascii' or 'base64'.",
        &[Variant::new(&[p("bytes", Bytes), p("encoding", String)], String, encoding::from_bytes)],
        &[("FROM_BYTES(TO_BYTES('6869', 'hex'), 'utf8')", "hi")],
    ),
    from_bytes!(
        "BIGINT_FROM_BYTES",
        "The BIGINT stored in 8 bytes.",
        BigInt,
        bytes::bigint,
        ("BIGINT_FROM_BYTES(TO_BYTES('0000000000000102', 'hex'))", "258")
    ),
    from_bytes!(
        "INT_FROM_BYTES",
        "The INT stored in 4 bytes.",
        Int,
        bytes::int,
        ("INT_FROM_BYTES(TO_BYTES('00000102', 'hex'))", "258"),
        ("INT_FROM_BYTES(TO_BYTES('02010000', 'hex'), 'LITTLE_ENDIAN')", "258")
    ),
    from_bytes!(
        "DOUBLE_FROM_BYTES",
        "The DOUBLE stored in 8 bytes.",
        Double,
        bytes::double,
        ("DOUBLE_FROM_BYTES(TO_BYTES('3ff8000000000000', 'hex'))", "1.5")
    ),
    Function::new(
        "INITCAP",
        Strings,
        "The text with the first letter of each word in upper case and the other letters in lower case. Leading whitespace is removed.",
        &[Variant::new(TEXT, String, shape::initcap)],
        &[("INITCAP('the   QUICK fox')", "The   Quick Fox")],
    ),
    Function::new(
        "INSTR",
        Strings,
        "The position of a text within another, counted from 1; 0 if it does not occur.",
        &[
            Variant::new(&[p("text", String), p("part", String)], Int, search::instr),
            Variant::new(&[p("text", String), p("part", String), p("position", Int)], Int, search::instr).about(
                "The search starts at the position. A negative position counts from the end, and the search goes backwards.",
            ),
            Variant::new(
                &[p("text", String), p("part", String), p("position", Int), p("occurrence", Int)],
                Int,
                search::instr,
            )
            .about("Finds the occurrence with this number, counted from 1."),
        ],
        &[("INSTR('CORPORATE FLOOR', 'OR')", "2"), ("INSTR('CORPORATE FLOOR', 'OR', 3, 2)", "14")],
    ),
    Function::new(
        "LCASE",
        Strings,
        "The text in lower case.",
        &[Variant::new(TEXT, String, shape::lcase)],
        &[("LCASE('MiX')", "mix")],
    ),
    Function::new(
        "UCASE",
        Strings,
        "The text in upper case.",
        &[Variant::new(TEXT, String, shape::ucase)],
        &[("UCASE('MiX')", "MIX")],
    ),
    Function::new(
        "TRIM",
        Strings,
        "The text without leading and trailing spaces and control characters.",
        &[Variant::new(TEXT, String, shape::trim)],
        &[("TRIM('  a b ')", "a b")],
    ),
    Function::new(
        "LEN",
        Strings,
        "The length of a text in UTF-16 code units, or the number of bytes.",
        &[Variant::new(TEXT, Int, shape::len_text), Variant::new(BYTES, Int, shape::len_bytes)],
        &[("LEN('abc')", "3"), ("LEN('')", "0")],
    ),
    Function::new(
        "LPAD",
        Strings,
        "The text, or bytes, brought to this length: truncated at the end, or padded at the start. NULL if the length is negative or the padding is empty. The length is at most 131072.",
        &[
            Variant::new(&[p("text", String), p("length", Int), p("padding", String)], String, |call| {
                pad::pad_text(call, pad::Side::Left)
            }),
            Variant::new(&[p("bytes", Bytes), p("length", Int), p("padding", Bytes)], Bytes, |call| {
                pad::pad_bytes(call, pad::Side::Left)
            }),
        ],
        &[("LPAD('foo', 7, 'Bar')", "BarBfoo"), ("LPAD('foo', 2, 'Bar')", "fo")],
    ),
    Function::new(
        "RPAD",
        Strings,
        "The text, or bytes, brought to this length: truncated or padded at the end. NULL if the length is negative or the padding is empty. The length is at most 131072.",
        &[
            Variant::new(&[p("text", String), p("length", Int), p("padding", String)], String, |call| {
                pad::pad_text(call, pad::Side::Right)
            }),
            Variant::new(&[p("bytes", Bytes), p("length", Int), p("padding", Bytes)], Bytes, |call| {
                pad::pad_bytes(call, pad::Side::Right)
            }),
        ],
        &[("RPAD('foo', 7, 'Bar')", "fooBarB")],
    ),
    Function::new(
        "MASK",
        Strings,
        "The text with upper-case letters replaced by X, lower-case letters by x, digits by n and other characters by -, or by the characters given.",
        &[
            Variant::new(MASKED, String, mask::mask),
            Variant::new(MASKED_WITH, String, mask::mask)
                .sees_nulls()
                .about("A NULL mask leaves those characters unchanged."),
        ],
        &[("MASK('My Test $123')", "Xx-Xxxx--nnn"), ("MASK('My Test $123', '*', NULL, '1', NULL)", "*y *est $111")],
    ),
    mask!(
        "MASK_LEFT",
        "Like MASK, but masks only the first characters.",
        mask::Part::First,
        ("MASK_LEFT('My Test $123', 4)", "Xx-Xest $123")
    ),
    mask!(
        "MASK_RIGHT",
        "Like MASK, but masks only the last characters.",
        mask::Part::Last,
        ("MASK_RIGHT('My Test $123', 4)", "My Test -nnn")
    ),
    mask!(
        "MASK_KEEP_LEFT",
        "Like MASK, but keeps the first characters unmasked.",
        mask::Part::AllButFirst,
        ("MASK_KEEP_LEFT('My Test $123', 4)", "My Txxx--nnn")
    ),
    mask!(
        "MASK_KEEP_RIGHT",
        "Like MASK, but keeps the last characters unmasked.",
        mask::Part::AllButLast,
        ("MASK_KEEP_RIGHT('My Test $123', 4)", "Xx-Xxxx-$123")
    ),
    Function::new(
        "MD5",
        Strings,
        "The MD5 hash of the text's UTF-8 bytes, in hexadecimal digits.",
        &[Variant::new(TEXT, String, shape::md5)],
        &[("MD5('abc')", "900150983cd24fb0d6963f7d28e17f72")],
    ),
    Function::new(
        "REPLACE",
        Strings,
        "The text with each occurrence of one text replaced by another.",
        &[Variant::new(&[p("text", String), p("old", String), p("new", String)], String, shape::replace)],
        &[("REPLACE('foobar', 'foo', 'bar')", "barbar")],
    ),
    Function::new(
        "SPLIT",
        Strings,
        "The parts of a text, or of bytes, between delimiters, including empty parts. An empty delimiter splits it into single characters or bytes.",
        &[
            Variant::new(&[p("text", String), p("delimiter", String)], ARRAY_STRING, split::split_text),
            Variant::new(&[p("bytes", Bytes), p("delimiter", Bytes)], ARRAY_BYTES, split::split_bytes),
        ],
        &[("SPLIT('a,b,,c', ',')", "[a, b, , c]"), ("SPLIT('abc', '')", "[a, b, c]")],
    ),
    Function::new(
        "SPLIT_TO_MAP",
        Strings,
        "A map of the keys and values listed in a text. Entries without a value are skipped; the last of several entries with the same key wins. NULL if the delimiters are empty or equal.",
        &[Variant::new(
            &[p("text", String), p("entry_delimiter", String), p("key_value_delimiter", String)],
            Map(&String, &String),
            split::split_to_map,
        )],
        &[("SPLIT_TO_MAP('a:=1/b:=2', '/', ':=')", "{a: 1, b: 2}")],
    ),
    Function::new(
        "SUBSTRING",
        Strings,
        "The part of a text, or of bytes, from a position on. Positions start at 1; a negative position counts from the end.",
        &[
            Variant::new(&[p("text", String), p("position", Int)], String, part::substring_text),
            Variant::new(&[p("text", String), p("position", Int), p("length", Int)], String, part::substring_text),
            Variant::new(&[p("bytes", Bytes), p("position", Int)], Bytes, part::substring_bytes),
            Variant::new(&[p("bytes", Bytes), p("position", Int), p("length", Int)], Bytes, part::substring_bytes),
        ],
        &[("SUBSTRING('stream', 2, 3)", "tre"), ("SUBSTRING('stream', -3)", "eam")],
    ),
    Function::new(
        "UUID",
        Strings,
        "A random UUID, a new one for each row and each run, or the UUID with the given 16 bytes.",
        &[
            Variant::new(&[], String, bytes::uuid),
            Variant::new(BYTES, String, bytes::uuid_of_bytes).about("NULL if there are not exactly 16 bytes."),
        ],
        &[("UUID(TO_BYTES('00112233445566778899aabbccddeeff', 'hex'))", "00112233-4455-6677-8899-aabbccddeeff")],
    )
    .volatile(),
    Function::new(
        "REGEXP_EXTRACT",
        RegularExpression,
        regex_java::EXTRACT,
        &[
            Variant::new(&[p("pattern", String), p("text", String)], String, regex::extract),
            Variant::new(&[p("pattern", String), p("text", String), p("group", Int)], String, regex::extract)
                .about("Returns a group of the pattern, counted from 1; NULL if the pattern has no such group."),
        ],
        &[("REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", "there"), ("REGEXP_EXTRACT('x', 'abc')", "NULL")],
    ),
    Function::new(
        "REGEXP_EXTRACT_ALL",
        RegularExpression,
        regex_java::EXTRACT_ALL,
        &[
            Variant::new(&[p("pattern", String), p("text", String)], ARRAY_STRING, regex::extract_all),
            Variant::new(&[p("pattern", String), p("text", String), p("group", Int)], ARRAY_STRING, regex::extract_all)
                .about("Returns a group of the pattern, counted from 1; NULL if the pattern has no such group."),
        ],
        &[("REGEXP_EXTRACT_ALL('(\\w+) (\\w*)', 'hello there nice day', 2)", "[there, day]")],
    ),
    Function::new(
        "REGEXP_REPLACE",
        RegularExpression,
        regex_java::REPLACE,
        &[Variant::new(&[p("text", String), p("pattern", String), p("new", String)], String, regex::replace)],
        &[("REGEXP_REPLACE('stream', '(t)(r)', '$2$1')", "srteam")],
    ),
    Function::new(
        "REGEXP_SPLIT_TO_ARRAY",
        RegularExpression,
        regex_java::SPLIT,
        &[Variant::new(&[p("text", String), p("pattern", String)], ARRAY_STRING, regex::split)],
        &[("REGEXP_SPLIT_TO_ARRAY('aabcda', '(ab|cd)')", "[a, , a]")],
    ),
];
