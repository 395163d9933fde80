//! The list of properties, in the order in which SHOW PROPERTIES prints them.

/// The name of the property that decides whether quotients of DECIMALs are rounded.
pub const DECIMAL_DIVISION: &str = "decimal.division";

/// The name of the property that limits the memory for state.
pub const STATE_MEMORY: &str = "query.state.memory.max";

/// A property that can be set.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its name in ksqlDB, which is accepted as an alias.
    pub alias: Option<&'static str>,
    /// Its value when it is not set; empty for none.
    pub default: &'static str,
    /// The values it accepts.
    pub kind: ValueKind,
    /// Its description.
    pub about: &'static str,
}

/// The kind of values that a property accepts.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// Any non-empty text.
    Text,
    /// A part of a topic's name: letters, digits, `.`, `_` and `-`, at most 200.
    TopicPart,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The beginning of a topic's name, which may be empty: letters, digits, `.`, `_` and `-`, at most 100.
    TopicPrefix,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A number of bytes such as `256MB`, and the minimum.
    Bytes(usize),
    /// A number of bytes, with a minimum, or a part of the machine's memory such as `25%`.
    Memory(usize),
    /// `true` or `false`.
    Boolean,
}

/// All properties, also those that are hidden.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: "service.id",
        alias: Some("ksql.service.id"),
        default: "default_",
        kind: ValueKind::TopicPart,
        about: "Names the catalog: processes with the same id see the same streams and tables. Can only be set at startup.",
    },
    Property {
        name: "isolation.level",
        alias: None,
        default: "read_committed",
        kind: ValueKind::OneOf(&["read_committed", "read_uncommitted"]),
        about: "Whether queries see only committed records, or also those of open and aborted transactions.",
    },
    Property {
        name: "query.lost.records",
        alias: None,
        default: "error",
        kind: ValueKind::OneOf(&["error", "note"]),
        about: "What happens when records are deleted while a bounded query reads them: the query fails, or prints a note below its rows.",
    },
    Property {
        name: "query.memory.max",
        alias: None,
        default: "256MB",
        kind: ValueKind::Bytes(16 << 20),
        about: "Memory for the sorts, joins and groups of one bounded query, which spill to disk beyond it. At least 16MB.",
    },
    Property {
        name: STATE_MEMORY,
        alias: None,
        default: "25%",
        kind: ValueKind::Memory(16 << 20),
        about: "Memory for the state of all persistent queries of this process, which is moved to disk beyond it: a number of bytes, at least 16MB, or a part of the machine's memory. Can only be set at startup.",
    },
    Property {
        name: "query.disk.max",
        alias: None,
        default: "50GB",
        kind: ValueKind::Bytes(1),
        about: "Disk space for what one bounded query spills.",
    },
    Property {
        name: "query.partitions",
        alias: None,
        default: "0",
        kind: ValueKind::Integer(0, 1024),
        about: "How many parts of a bounded query run in parallel; 0 means one for each processor.",
    },
    Property {
        name: "query.optimizer.off",
        alias: None,
        default: "",
        kind: ValueKind::Text,
        about: "Optimizer rules to disable for bounded queries, separated by commas, or 'all' for every rule that can be disabled. Use it to find a rule that breaks a query, and to run the query without that rule.",
    },
    Property {
        name: "collect_list.limit",
        alias: Some("ksql.functions.collect_list.limit"),
        default: "2147483647",
        kind: ValueKind::Integer(0, 2_147_483_647),
        about: "The maximum length of a COLLECT_LIST result; values of later records are dropped.",
    },
    Property {
        name: "collect_set.limit",
        alias: Some("ksql.functions.collect_set.limit"),
        default: "2147483647",
        kind: ValueKind::Integer(0, 2_147_483_647),
        about: "The maximum length of a COLLECT_SET result; values of later records are dropped.",
    },
    Property {
        name: "default.format.key",
        alias: Some("ksql.persistence.default.format.key"),
        default: "KAFKA",
        kind: ValueKind::Text,
        about: "The KEY_FORMAT of declarations that do not specify one.",
    },
    Property {
        name: "default.format.value",
        alias: Some("ksql.persistence.default.format.value"),
        default: "",
        kind: ValueKind::Text,
        about: "The VALUE_FORMAT of declarations that do not specify one.",
    },
    Property {
        name: "wrap.single.values",
        alias: Some("ksql.persistence.wrap.single.values"),
        default: "",
        kind: ValueKind::Boolean,
        about: "The WRAP_SINGLE_VALUE of declarations that do not specify one.",
    },
    Property {
        name: "auto.offset.reset",
        alias: None,
        default: "latest",
        kind: ValueKind::OneOf(&["earliest", "latest"]),
        about: "Where a continuous query starts to read. A query that writes to a topic starts at the earliest record unless this is set; bounded queries read everything.",
    },
    Property {
        name: "processing.guarantee",
        alias: None,
        default: "exactly_once",
        kind: ValueKind::OneOf(&["exactly_once", "exactly_once_v2", "at_least_once"]),
        about: "What new persistent queries guarantee when a process or broker fails.",
    },
    Property {
        name: "commit.interval.ms",
        alias: None,
        default: "1000",
        kind: ValueKind::Integer(10, 10_000),
        about: "How often new persistent queries commit; their rows become visible to readers with the commit.",
    },
    Property {
        name: "cache.max.bytes.buffering",
        alias: Some("ksql.streams.cache.max.bytes.buffering"),
        default: "10485760",
        kind: ValueKind::Integer(0, i64::MAX),
        about: "0: new persistent queries write every change of a table; otherwise the last change per key and commit.",
    },
    Property {
        name: "query.threads",
        alias: Some("ksql.streams.num.stream.threads"),
        default: "0",
        kind: ValueKind::Integer(0, 256),
        about: "How many partitions a new persistent query processes at the same time; 0 means one for each processor. Threads that read and write are not counted.",
    },
    Property {
        name: "output.topic.name.prefix",
        alias: Some("ksql.output.topic.name.prefix"),
        default: "",
        kind: ValueKind::TopicPrefix,
        about: "A prefix for the names of topics that CREATE … AS creates, unless KAFKA_TOPIC names the topic.",
    },
    Property {
        name: "timestamp.throw.on.invalid",
        alias: Some("ksql.timestamp.throw.on.invalid"),
        default: "false",
        kind: ValueKind::Boolean,
        about: "Whether a record without a valid time in its TIMESTAMP column stops a new continuous query instead of being skipped.",
    },
    Property {
        name: "source.table.materialization.enabled",
        alias: Some("ksql.source.table.materialization.enabled"),
        default: "true",
        kind: ValueKind::Boolean,
        about: "Whether a query keeps the rows of each new SOURCE TABLE, so that they can be read by key.",
    },
    Property {
        name: DECIMAL_DIVISION,
        alias: None,
        default: "round",
        kind: ValueKind::OneOf(&["round", "exact"]),
        about: "What happens to a quotient of DECIMALs that has more digits than its type: it is rounded half up, or is NULL as in ksqlDB. A persistent query keeps the value with which it was created.",
    },
];

