//! Random continuous queries with state over random records, as files that `headwater test` runs.
//!
//! ```text
//! seed → topics, records and sources (records) → queries (queries) → what is asked of their tables (pulls) → a file
//! ```
//!
//! Nothing here computes a result: the answers of the first mode are taken, those of the other modes must be the same, and what
//! the queries of every second file write must be what their bounded queries return. Whatever depends on an order that
//! nothing fixes is left out: aggregates by the order of records from several partitions, and late rows behind those.

mod pulls;
mod queries;
mod records;

use std::path::Path;

use headwater_repl::check::{Mode, Reporter, Rules, Tally, check};

use crate::random::Random;
use queries::Made;
use records::World;

/// The line that keeps a file from being judged.
const NOT_JUDGED: &str = "-- not judged: it has late and bad records, and rows without a match";

/// Writes the files of seeds to a folder and checks them. Returns the totals and what was wrong.
pub async fn run(seeds: std::ops::Range<u64>, folder: &Path) -> Result<(Tally, String), String> {
    for seed in seeds {
        let path = folder.join(format!("seed_{seed:08}.test"));
        std::fs::write(&path, file(seed)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let paths = [folder.to_owned()];
    let accept = Rules { modes: vec![Mode::OneBatch], accept: true, ..Rules::default() };
    let rules = Rules { judge: true, ..Rules::default() };
    let mut printed = Vec::new();
    let mut wrong = String::new();
    let mut tally = Tally::default();
    for rules in [accept, rules] {
        printed.clear();
        tally = check(&paths, &rules, &mut Reporter { out: &mut printed, colored: false }).await?;
        let text = String::from_utf8_lossy(&printed);
        let lines = text.lines().filter(|line| !line.starts_with("ok ") && !line.starts_with("new "));
        if tally.failed > 0 {
            wrong.extend(lines.flat_map(|line| [line, "\n"]));
            break;
        }
    }
    Ok((tally, wrong))
}

/// The file of a seed.
pub fn file(seed: u64) -> String {
    let mut random = Random::of(seed);
    let world = World::new(&mut random, seed.is_multiple_of(2));
    let mut queries = Vec::new();
    for number in 0..=random.below(3) {
        queries.extend(queries::some(&mut random, &world, number));
    }
    let mut file = vec![format!("-- Seed {seed}.")];
    if !world.is_judged {
        file.push(NOT_JUDGED.to_owned());
    }
    file.push(String::new());
    file.extend(world.statements.iter().cloned());
    if random.one_in(3) {
        file.push("SET 'cache.max.bytes.buffering' = '0';".to_owned());
    }
    file.extend(queries.iter().map(|made| made.statement.clone()));
    for made in &queries {
        file.extend([None, Some(pulls::any(&mut random, made)), Some(pulls::any(&mut random, made))].map(
            |condition| {
                let filled = made.may_be_empty.then(|| "n > 0".to_owned());
                let conditions: Vec<String> = filled.into_iter().chain(condition.flatten()).collect();
                let condition =
                    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
                let Made { name, order, .. } = made;
                format!("\nSELECT * FROM {name}{condition} ORDER BY {};\n----", order.join(", "))
            },
        ));
    }
    file.join("\n") + "\n"
}
