//! Compares the output of a command with a page, ignoring what differs between runs.
//!
//! Both sides are normalized: times of day, durations, rates and loopback ports are replaced by names, and runs of
//! spaces or of line-drawing characters by a single one, because a longer duration widens its column. In the expected
//! text, a line that is only `...` or `…` matches any number of lines.

use std::sync::LazyLock;

use regex::Regex;

/// The patterns and their replacements, in this order.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}([.,]\d+)?Z?", "<time>"),
        (r"\b1[6-9]\d{11}\b", "<time>"),
        (r"\d[\d,.]*\s?[kM]?(B|iB| records)?/s\b", "<rate>"),
        (r"\b\d[\d,.]*\s?(ns|µs|us|ms|s|min)\b", "<duration>"),
        (r"\b(127\.0\.0\.1|localhost):\d+", "<address>"),
        (r"─+", "─"),
        (r"-{2,}", "-"),
        (r"={2,}", "="),
        (r"[ \t]+", " "),
    ];
    rules.map(|(pattern, name)| (Regex::new(pattern).expect("a pattern written here"), name)).into()
});

/// Whether the printed text matches the expected one.
pub fn agrees(expected: &str, printed: &str) -> bool {
    let expected = lines(expected);
    let printed = lines(printed);
    matches(&expected, &printed)
}

/// The normalized lines of a text, without blank lines at its ends.
fn lines(text: &str) -> Vec<String> {
    text.trim().lines().map(normal).collect()
}

fn normal(line: &str) -> String {
    let line = RULES.iter().fold(line.to_owned(), |line, (rule, name)| rule.replace_all(&line, *name).into_owned());
    line.trim_end().to_owned()
}

fn matches(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any == "..." || any == "…" => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed.first() == Some(line) && matches(rest, &printed[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_between_runs_are_ignored() {
        let same = [
            ("3 rows in 12 ms; read 50,000 records (1,200,000/s)", "3 rows in 1.250 s; read 50,000 records (40,000/s)"),
            ("| 2026-01-02 03:04:05 | 7 |", "| 2026-11-21T08:00:00.123 | 7 |"),
            ("broker on 127.0.0.1:29092", "broker on 127.0.0.1:31000"),
            ("+----+-------+", "+-----+------+"),
            ("a   b", "a b"),
            ("time 1700000000000", "time 1763711111222"),
        ];
        for (expected, printed) in same {
            assert!(agrees(expected, printed), "{expected:?} is not {printed:?}");
        }
    }

    #[test]
    fn real_differences_are_found() {
        for (expected, printed) in
            [("1 row", "2 rows"), ("read 50,000 records", "read 49,999 records"), ("a", "a\nb"), ("a\nb", "a")]
        {
            assert!(!agrees(expected, printed), "{expected:?} is {printed:?}");
        }
    }

    #[test]
    fn dots_match_any_lines() {
        for printed in ["a\nb", "a\nx\nb", "a\nb\nb"] {
            assert!(agrees("a\n...\nb", printed));
        }
        assert!(!agrees("a\n…\nb", "a\nx"));
    }
}
