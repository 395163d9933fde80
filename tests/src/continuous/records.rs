//! Topics with random records, and the streams and tables over them.

use crate::random::Random;

/// What the queries of a file read: the streams `s1` and `s2` and the tables `t1` and `t2`, all with the columns `k STRING` (their
/// key), `a INT`, `b STRING` and `d DOUBLE`.
pub(super) struct World {
    /// Whether what queries write is compared with their bounded queries: then nothing is late or bad, and all keys are there.
    pub(super) is_judged: bool,
    /// Number of partitions of each topic.
    pub(super) partitions: usize,
    /// The times of records are between 0 and about this, in ms.
    pub(super) span_ms: usize,
    /// Whether each key of a table has one record, older than those of streams.
    pub(super) has_fixed_tables: bool,
    /// What creates it.
    pub(super) statements: Vec<String>,
}

/// The streams and tables, with their kinds and the kinds of their keys.
const SOURCES: [(&str, &str, &str); 4] =
    [("s1", "STREAM", "KEY"), ("s2", "STREAM", "KEY"), ("t1", "TABLE", "PRIMARY KEY"), ("t2", "TABLE", "PRIMARY KEY")];
/// Most records of a topic.
const RECORDS_MAX: usize = 14;

impl World {
    pub(super) fn new(random: &mut Random, is_judged: bool) -> Self {
        let (partitions, span_ms) = (*random.pick(&[1, 1, 2, 3]), *random.pick(&[2_000, 20_000, 100_000]));
        let mut world =
            Self { is_judged, partitions, span_ms, has_fixed_tables: random.one_in(3), statements: Vec::new() };
        let topics = SOURCES.map(|(name, ..)| format!("\\topic {name} partitions {partitions};"));
        let keys = &["a", "b", "c", "d"][..=random.below(4)];
        let records = SOURCES.map(|(name, kind, _)| world.records(random, name, kind == "TABLE", keys));
        let created = SOURCES.map(|(name, kind, key)| {
            let columns = format!("k STRING {key}, a INT, b STRING, d DOUBLE");
            format!("CREATE {kind} {name} ({columns}) WITH (KAFKA_TOPIC = '{name}', VALUE_FORMAT = 'JSON');")
        });
        world.statements = topics.into_iter().chain(records.into_iter().flatten()).chain(created).collect();
        world
    }

    /// The statement that writes the records of a topic; `None` if there are none.
    fn records(&self, random: &mut Random, topic: &str, is_table: bool, keys: &[&str]) -> Option<String> {
        let mut left = keys.to_vec();
        let (mut records, mut time_ms) = (Vec::new(), 0);
        for _ in 0..random.below(RECORDS_MAX + 1) {
            time_ms += random.below(self.span_ms / 8);
            let late_ms = if random.one_in(3) { random.below(self.span_ms / 2) } else { 0 };
            let mut key = Some(*random.pick(keys)).filter(|_| self.is_judged || !random.one_in(16));
            let is_deleted = random.one_in(if is_table { 5 } else { 25 });
            let value = if is_deleted { "null".to_owned() } else { format!("'{}'", self.value(random)) };
            let mut at_ms = time_ms.saturating_sub(late_ms);
            if is_table && self.has_fixed_tables {
                (key, at_ms) = (Some(left.pop()?), 0);
            }
            let key = key.map_or("null".to_owned(), |key| format!("'{key}'"));
            records.push(format!("key {key} value {value} timestamp {at_ms}"));
            if is_table && self.has_fixed_tables && left.is_empty() {
                break;
            }
        }
        (!records.is_empty()).then(|| format!("\\produce {topic} {};", records.join(",\n  ")))
    }

    /// The value of a record: some of its fields, some of them null.
    fn value(&self, random: &mut Random) -> String {
        if !self.is_judged && random.one_in(30) {
            return "nonsense".to_owned();
        }
        let mut fields = Vec::new();
        let number = random.below(15) as i64 - 5;
        let numbers = [number.to_string(), "null".to_owned()];
        let some = |random: &mut Random| !random.one_in(14);
        if some(random) {
            fields.push(format!("\"A\":{}", numbers[usize::from(random.one_in(7))]));
        }
        if some(random) {
            fields.push(format!("\"B\":{}", random.pick(&["null", "\"x\"", "\"y\"", "\"z\"", "\"a\"", "\"b\""])));
        }
        if some(random) {
            fields.push(format!("\"D\":{}", random.pick(&["null", "0.5", "1.25", "-2.0", "3.0"])));
        }
        format!("{{{}}}", fields.join(","))
    }
}
