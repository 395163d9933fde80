//! What Java 17 makes of these patterns and texts (checked against it), and what holds for all of them.

use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{FormatError, LegacyPattern, ParseError, Pattern, Zone};

/// 2025-11-21 in milliseconds since 1970 UTC, for years of two digits.
const NOW_MS: i64 = 1_763_700_000_000;

fn parse(pattern: &str, text: &str) -> Result<i64, ParseError> {
    Pattern::new(pattern).unwrap().parse_timestamp_ms(text, Tz::UTC)
}

fn format(pattern: &str, ms: i64, zone: &str) -> Result<String, FormatError> {
    let mut out = String::new();
    Pattern::new(pattern).unwrap().format_timestamp_ms(ms, Zone::of(zone).unwrap(), &mut out)?;
    Ok(out)
}

#[test]
fn timestamps_that_ksqldb_scripts_read() {
    let check = |pattern: &str, text: &str, ms: i64| assert_eq!(parse(pattern, text), Ok(ms), "{pattern} {text}");
    check("yyyy-MM-dd'T'HH:mm:ssX", "2018-05-11T21:58:33Z", 1_526_075_913_000);
    check("yyyy-MM-dd'T'HH:mm:ss.SX", "2019-08-27T13:31:09.2+0000", 1_566_912_669_200);
    check("yy-MM-dd HH:mm:ssX", "10-04-19 12:00:17Z", 1_271_678_417_000);
    check("yyyyMMddHHmmssSSS", "20180511215833007", 1_526_075_913_007);
    check("yyyy-MM-dd HH:mm:ss zzz", "2018-05-11 14:58:33 PDT", 1_526_075_913_000);
    check("yyyy-MM-dd[ HH:mm[:ss]]", "1970-01-02 01:00", 90_000_000);
    check("EEE, d MMM yyyy", "Fri, 2 Jan 1970", 86_400_000);
}

#[test]
fn what_a_text_lacks_is_the_beginning_of_1970() {
    assert_eq!(parse("HH:mm", "00:01"), Ok(60_000));
    assert_eq!(parse("yyyy", "1971"), Ok(31_536_000_000));
    assert_eq!(parse("MM-dd", "02-31"), parse("MM-dd", "02-28"));
    assert_eq!(parse("hh:mm", "03:00"), Ok(10_800_000));
    assert_eq!(parse("D", "366"), Err(ParseError::OutOfRange { field: "day of year", value: 366 }));
}

#[test]
fn a_zone_in_the_text_wins() {
    let pattern = Pattern::new("yyyy-MM-dd HH:mm[ VV][XXX]").unwrap();
    let oslo = Zone::from(Tz::Europe__Oslo);
    assert_eq!(pattern.parse_timestamp_ms("1970-01-01 01:00", oslo), Ok(0));
    assert_eq!(pattern.parse_timestamp_ms("1970-01-01 01:00 Asia/Tokyo", oslo), Ok(-8 * 3_600_000));
    assert_eq!(pattern.parse_timestamp_ms("1970-01-01 01:00+03:00", oslo), Ok(-2 * 3_600_000));
    assert_eq!(pattern.parse_timestamp_ms("1970-01-01 01:00 UTC-05:00", oslo), Ok(6 * 3_600_000));
}

#[test]
fn the_smart_resolver_ends_months_and_refuses_the_rest() {
    assert_eq!(parse("yyyy-MM-dd", "2019-04-31"), parse("yyyy-MM-dd", "2019-04-30"));
    assert_eq!(parse("yyyy-MM-dd", "2019-02-31"), parse("yyyy-MM-dd", "2019-02-28"));
    assert_eq!(parse("yyyy-MM-dd HH:mm", "2019-01-01 24:00"), parse("yyyy-MM-dd", "2019-01-02"));
    for (pattern, text) in [
        ("yyyy-MM-dd", "2019-04-32"),
        ("yyyy-MM-dd", "2019-13-01"),
        ("yyyy-MM-dd", "0000-01-01"),
        ("yyyy-DDD", "2019-366"),
        ("yyyy-MM-dd HH:mm", "2019-01-01 24:01"),
        ("yyyy-MM-dd EEE", "2019-01-01 Mon"),
        ("yyyy-MM-dd", "2019-01-01 "),
        ("yyyy-MM-dd", "2019-1-01"),
        ("yyyy-MM-dd", "12019-01-01"),
        ("d MMM yyyy", "1 JAN 2019"),
        ("d MMM yyyy", "1 January 2019"),
        ("HH:mmX", "01:00+24"),
        ("HH:mmX", "01:00+19"),
        ("yyyy", "２０１９"),
        ("d'é'", "1e"),
        ("", "x"),
    ] {
        assert!(parse(pattern, text).is_err(), "{pattern} {text}");
    }
}

