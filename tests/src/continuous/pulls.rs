//! Conditions of pull queries: on keys, on the bounds of windows, and on other columns.

use super::queries::Made;
use crate::random::Random;

/// A condition on the table of a query; `None` for a stream.
pub(super) fn any(random: &mut Random, made: &Made) -> Option<String> {
    let keys = &made.keys[..];
    let mut conditions: Vec<String> = keys.iter().map(|key| on_key(random, key)).collect();
    if conditions.len() > 1 && random.one_in(5) {
        conditions.truncate(1);
    }
    if made.is_windowed && !random.one_in(3) {
        let bound = random.pick(&[
            "WINDOWSTART = ",
            "WINDOWSTART >= ",
            "WINDOWEND <= ",
            "WINDOWSTART BETWEEN 0 AND ",
            "WINDOWEND > ",
        ]);
        conditions.push(format!("{bound}{}", random.pick(&[0, 400, 2_000, 4_000, 6_666, 10_000, 20_000])));
    }
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

fn on_key(random: &mut Random, key: &str) -> String {
    let value = match key {
        "a" => (random.below(15) as i64 - 5).to_string(),
        _ => format!("'{}'", random.pick(&["a", "b", "x", "y"])),
    };
    match random.below(5) {
        0 => format!("{key} IN ({value}, NULL)"),
        1 => format!("{key} >= {value}"),
        2 => format!("NOT ({key} = {value})"),
        _ => format!("{key} = {value}"),
    }
}
