//! Adds the figures of rounds to the table.

use crate::continuous::{Cost, Round};
use crate::query::Query;
use crate::streams::Summary;
use crate::table::{Table, Target};

const MEGABYTE: f64 = 1_048_576.0;

/// Wall times of one round, to show progress.
pub fn walls(round: &Round) -> String {
    let peer = round.peer.as_ref().map(|(cost, _)| cost);
    let named = [
        ("read", round.read.as_ref()),
        ("copy", Some(&round.copy)),
        ("headwater", round.ours.as_ref()),
        ("streams", peer),
    ];
    let shown = named.iter().filter_map(|(name, cost)| Some(format!("{name} {:.2} s", (*cost)?.seconds)));
    shown.collect::<Vec<_>>().join(", ")
}

/// Adds all figures of a query. Queries without state have targets: those that write little are compared with the baseline
/// read instead of the baseline copy.
pub fn add(table: &mut Table, query: Query, rounds: &[Round]) {
    let rows = &mut Rows { table, query: query.name(), rounds };
    rows.cost("baseline read", None, |round| round.read.as_ref());
    rows.cost("baseline copy", None, |round| Some(&round.copy));
    let of_broker = (!query.has_state()).then_some(Target::Below(1.2));
    rows.cost("Headwater", of_broker, |round| round.ours.as_ref());
    add_ours(rows, query);
    rows.cost("Kafka Streams", None, |round| round.peer.as_ref().map(|(cost, _)| cost));
    add_peer(rows, query);
}

fn add_ours(rows: &mut Rows<'_>, query: Query) {
    let (of_copy, cpu_of_copy) = match query.is_compared_with_read() {
        true => (None, None),
        false => (Some(Target::AtLeast(0.7)), Some(Target::Below(1.5))),
    };
    let of_read = (!query.has_state()).then_some(Target::AtLeast(0.8));
    rows.add("Headwater, records/s, ratio to baseline copy", 2, of_copy, |round| {
        Some(rate(round.ours.as_ref()?, round) / rate(&round.copy, round))
    });
    rows.add("Headwater, records/s, ratio to baseline read", 2, of_read, |round| {
        Some(rate(round.ours.as_ref()?, round) / rate(round.read.as_ref()?, round))
    });
    let beyond_read = (query == Query::Tumbling).then_some(Target::Below(0.3));
    rows.add("Headwater, CPU s/M beyond baseline read", 2, beyond_read, |round| {
        Some(cpu(round.ours.as_ref()?, round) - cpu(round.read.as_ref()?, round))
    });
    if query == Query::Join {
        rows.add("Headwater, CPU s/M beyond baseline copy", 2, Some(Target::Below(0.45)), |round| {
            Some(cpu(round.ours.as_ref()?, round) - cpu(&round.copy, round))
        });
    }
    rows.add("Headwater, whole command, s", 2, None, |round| Some(round.ours.as_ref()?.run.wall.as_secs_f64()));
    rows.add("Headwater, CPU, ratio to baseline copy", 2, cpu_of_copy, |round| {
        Some(round.ours.as_ref()?.run.cpu_seconds / round.copy.run.cpu_seconds)
    });
}

fn add_peer(rows: &mut Rows<'_>, query: Query) {
    let (times, part) = match query {
        Query::Q0 | Query::Q1 | Query::Q2 => (2.0, 0.5),
        Query::Tumbling | Query::Hopping => (4.0, 0.2),
        Query::Session => (4.0, 0.25),
        Query::Join | Query::Pairs => (4.0, 0.286),
    };
    rows.add("Kafka Streams, warm records/s", 0, None, |round| {
        let (_, summary) = round.peer.as_ref()?;
        Some(summary.warm_records / summary.warm_seconds)
    });
    rows.add("Kafka Streams, warm CPU s/M", 2, None, |round| Some(warm_cpu(&round.peer.as_ref()?.1)));
    rows.add("Headwater, records/s, ratio to Kafka Streams", 2, Some(Target::AtLeast(times)), |round| {
        Some(rate(round.ours.as_ref()?, round) / rate(&round.peer.as_ref()?.0, round))
    });
    rows.add("Headwater, records/s, ratio to warm Kafka Streams", 2, None, |round| {
        let (_, summary) = round.peer.as_ref()?;
        Some(rate(round.ours.as_ref()?, round) * summary.warm_seconds / summary.warm_records)
    });
    rows.add("Headwater, CPU, ratio to warm Kafka Streams", 2, Some(Target::Below(part)), |round| {
        Some(cpu(round.ours.as_ref()?, round) / warm_cpu(&round.peer.as_ref()?.1))
    });
}

/// The rows of one query.
struct Rows<'a> {
    table: &'a mut Table,
    query: &'a str,
    rounds: &'a [Round],
}

impl Rows<'_> {
    /// Adds a figure, unless no round has it.
    fn add(&mut self, name: &str, digits: usize, target: Option<Target>, figure: impl Fn(&Round) -> Option<f64>) {
        let values: Vec<f64> = self.rounds.iter().filter_map(figure).collect();
        if !values.is_empty() {
            self.table.add(&format!("{}, {name}", self.query), digits, values, target);
        }
    }

    /// Adds the cost of one program and of the broker during its run; only the latter has a target.
    fn cost(&mut self, who: &str, of_broker: Option<Target>, of: impl Fn(&Round) -> Option<&Cost>) {
        self.add(&format!("{who}, records/s"), 0, None, |round| Some(rate(of(round)?, round)));
        self.add(&format!("{who}, CPU s/M"), 2, None, |round| Some(cpu(of(round)?, round)));
        self.add(&format!("{who}, peak memory, MB"), 0, None, |round| {
            Some(of(round)?.run.peak_bytes as f64 / MEGABYTE)
        });
        self.add(&format!("{who}, broker CPU s/M"), 2, of_broker, |round| broker(of(round)?, round));
    }
}

fn rate(cost: &Cost, round: &Round) -> f64 {
    round.records / cost.seconds
}

/// CPU seconds per million records of the input.
fn cpu(cost: &Cost, round: &Round) -> f64 {
    cost.run.cpu_seconds / (round.records / 1e6)
}

fn broker(cost: &Cost, round: &Round) -> Option<f64> {
    Some(cost.broker_seconds? / (round.records / 1e6))
}

fn warm_cpu(summary: &Summary) -> f64 {
    summary.warm_cpu_seconds / (summary.warm_records / 1e6)
}
