//! Calls at random. Goal: no call of any function is fatal or takes memory without end, whatever its arguments. Method: literals of
//! the types that a variant takes, with extremes and now and then one of another type, evaluated as constants; what is
//! refused or fails is well. `HEADWATER_FUZZ=N` makes so many calls, and `HEADWATER_FUZZ_SEED=S` others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::Array;
use chrono::DateTime;
use headwater_expression::{Evaluator, session};
use headwater_functions::signature::{Function, Type, Variant};
use headwater_functions::{Category, all};
use headwater_language::config::Settings;
use headwater_language::diagnostic::Span;
use headwater_language::sql::parse_expr;

const CALLS: u64 = 4_000;
/// No value of one call is larger.
const BYTES_MAX: usize = 64 << 20;

#[test]
fn no_call_is_fatal() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let mut rng = Rng(given("HEADWATER_FUZZ_SEED").unwrap_or(1));
    let now = DateTime::from_timestamp_millis(1_700_000_000_000).expect("a time");
    let evaluator = Evaluator::new(session(&Settings::default()), now);
    let functions: Vec<&Function> = all().filter(|function| function.category != Category::Table).collect();
    let mut answered = 0;
    for _ in 0..given("HEADWATER_FUZZ").unwrap_or(CALLS) {
        let function = functions[rng.below(functions.len())];
        let text = call(&mut rng, function);
        let Ok(expr) = parse_expr(&text) else { continue };
        let value = catch_unwind(AssertUnwindSafe(|| evaluator.evaluate(&expr, Span::default())));
        let value = value.unwrap_or_else(|_| panic!("{text} is fatal"));
        if let Ok(value) = value {
            answered += 1;
            assert!(value.get_array_memory_size() < BYTES_MAX, "{text} takes too much memory");
        }
    }
    assert!(answered > 0, "some calls have a value");
}

/// A small generator: the same numbers for the same seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pick<'a>(&mut self, some: &[&'a str]) -> &'a str {
        some[self.below(some.len())]
    }
}

fn call(rng: &mut Rng, function: &Function) -> String {
    let Variant { params, variadic, .. } = &function.variants[rng.below(function.variants.len())];
    let more = if *variadic { rng.below(4) } else { 0 };
    let types = params.iter().chain(params.last().into_iter().cycle().take(more)).map(|param| param.ty);
    let args: Vec<String> = types.map(|ty| argument(rng, ty)).collect();
    format!("{}({})", function.name, args.join(", "))
}

fn argument(rng: &mut Rng, ty: Type) -> String {
    match rng.below(12) {
        0 => "NULL".to_owned(),
        1 => literal(rng, Type::Any, 0),
        _ => literal(rng, ty, 0),
    }
}

const ANY: &[Type] = &[
    Type::Boolean,
    Type::Int,
    Type::BigInt,
    Type::Double,
    Type::Decimal,
    Type::String,
    Type::Bytes,
    Type::Date,
    Type::Time,
    Type::Timestamp,
    Type::Array(&Type::Int),
    Type::Array(&Type::String),
    Type::Map(&Type::String, &Type::Int),
    Type::Struct(&[("A", Type::Int)]),
];