#[test]
fn case_is_ignored_when_asked() {
    let pattern = Pattern::new("d MMM yyyy h a z").unwrap().ignoring_case();
    assert_eq!(pattern.parse_timestamp_ms("1 JAN 1970 1 pm utc", Tz::UTC), Ok(13 * 3_600_000));
}

#[test]
fn dates_and_times_alone() {
    let date = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().parse_date(text);
    assert_eq!(date("yyyy-MM-dd'Lit'", "2018-05-11Lit"), Ok(17_662));
    assert_eq!(date("dd-MMM-yyyy", "01-Jan-2022"), Ok(18_993));
    assert_eq!(date("yyyy-MM-dd HH", "2018-05-11 09"), Ok(17_662));
    assert_eq!(date("yyyy-MM", "2018-05"), Err(ParseError::Incomplete { wanted: "date" }));
    let time = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().parse_time_ms(text);
    assert_eq!(time("HHmmss", "002034"), Ok(1_234_000));
    assert_eq!(time("h:mm a", "12:30 AM"), Ok(1_800_000));
    assert_eq!(time("mm:ss", "20:34"), Err(ParseError::Incomplete { wanted: "time" }));
    assert_eq!(time("yyyy HH", "2018 09"), Err(ParseError::WrongKind { wanted: "time", found: "date" }));
}

#[test]
fn values_are_written_as_java_writes_them() {
    let ms = 1_526_075_913_007;
    let check = |pattern: &str, zone: &str, text: &str| assert_eq!(format(pattern, ms, zone).unwrap(), text);
    check("yyyy-MM-dd HH:mm:ss zzz", "America/Los_Angeles", "2018-05-11 14:58:33 PDT");
    check(
        "zzzz|v|vvvv|VV|O|OOOO|x",
        "Europe/London",
        "British Summer Time|BT|British Time|Europe/London|GMT+1|GMT+01:00|+01",
    );
    check("X XX XXX Z ZZZZZ", "UTC", "Z Z Z +0000 Z");
    check("G yy yyyyy u Q QQQ QQQQ", "UTC", "AD 18 02018 2018 2 Q2 2nd quarter");
    check("EEEEE e eee YYYY-'W'ww-W D F", "UTC", "F 6 Fri 2018-W19-2 131 4");
    check("h K k a B S SSSSSS n A", "UTC", "9 9 21 PM at night 0 007000 7000000 79113007");
    check("ppppd''[pppM]", "UTC", "  11'  5");
}

#[test]
fn a_part_that_the_value_lacks_is_an_error_outside_brackets() {
    let mut out = String::from("kept");
    let day = Pattern::new("yyyy-MM-dd HH").unwrap().format_date(0, &mut out);
    assert_eq!(day, Err(FormatError::Unsupported { field: "hour" }));
    let time = Pattern::new("HH:mm yyyy").unwrap().format_time_ms(0, &mut out);
    assert_eq!(time, Err(FormatError::Unsupported { field: "year" }));
    assert_eq!(out, "kept");
    Pattern::new("/yyyy[ HH]").unwrap().format_date(17_662, &mut out).unwrap();
    Pattern::new("/HH_mm_ss_SSS[ d]").unwrap().format_time_ms(65_000, &mut out).unwrap();
    assert_eq!(out, "kept/2018/00_01_05_000");
    assert!(Pattern::new("HH").unwrap().format_time_ms(-1, &mut out).is_err());
    assert!(Pattern::new("ppMMM").unwrap().format_date(0, &mut out).is_err());
}

