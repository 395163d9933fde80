//! EXPLAIN and EXPLAIN ANALYZE of a bounded query.

use headwater_engine::answer::{ExecutedPlan, Plan};

use crate::output::section::Section;

/// A plan that was not run.
pub(super) fn sections(Plan { logical, physical }: &Plan) -> Vec<Section> {
    vec![printed("Logical plan", logical), printed("Physical plan", physical)]
}

/// A plan that was run, and what it read.
pub(super) fn executed_sections(ExecutedPlan { physical, rows, read }: &ExecutedPlan) -> Vec<Section> {
    let numbers = [*rows, read.records_read, read.bytes_read, read.offsets_done, read.rejects];
    let numbers = numbers.map(|number| number.to_string()).to_vec();
    let columns = ["Rows", "Records read", "Bytes read", "Offsets read", "Rejects"];
    vec![printed("Physical plan", physical), Section::table(&columns, [numbers]).titled("Reading")]
}

fn printed(title: &str, plan: &str) -> Section {
    Section::text(plan.trim_end().to_owned()).titled(title)
}
