//! Logical types: which one the attributes of a type give it. Connect's own names for them are understood, too, and those of
//! Debezium.

use serde_json::{Map, Value};

use super::schema::{Kind, Logical, Unit, ZONED_TIME, ZONED_TIMESTAMP};

/// The digits of a decimal that does not say how many it has, as in ksqlDB.
const DECIMAL_DIGITS: u32 = 64;

/// The logical type that an object gives to a type; `None` if there is none, or one that is not valid for the type,
/// which is ignored, as the specification says.
pub(super) fn of(kind: &Kind, object: &Map<String, Value>) -> Option<Logical> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    match text("logicalType") {
        Some(name) => named(kind, name, object),
        None => match (of_connect(text("connect.name")?)?, object.get("connect.parameters")) {
            ("decimal", Some(Value::Object(parameters))) => named(kind, "decimal", &parameters_of_decimal(parameters)),
            (name, _) => named(kind, name, object),
        },
    }
}

/// The attributes that Avro has for a decimal of Connect, whose parameters are texts.
fn parameters_of_decimal(parameters: &Map<String, Value>) -> Map<String, Value> {
    let names = [("precision", "connect.decimal.precision"), ("scale", "scale")];
    let attribute = |(avro, connect): (&str, &str)| {
        let given = parameters.get(connect)?;
        // What is no number stays what it is, and makes the type invalid.
        let digits = given.as_str().and_then(|text| text.parse::<i64>().ok());
        Some((avro.to_owned(), digits.map_or_else(|| given.clone(), Value::from)))
    };
    names.into_iter().filter_map(attribute).collect()
}

fn named(kind: &Kind, name: &str, object: &Map<String, Value>) -> Option<Logical> {
    Some(match (kind, name) {
        (Kind::Bytes | Kind::Fixed(_), "decimal") => return decimal(object),
        (Kind::Int, "date") => Logical::Date,
        (Kind::Int, "time-millis") => Logical::TimeMillis,
        (Kind::Long, "time-micros") => Logical::TimeMicros,
        (Kind::Long, "timestamp-millis") => Logical::Timestamp(Unit::Millis),
        (Kind::Long, "timestamp-micros") => Logical::Timestamp(Unit::Micros),
        (Kind::Long, "timestamp-nanos") => Logical::Timestamp(Unit::Nanos),
        (Kind::Long, "local-timestamp-millis") => Logical::LocalTimestamp(Unit::Millis),
        (Kind::Long, "local-timestamp-micros") => Logical::LocalTimestamp(Unit::Micros),
        (Kind::Long, "local-timestamp-nanos") => Logical::LocalTimestamp(Unit::Nanos),
        (Kind::String, "uuid") => Logical::Uuid,
        (Kind::String, ZONED_TIMESTAMP) => Logical::ZonedTimestamp,
        (Kind::String, ZONED_TIME) => Logical::ZonedTime,
        (Kind::Fixed(fixed), "uuid") if fixed.size == 16 => Logical::Uuid,
        _ => return None,
    })
}

/// Avro's name for a logical type of Connect or Debezium, or its own name if Avro has no such type.
fn of_connect(name: &str) -> Option<&'static str> {
    Some(match name {
        "org.apache.kafka.connect.data.Decimal" => "decimal",
        "org.apache.kafka.connect.data.Date" | "io.debezium.time.Date" => "date",
        "org.apache.kafka.connect.data.Time" | "io.debezium.time.Time" => "time-millis",
        "io.debezium.time.MicroTime" => "time-micros",
        "org.apache.kafka.connect.data.Timestamp" | "io.debezium.time.Timestamp" => "timestamp-millis",
        "io.debezium.time.MicroTimestamp" => "timestamp-micros",
        "io.debezium.time.NanoTimestamp" => "timestamp-nanos",
        ZONED_TIMESTAMP => ZONED_TIMESTAMP,
        ZONED_TIME => ZONED_TIME,
        _ => return None,
    })
}

fn decimal(object: &Map<String, Value>) -> Option<Logical> {
    let digits = |name: &str, default: u32| match object.get(name) {
        None => Some(default),
        Some(given) => given.as_u64().and_then(|digits| u32::try_from(digits).ok()),
    };
    let (precision, scale) = (digits("precision", DECIMAL_DIGITS)?, digits("scale", 0)?);
    (precision > 0 && scale <= precision).then_some(Logical::Decimal(precision, scale))
}