const INTS: &[&str] = &["0", "1", "-1", "2", "3", "7", "64", "131072", "2147483647", "-2147483647 - 1", "-5"];
const BIG_INTS: &[&str] = &["9223372036854775807", "-9223372036854775807 - 1", "9000000000", "-62135596800001", "5"];
const DOUBLES: &[&str] = &["0e0", "-0e0", "1.5e0", "-1e308", "5e-324", "1e18", "1e308 * 1e1", "SQRT(-1e0)"];
const DECIMALS: &[&str] = &["0.0", "1.5", "-0.05", "99999999999999999999999999999999999999.0", "12345678901234.123456"];
const TEXTS: &[&str] = &[
    "''",
    "' '",
    "'a'",
    "'ä𝄞'",
    "'a,b,,c'",
    "'{\"a\":[1,{\"b\":null}]}'",
    "'$.a[1].b'",
    "'$..'",
    "'2024-02-29'",
    "'23:59:59'",
    "'yyyy-MM-dd''T''HH:mm:ss.SSSX'",
    "'yyyyyyyyyyyyyyyyyyyyyyyy'",
    "'['",
    "'('",
    "'(a*)*b'",
    "'%'",
    "'utf8'",
    "'hex'",
    "'0xF'",
    "'base64'",
    "'UTC'",
    "'Europe/Berlin'",
    "'+25:00'",
    "'http://u@h:99999/p?a=b&a#f'",
    "'%zz'",
    "'DESC'",
    "'\\u004b'",
    "'-9223372036854775809'",
    "'1e400'",
    "RPAD('x', 131072, 'yz')",
    "'BIG_ENDIAN'",
];
const BYTES: &[&str] = &["TO_BYTES('', 'hex')", "TO_BYTES('00ff', 'hex')", "TO_BYTES('0011223344556677', 'hex')"];
const DATES: &[&str] = &["CAST('2024-02-29' AS DATE)", "FROM_DAYS(2147483647)", "FROM_DAYS(-2147483647)"];
const TIMES: &[&str] = &["CAST('00:00:00' AS TIME)", "CAST('23:59:59.999' AS TIME)"];
const INSTANTS: &[&str] = &[
    "CAST('2024-02-29T10:11:12.345' AS TIMESTAMP)",
    "FROM_UNIXTIME(9223372036854775807)",
    "FROM_UNIXTIME(-9223372036854775807)",
];
const UNITS: &[&str] = &["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS", "NANOSECONDS"];

fn literal(rng: &mut Rng, ty: Type, depth: usize) -> String {
    let one_of = |rng: &mut Rng, some: &[&str]| rng.pick(some).to_owned();
    match ty {
        Type::Boolean => one_of(rng, &["TRUE", "FALSE"]),
        Type::Int => one_of(rng, INTS),
        Type::BigInt => one_of(rng, BIG_INTS),
        Type::Double => one_of(rng, DOUBLES),
        Type::Decimal => one_of(rng, DECIMALS),
        Type::String => one_of(rng, TEXTS),
        Type::Bytes => one_of(rng, BYTES),
        Type::Date => one_of(rng, DATES),
        Type::Time => one_of(rng, TIMES),
        Type::Timestamp => one_of(rng, INSTANTS),
        Type::Unit => one_of(rng, UNITS),
        Type::Generic(_) | Type::Any if depth > 2 => "1".to_owned(),
        Type::Generic(_) | Type::Any => {
            let any = ANY[rng.below(ANY.len())];
            literal(rng, any, depth + 1)
        }
        Type::Array(item) => {
            let items: Vec<String> = (0..rng.below(4)).map(|_| literal(rng, *item, depth + 1)).collect();
            format!("ARRAY[{}]", items.join(", "))
        }
        Type::Map(key, value) => {
            let entry =
                |rng: &mut Rng| format!("{} := {}", literal(rng, *key, depth + 1), literal(rng, *value, depth + 1));
            let entries: Vec<String> = (0..rng.below(3)).map(|_| entry(rng)).collect();
            format!("MAP({})", entries.join(", "))
        }
        Type::Struct(fields) => {
            let field = |(name, ty): &(&str, Type)| format!("{name} := {}", literal(rng, *ty, depth + 1));
            format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Type::Lambda(params, _) => {
            let names = &["p1", "p2", "p3"][..params.len().min(3)];
            let body = rng.pick(&["p1", "p1 = p1", "p1 + 1", "CAST(p1 AS STRING)", "1 / 0", "NULL", "UCASE(p1)"]);
            format!("({}) => {body}", names.join(", "))
        }
    }
}