#[test]
fn older_patterns_are_lenient() {
    let date = |pattern: &str, text: &str| LegacyPattern::new(pattern, NOW_MS).unwrap().parse_date(text);
    assert_eq!(date("yyyy-MM-dd'Lit'", "2018-05-11Lit"), Ok(17_662));
    assert_eq!(date("dd-MMM-yyyy", "01-JAN-2022"), Ok(18_993));
    assert_eq!(date("MMM-yyyy", "JAN-2022"), Ok(18_993));
    assert_eq!(date("yyyyMMdd", "20220101 and more"), Ok(18_993));
    assert_eq!(date("yyyy-MM-dd", "2021-13-01"), Ok(18_993));
    assert_eq!(date("d/M/yy", "1/1/22"), Ok(18_993));
    assert_eq!(date("d/M/yy", "1/1/60"), Ok(-3_653));
    assert_eq!(date("yyyy-MM-dd", "1582-10-04"), Ok(-141_428));
    assert_eq!(date("YYYY-MM-dd", "2018-05-11"), Ok(17_531));
    let timed = date("yyyy-MM-dd HH:mm", "2018-05-11 00:01");
    assert_eq!(timed, Err(ParseError::WrongKind { wanted: "date", found: "time" }));
    for (pattern, text) in [("yyyy-MM-dd", "2018/05/11"), ("yyyy", ""), ("MMM", "13"), ("é", "e"), ("d", "99999999999")]
    {
        assert!(date(pattern, text).is_err(), "{pattern} {text}");
    }
    for pattern in ["b", "XXXX", "'open", "c"] {
        assert!(LegacyPattern::new(pattern, NOW_MS).is_err(), "{pattern}");
    }
}

const SEED: u64 = 20_180_511;
const ZONES: [&str; 6] = ["UTC", "America/Los_Angeles", "Asia/Kolkata", "+01:30", "Australia/Sydney", "Pacific/Apia"];

/// Goal: what is written is read as the same. Method: patterns that say a whole instant, random instants and zones.
#[test]
fn what_is_written_is_read_as_the_same() {
    let patterns = [
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXXXX",
        "yyyyMMddHHmmssSSSXXXX",
        "EEEE, d MMMM uuuu h:mm:ss.SSS a ZZZZZ",
        "YYYY ww e A OOOO",
        "G yyyy D N xxxxx",
        "g k:m:s n XXXXX",
        "yyyy-MM-W EEE pppppH:mm:ss.SSS ZZZZZ VV",
    ];
    let mut random = StdRng::seed_from_u64(SEED);
    for round in 0..20_000 {
        let pattern = Pattern::new(patterns[round % patterns.len()]).unwrap();
        let zone = Zone::of(ZONES[random.random_range(0..ZONES.len())]).unwrap();
        let ms = random.random_range(-62_000_000_000_000..95_000_000_000_000);
        let mut text = String::new();
        pattern.format_timestamp_ms(ms, zone, &mut text).unwrap();
        assert_eq!(pattern.parse_timestamp_ms(&text, Zone::UTC), Ok(ms), "seed {SEED}: {pattern:?} {text}");
    }
}

/// Goal: no pattern and no text breaks anything. Method: random ones from the letters that mean something.
#[test]
fn nonsense_is_refused_without_a_panic() {
    let letters: Vec<char> = "GuyDMLdQqYwWEecFaBhKkHmsSAnNVvzOXxZpg'[]#-:. 0129+GMTUPé€".chars().collect();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut nonsense = || -> String {
        let length = random.random_range(0..12);
        (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
    };
    for _ in 0..50_000 {
        let (pattern, text) = (nonsense(), nonsense());
        let mut out = String::new();
        if let Ok(pattern) = Pattern::new(&pattern) {
            let _ = pattern.parse_timestamp_ms(&text, Zone::UTC);
            let _ = pattern.format_timestamp_ms(i64::MAX, Zone::UTC, &mut out);
            let _ = pattern.parse_timestamp_ms(&out, Zone::UTC);
            let _ = pattern.clone().ignoring_case().parse_time_ms(&text);
        }
        if let Ok(pattern) = LegacyPattern::new(&pattern, NOW_MS) {
            let _ = pattern.parse_date(&text);
        }
        let _ = Zone::of(&text);
        let _ = super::iso::parse_partial_iso_timestamp_ms(&text);
        let _ = super::iso::parse_iso_time_ms(&text);
    }
}
