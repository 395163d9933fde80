//! Dates, times and timestamps.
//!
//! Patterns are those of Java's `DateTimeFormatter` ([`headwater_formats::java_time`]), except in PARSE_DATE, which
//! uses those of the older `SimpleDateFormat`. Timestamps are shown in UTC unless a time zone is given; ksqlDB's
//! older functions on BIGINT use the server's time zone, which is UTC here.

mod add;
mod format;
mod number;
mod parse;
mod unit;

use super::signature::Category::DateTime;
use super::signature::Type::{BigInt, Date, Int, String, Time, Timestamp, Unit};
use super::signature::{Function, Param, Variant, p};

pub use unit::{ADDING, UNIT_CALL, UNITS, UnitCall, is_unit_word};

const ZONED: &str = "The zone is a name such as Europe/Oslo, or an offset such as +02:00.";

const DATE_PATTERN: &[Param] = &[p("date", Date), p("pattern", String)];
const TIME_PATTERN: &[Param] = &[p("time", Time), p("pattern", String)];
const TIMESTAMP_PATTERN: &[Param] = &[p("timestamp", Timestamp), p("pattern", String)];
const TIMESTAMP_ZONE: &[Param] = &[p("timestamp", Timestamp), p("pattern", String), p("zone", String)];
const TEXT_PATTERN: &[Param] = &[p("text", String), p("pattern", String)];
const TEXT_ZONE: &[Param] = &[p("text", String), p("pattern", String), p("zone", String)];

