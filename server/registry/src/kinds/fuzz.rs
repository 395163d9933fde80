//! Goal: no text makes a parser or a comparison panic, hang or exhaust the stack. Method: valid schemas are mutated, cut
//! and joined at random, in a thread with the stack that the server's threads have. What is still valid must be printed
//! to a text that means the same, and be compatible with itself.
//!
//! The number of texts of each kind is `HEADWATER_FUZZ`, the seed `HEADWATER_FUZZ_SEED`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use headwater_formats::schema::SchemaKind;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Parsed, differences};

const STACK_BYTES: usize = 2 << 20;
/// From this size on a schema may be too much to compare.
const LARGE_BYTES: usize = 64 << 10;

const AVRO: &[&str] = &[
    r#"{"type":"record","name":"R","namespace":"n.m","doc":"d","aliases":["Q"],"fields":[{"name":"a","type":["null","int"],"default":null,"aliases":["b"]},{"name":"next","type":["null","R"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}},{"name":"f","type":{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":4}},{"name":"m","type":{"type":"map","values":{"type":"array","items":"E"}}}]}"#,
    r#"["null",{"type":"record","name":"int2","fields":[{"name":"x","type":{"type":"long","logicalType":"timestamp-millis"},"order":"ignore","default":1}]},"string","bytes","double"]"#,
    r#""string""#,
];

const PROTOBUF: &[&str] = &[
    "syntax = \"proto2\"; package a.b; import \"google/protobuf/timestamp.proto\"; option java_package = \"x\"; message M { reserved 10 to 12, 20 to 29; reserved \"old\"; required string name = 1 [default = \"a\\\"b\", json_name = \"N\"]; repeated int32 n = 3 [packed = true]; map<string, Inner> inners = 4; oneof choice { E e = 5; .google.protobuf.Timestamp at = 6; } optional group G = 7 { optional bytes raw = 1; } message Inner { optional double d = 1 [default = inf]; } enum E { option allow_alias = true; ZERO = 0; NULL = 0; MINUS = -1; } extensions 100 to max; } extend M { optional int64 extra = 100; } service S { rpc Call (M) returns (stream M.Inner) { option deprecated = true; } }",
    "// c\nsyntax = \"proto3\"; import public \"confluent/meta.proto\"; message A { optional int32 a = 1 [(confluent.field_meta) = { doc: \"x\" tags: [\"p\"] }]; B b = 2; message B { sfixed64 c = 0x7; } } enum E { option (confluent.enum_meta).doc = \"y\"; Z = 0; }",
];

const JSON: &[&str] = &[
    r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","title":"t","properties":{"a":{"oneOf":[{"type":"null"},{"type":"integer","minimum":1,"multipleOf":2}]},"b":{"$ref":"#/definitions/N"},"c":{"type":["string","null"],"pattern":"^a+$","maxLength":5}},"required":["a"],"patternProperties":{"^x":{"type":"number"}},"additionalProperties":false,"definitions":{"N":{"type":"array","items":{"$ref":"#/definitions/N"},"minItems":1}}}"##,
    r##"{"allOf":[{"$ref":"#/$defs/A"},{"not":{"const":1}}],"anyOf":[{"enum":[1,"a",null]},{"if":{"type":"string"},"then":{"minLength":1}}],"$defs":{"A":{"$anchor":"a","prefixItems":[{"type":"string"},true],"items":false,"dependencies":{"x":["y"],"y":{"type":"object"}}},"B":{"$ref":"#a"}}}"##,
];

#[test]
fn any_text_is_parsed_or_rejected() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seed) = (number("HEADWATER_FUZZ", 2_000), number("HEADWATER_FUZZ_SEED", 1));
    let kinds = [(SchemaKind::Avro, AVRO), (SchemaKind::Protobuf, PROTOBUF), (SchemaKind::Json, JSON)];
    for (kind, seeds) in kinds {
        let current = Arc::<Mutex<String>>::default();
        let of_thread = Arc::clone(&current);
        let run = move || fuzz(kind, seeds, count, seed, &of_thread);
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread");
        let valid = thread.join().unwrap_or_else(|_| panic!("{kind}, seed {seed}: {:?}", current.lock()));
        assert!(valid * 50 > count, "{kind}: only {valid} of {count} texts were valid");
    }
}

