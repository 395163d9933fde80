//! Reports the results of a run: for people, for programs, and for the floor, below which counts may not fall.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::case::Case;
use crate::run::{Outcome, Status, counts};
use crate::subset;

/// A case and its outcome.
pub type Judged = (Case, Outcome);

/// The counts of each file, and if requested, why cases did not pass.
pub fn print(judged: &[Judged], is_verbose: bool) {
    let mut files: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    judged.iter().for_each(|one| files.entry(&one.0.file).or_default().push(one));
    for (file, cases) in files {
        println!("{file}: {}", words(counts(cases.iter().map(|(_, outcome)| outcome))));
        for (case, outcome) in cases.iter().filter(|(_, outcome)| is_verbose && is_notable(outcome)) {
            print!("{}", described(case, outcome));
        }
    }
}

/// The last line.
pub fn print_total(judged: &[Judged]) {
    println!("{}", words(counts(judged.iter().map(|(_, outcome)| outcome))));
}

fn words([passed, failed, unsupported, excluded]: [usize; 4]) -> String {
    format!("{passed} passed, {failed} failed, {unsupported} unsupported, {excluded} excluded")
}

/// Cases that failed, and those that passed with a different error message than ksqlDB's.
fn is_notable(outcome: &Outcome) -> bool {
    match outcome.status {
        Status::Passed => outcome.refused && !outcome.same_complaint,
        Status::Failed | Status::Unsupported => true,
        Status::Excluded => false,
    }
}

fn described(case: &Case, outcome: &Outcome) -> String {
    let how = if outcome.refused { "different message" } else { word(outcome.status) };
    let mut text = format!("  {how}: {}\n", case.title());
    for line in outcome.reason.lines() {
        let _ = writeln!(text, "    {line}");
    }
    for line in case.statements.iter().flat_map(|statement| statement.lines()) {
        let _ = writeln!(text, "    | {line}");
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::Unsupported => "unsupported",
        Status::Excluded => "excluded",
    }
}

/// The figures of the parts of the dialect that are counted separately.
pub fn print_summary(judged: &[Judged]) {
    for (what, part) in parts(judged) {
        let share = |count: usize| 100.0 * count as f64 / part.of.max(1) as f64;
        print!("{what}: {} of {} ({:.1} %)", part.good, part.of, share(part.good));
        match part.same {
            Some(same) => println!(", with the same objects in the message {same} ({:.1} %)", share(same)),
            None => println!(),
        }
    }
}

struct Part {
    of: usize,
    good: usize,
    same: Option<usize>,
}

fn parts(judged: &[Judged]) -> Vec<(&'static str, Part)> {
    let part = |wanted: &dyn Fn(&Judged) -> bool| {
        let chosen: Vec<&Judged> = judged.iter().filter(|one| wanted(one)).collect();
        Part { of: chosen.len(), good: counts(chosen.iter().map(|(_, o)| o))[0], same: None }
    };
    let is_simple = |case: &Case| !subset::needs_registry(case) && !subset::needs_state(case);
    let is_run = |outcome: &Outcome| outcome.status != Status::Excluded;
    let refusals: Vec<&Judged> = judged.iter().filter(|(case, _)| case.refusal.is_some()).collect();
    let refused = Part {
        of: refusals.len(),
        good: refusals.iter().filter(|(_, o)| o.refused).count(),
        same: Some(refusals.iter().filter(|(_, o)| o.same_complaint).count()),
    };
    vec![
        ("neither registry nor state", part(&|(case, o)| is_simple(case) && is_run(o))),
        (
            "neither registry nor state, without refusals",
            part(&|(case, o)| is_simple(case) && is_run(o) && case.refusal.is_none()),
        ),
        ("refusals", refused),
    ]
}

/// Writes every case as JSON.
pub fn write_json(judged: &[Judged], path: &Path) -> Result<(), String> {
    let case = |(case, outcome): &Judged| {
        json!({
            "file": case.file,
            "name": case.name,
            "format": case.format,
            "status": word(outcome.status),
            "reason": outcome.reason,
            "refused": outcome.refused,
            "same_complaint": outcome.same_complaint,
        })
    };
    let cases: Vec<Value> = judged.iter().map(case).collect();
    write(path, &json!({ "cases": cases }))
}

fn write(path: &Path, json: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(json).map_err(|e| e.to_string())?;
    fs::write(path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))
}

/// The counts that may only rise.
fn heights(judged: &[Judged]) -> BTreeMap<String, usize> {
    let mut heights = BTreeMap::from([("passed".to_owned(), counts(judged.iter().map(|(_, o)| o))[0])]);
    for (what, part) in parts(judged) {
        heights.insert(what.to_owned(), part.good);
        heights.extend(part.same.map(|same| (format!("{what}, with the same complaint"), same)));
    }
    heights
}

/// Fails when a count is below the floor; a missing floor counts as zeros.
pub fn check_floor(judged: &[Judged], path: &Path) -> Result<(), String> {
    let floor = read_floor(path)?;
    let heights = heights(judged);
    let height = |name: &str| heights.get(name).copied().unwrap_or(0);
    let below = floor.iter().filter(|(name, least)| height(name) < **least);
    let below: Vec<_> = below.map(|(name, least)| format!("{name}: {} is below {least}", height(name))).collect();
    if below.is_empty() { Ok(()) } else { Err(format!("{}: {}", path.display(), below.join(", "))) }
}

/// Raises the floor to the current counts. It is never lowered.
pub fn raise_floor(judged: &[Judged], path: &Path) -> Result<(), String> {
    let mut floor = read_floor(path)?;
    for (name, height) in heights(judged) {
        let least = floor.entry(name).or_default();
        *least = height.max(*least);
    }
    write(path, &json!(floor))
}

fn read_floor(path: &Path) -> Result<BTreeMap<String, usize>, String> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}