/// A function that adds to a date, a time or a timestamp.
macro_rules! moves {
    ($name:literal, $about:literal, $ty:expr, $kernel:expr, $($example:expr),*) => {
        Function::new(
            $name,
            DateTime,
            $about,
            &[Variant::new(&[p("unit", Unit), p("count", Int), p("value", $ty)], $ty, $kernel)],
            &[$($example),*],
        )
    };
}

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "UNIX_TIMESTAMP",
        DateTime,
        "A timestamp as milliseconds since the epoch (1970-01-01 UTC). Without an argument, the current time: when a bounded query started, or when a continuous query read the record.",
        &[
            Variant::new(&[], BigInt, number::now_ms),
            Variant::new(&[p("timestamp", Timestamp)], BigInt, number::itself),
        ],
        &[("UNIX_TIMESTAMP(FROM_UNIXTIME(1589234313000))", "1589234313000")],
    ),
    Function::new(
        "UNIX_DATE",
        DateTime,
        "A date as days since 1970-01-01. Without an argument, the current date in UTC.",
        &[Variant::new(&[], Int, number::today), Variant::new(&[p("date", Date)], Int, number::itself)],
        &[("UNIX_DATE(FROM_DAYS(18765))", "18765")],
    ),
    Function::new(
        "FROM_UNIXTIME",
        DateTime,
        "The timestamp this many milliseconds after the epoch (1970-01-01 UTC).",
        &[Variant::new(&[p("milliseconds", BigInt)], Timestamp, number::itself)],
        &[("FROM_UNIXTIME(1589234313000)", "2020-05-11T21:58:33.000")],
    ),
    Function::new(
        "FROM_DAYS",
        DateTime,
        "The date this many days after 1970-01-01.",
        &[Variant::new(&[p("days", Int)], Date, number::itself)],
        &[("FROM_DAYS(18765)", "2021-05-18")],
    ),
    Function::new(
        "FORMAT_DATE",
        DateTime,
        "A date formatted with a pattern.",
        &[Variant::new(DATE_PATTERN, String, format::date)],
        &[("FORMAT_DATE(FROM_DAYS(18765), 'dd.MM.yyyy')", "18.05.2021")],
    ),
    Function::new(
        "FORMAT_TIME",
        DateTime,
        "A time formatted with a pattern.",
        &[Variant::new(TIME_PATTERN, String, format::time)],
        &[("FORMAT_TIME(PARSE_TIME('10:11', 'HH:mm'), 'h.mm a')", "10.11 AM")],
    ),
    Function::new(
        "FORMAT_TIMESTAMP",
        DateTime,
        "A timestamp formatted with a pattern, in UTC or another time zone.",
        &[
            Variant::new(TIMESTAMP_PATTERN, String, format::timestamp),
            Variant::new(TIMESTAMP_ZONE, String, format::timestamp).about(ZONED),
        ],
        &[(
            "FORMAT_TIMESTAMP(FROM_UNIXTIME(1526075913000), 'yyyy-MM-dd HH:mm zzz', 'America/Los_Angeles')",
            "2018-05-11 14:58 PDT",
        )],
    ),
    Function::new(
        "PARSE_DATE",
        DateTime,
        "The date parsed from a text with a pattern of Java's SimpleDateFormat. Two-digit years are 1945 to 2044.",
        &[Variant::new(TEXT_PATTERN, Date, parse::date)],
        &[("PARSE_DATE('18.05.2021', 'dd.MM.yyyy')", "2021-05-18")],
    ),
    Function::new(
        "PARSE_TIME",
        DateTime,
        "The time parsed from a text with a pattern.",
        &[Variant::new(TEXT_PATTERN, Time, parse::time)],
        &[("PARSE_TIME('10.11 PM', 'hh.mm a')", "22:11")],
    ),
    Function::new(
        "PARSE_TIMESTAMP",
        DateTime,
        "The timestamp parsed from a text with a pattern, in UTC or another time zone unless the text contains one. Missing parts are taken from 1970-01-01T00:00.",
        &[
            Variant::new(TEXT_PATTERN, Timestamp, parse::timestamp),
            Variant::new(TEXT_ZONE, Timestamp, parse::timestamp).about(ZONED),
        ],
        &[(
            "PARSE_TIMESTAMP('2018-05-11 14:58', 'yyyy-MM-dd HH:mm', 'America/Los_Angeles')",
            "2018-05-11T21:58:00.000",
        )],
    ),
    Function::new(
        "CONVERT_TZ",
        DateTime,
        "A timestamp converted from one time zone to another.",
        &[Variant::new(
            &[p("timestamp", Timestamp), p("from_zone", String), p("to_zone", String)],
            Timestamp,
            number::convert_tz,
        )
        .about(ZONED)],
        &[(
            "CONVERT_TZ(FROM_UNIXTIME(1589234313000), 'America/Los_Angeles', 'America/New_York')",
            "2020-05-12T00:58:33.000",
        )],
    ),
    moves!(
        "DATEADD",
        "The date this many DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS later. Fractions of a day are dropped.",
        Date,
        add::date_add,
        ("DATEADD(DAYS, 5, FROM_DAYS(18765))", "2021-05-23")
    ),
    moves!(
        "DATESUB",
        "The date this many DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS earlier. Fractions of a day are dropped.",
        Date,
        add::date_sub,
        ("DATESUB(DAYS, 5, FROM_DAYS(18765))", "2021-05-13")
    ),
    moves!(
        "TIMEADD",
        "The time this many DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS later, wrapping around at midnight.",
        Time,
        add::time_add,
        ("TIMEADD(HOURS, 3, PARSE_TIME('22:30', 'HH:mm'))", "01:30")
    ),
    moves!(
        "TIMESUB",
        "The time this many DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS earlier, wrapping around at midnight.",
        Time,
        add::time_sub,
        ("TIMESUB(HOURS, 3, PARSE_TIME('01:30', 'HH:mm'))", "22:30")
    ),
    moves!(
        "TIMESTAMPADD",
        "The timestamp this many DAYS (of 24 hours), HOURS, MINUTES, SECONDS or MILLISECONDS later.",
        Timestamp,
        add::timestamp_add,
        ("TIMESTAMPADD(SECONDS, 10, FROM_UNIXTIME(0))", "1970-01-01T00:00:10.000")
    ),
    moves!(
        "TIMESTAMPSUB",
        "The timestamp this many DAYS (of 24 hours), HOURS, MINUTES, SECONDS or MILLISECONDS earlier.",
        Timestamp,
        add::timestamp_sub,
        ("TIMESTAMPSUB(SECONDS, 10, FROM_UNIXTIME(10000))", "1970-01-01T00:00:00.000")
    ),
    Function::new(
        "DATETOSTRING",
        DateTime,
        "Days since 1970-01-01 formatted with a pattern. For a DATE, use FORMAT_DATE.",
        &[Variant::new(&[p("days", Int), p("pattern", String)], String, format::date_of_days)],
        &[("DATETOSTRING(18765, 'yyyy-MM-dd')", "2021-05-18")],
    ),
    Function::new(
        "STRINGTODATE",
        DateTime,
        "The date parsed from a text with a pattern, as days since 1970-01-01. For a DATE, use PARSE_DATE.",
        &[Variant::new(TEXT_PATTERN, Int, parse::days)],
        &[("STRINGTODATE('2021-05-18', 'yyyy-MM-dd')", "18765")],
    ),
    Function::new(
        "TIMESTAMPTOSTRING",
        DateTime,
        "Milliseconds since the epoch formatted with a pattern, in UTC or another time zone. For a TIMESTAMP, use FORMAT_TIMESTAMP.",
        &[
            Variant::new(&[p("milliseconds", BigInt), p("pattern", String)], String, format::timestamp_of_ms),
            Variant::new(
                &[p("milliseconds", BigInt), p("pattern", String), p("zone", String)],
                String,
                format::timestamp_of_ms,
            )
            .about(ZONED),
        ],
        &[("TIMESTAMPTOSTRING(1526075913000, 'yyyy-MM-dd HH:mm:ss', 'Europe/London')", "2018-05-11 22:58:33")],
    ),
    Function::new(
        "STRINGTOTIMESTAMP",
        DateTime,
        "The timestamp parsed from a text with a pattern, as milliseconds since the epoch. For a TIMESTAMP, use PARSE_TIMESTAMP.",
        &[Variant::new(TEXT_PATTERN, BigInt, parse::ms), Variant::new(TEXT_ZONE, BigInt, parse::ms).about(ZONED)],
        &[("STRINGTOTIMESTAMP('2018-05-11 21:58:33', 'yyyy-MM-dd HH:mm:ss')", "1526075913000")],
    ),
];