/// How many of the texts were valid.
fn fuzz(kind: SchemaKind, seeds: &[&str], count: u64, seed: u64, current: &Mutex<String>) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut valid = 0;
    let mut last: Option<Parsed> = None;
    for _ in 0..count {
        let text = mutant(seeds, &mut random);
        current.lock().clone_from(&text);
        let Ok(schema) = Parsed::parse(kind, &text, &[]) else { continue };
        check(kind, &text, &schema);
        if let Some(last) = &last {
            differences(last, &schema);
            differences(&schema, last);
        }
        if let Some(descriptor) = schema.serialized() {
            fuzz_descriptor(&descriptor, &mut random, current);
        }
        last = Some(schema);
        valid += 1;
    }
    valid
}

fn check(kind: SchemaKind, text: &str, schema: &Parsed) {
    let mut own = differences(schema, schema);
    // Comparing has limits, which only a large schema reaches.
    own.retain(|difference| text.len() < LARGE_BYTES || difference.kind != "SCHEMA_TOO_COMPLEX");
    assert_eq!(own, [], "compatible with itself: {text}");
    for printed in [schema.canonical(), schema.normalized()] {
        let again = Parsed::parse(kind, &printed, &[]);
        let again = again.unwrap_or_else(|error| panic!("{error}\n{text}\n{printed}"));
        assert_eq!(again.canonical(), printed, "{text}");
        let both = (differences(schema, &again), differences(&again, schema));
        assert!(text.len() >= LARGE_BYTES || both == (vec![], vec![]), "{both:?}: {text}\n{printed}");
    }
}

/// A descriptor in base64 with a few bytes changed.
fn fuzz_descriptor(descriptor: &str, random: &mut StdRng, current: &Mutex<String>) {
    let mut bytes = BASE64_STANDARD.decode(descriptor).expect("it was encoded");
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..3) {
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => drop(bytes.remove(at)),
        }
        if bytes.is_empty() {
            return;
        }
    }
    let text = BASE64_STANDARD.encode(&bytes);
    current.lock().clone_from(&text);
    if let Ok(schema) = Parsed::parse(SchemaKind::Protobuf, &text, &[]) {
        // Names that are not words can be in a descriptor, and are printed as they are.
        let canonical = schema.canonical();
        let _ = Parsed::parse(SchemaKind::Protobuf, &canonical, &[]);
        differences(&schema, &schema);
    }
}

fn mutant(seeds: &[&str], random: &mut StdRng) -> String {
    let mut text: Vec<char> = seeds[random.random_range(0..seeds.len())].chars().collect();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=text.len());
        let end = random.random_range(at..=text.len().min(at + 40));
        match random.random_range(0..7) {
            0 => drop(text.drain(at..end)),
            1 => text.insert(at, random.random_range(' '..='~')),
            2 => text.insert(at, random.random()),
            3 => {
                let piece: Vec<char> = text[at..end].to_vec();
                let to = random.random_range(0..=text.len());
                text.splice(to..to, piece);
            }
            4 => {
                let other: Vec<char> = seeds[random.random_range(0..seeds.len())].chars().collect();
                let from = random.random_range(0..other.len());
                let piece = other[from..other.len().min(from + 30)].to_vec();
                text.splice(at..end, piece);
            }
            // A word or a number is replaced by another one that is there.
            5 => replace_word(&mut text, random),
            _ => nest(&mut text, at, random),
        }
    }
    text.into_iter().collect()
}

fn replace_word(text: &mut Vec<char>, random: &mut StdRng) {
    let whole: String = text.iter().collect();
    let words: Vec<&str> = whole.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if let [_, ..] = words.as_slice() {
        let (from, to) = (words[random.random_range(0..words.len())], words[random.random_range(0..words.len())]);
        *text = whole.replacen(from, to, random.random_range(1..3)).chars().collect();
    }
}

/// Many of the same bracket.
fn nest(text: &mut Vec<char>, at: usize, random: &mut StdRng) {
    const OPENINGS: [&str; 6] = ["[", "{\"a\":", "{", "message A {", "{\"type\":", "<"];
    let opening = OPENINGS[random.random_range(0..OPENINGS.len())];
    let times = if random.random_bool(0.01) { 50_000 } else { random.random_range(1..200) };
    text.splice(at..at, opening.repeat(times).chars());
}
