//! Every example of the documentation, evaluated.

use chrono::DateTime;

use headwater_expression::{Evaluator, session};
use headwater_functions::{Category, all, find};
use headwater_language::config::Settings;
use headwater_language::diagnostic::Span;
use headwater_language::sql::parse_expr;

use crate::shown::shown;

/// A time for what gives the time.
const NOW_MS: i64 = 1_700_000_000_000;

fn evaluate(text: &str) -> Result<String, String> {
    let now = DateTime::from_timestamp_millis(NOW_MS).expect("a time");
    let evaluator = Evaluator::new(session(&Settings::default()), now);
    let expr = parse_expr(text).map_err(|e| e.to_string())?;
    let value = evaluator.evaluate(&expr, Span::default()).map_err(|e| {
        e.into_iter().map(|e| format!("{} {}", e.message, e.detail.unwrap_or_default())).collect::<String>()
    })?;
    Ok(shown(&value))
}

#[test]
fn every_example_gives_what_it_says() {
    let mut wrong = Vec::new();
    for function in all() {
        // A table function is no expression by itself; queries/functions/table.test has it.
        let needs_example = function.category != Category::Table;
        assert!(!needs_example || !function.examples.is_empty(), "{} has an example", function.name);
        for (example, expected) in function.examples {
            match evaluate(example) {
                Ok(found) if found == *expected => {}
                Ok(found) => wrong.push(format!("{example} is {found}, not {expected}")),
                Err(error) => wrong.push(format!("{example}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_are_distinct_and_found_in_any_case() {
    let mut names: Vec<&str> = all().map(|function| function.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(find("array_Length").is_some() && find("ARRAY_LENGHT").is_none());
}

#[test]
fn present_time_is_that_of_the_query() {
    assert_eq!(evaluate("UNIX_TIMESTAMP()").as_deref(), Ok("1700000000000"));
    assert_eq!(evaluate("UNIX_DATE()").as_deref(), Ok("19675"));
}