impl Property {
    /// True when `name` is the property's name or its alias.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

impl ValueKind {
    /// Whether `value` is accepted, and a description of the values that are.
    pub fn check(self, value: &str) -> Result<(), String> {
        let (good, expected) = match self {
            Self::Text => (!value.is_empty(), "a non-empty text".to_owned()),
            Self::TopicPart => {
                let legal = value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
                let good = legal && (1..=200).contains(&value.len());
                (good, "letters, digits, '.', '_' and '-', at most 200 characters".to_owned())
            }
            Self::TopicPrefix => {
                let good = value.len() <= 100 && value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
                (good, "letters, digits, '.', '_' and '-', at most 100 characters, or an empty text".to_owned())
            }
            Self::OneOf(words) => (words.contains(&value), words.join(" or ")),
            Self::Integer(min, max) => {
                let inside = value.parse::<i64>().is_ok_and(|v| (min..=max).contains(&v));
                (inside, format!("a whole number from {min} to {max}"))
            }
            Self::Bytes(min) => {
                let least = if min >= 1 << 20 { format!(", at least {}MB", min >> 20) } else { String::new() };
                let good = parse_bytes(value).is_some_and(|bytes| bytes >= min);
                (good, format!("a number of bytes such as 33554432, 256MB or 2GB{least}"))
            }
            Self::Memory(min) => {
                let good = match parse_percent(value) {
                    Some(percent) => (1..=100).contains(&percent),
                    None => parse_bytes(value).is_some_and(|bytes| bytes >= min),
                };
                let least = min >> 20;
                (
                    good,
                    format!(
                        "a number of bytes such as 256MB or 2GB, at least {least}MB, or a part of the memory such as 25%"
                    ),
                )
            }
            Self::Boolean => (matches!(value, "true" | "false"), "true or false".to_owned()),
        };
        if good { Ok(()) } else { Err(expected) }
    }
}

/// `25%` or `25 %`, at most 255.
pub fn parse_percent(text: &str) -> Option<u8> {
    text.trim().strip_suffix('%')?.trim().parse().ok()
}

/// `1048576`, `256MB`, `2 GB`; units are powers of 1024.
pub fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim().to_uppercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KB" | "K" => 1 << 10,
        "MB" | "M" => 1 << 20,
        "GB" | "G" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<usize>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}
