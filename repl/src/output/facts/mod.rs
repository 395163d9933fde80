//! Formats the facts of SHOW, DESCRIBE and EXPLAIN as sections, with one file for each kind of fact. All have the same
//! shape: `sections(facts) -> Vec<Section>`.

mod function;
mod functions;
mod plan;
mod properties;
mod queries;
mod query;
mod rejects;
mod source;
mod sources;
mod time;
mod topics;
mod types;
mod variables;

use headwater_engine::answer::Facts;

use super::section::Section;

/// The sections that show these facts, one below the other.
pub fn sections(facts: &Facts) -> Vec<Section> {
    match facts {
        Facts::Sources(kind, listed) => sources::sections(*kind, listed),
        Facts::Topics { topics, extended, remark } => topics::sections(topics, *extended, remark.as_deref()),
        Facts::Types(listed) => types::sections(listed),
        Facts::Functions(listed) => functions::sections(listed),
        Facts::Variables(listed) => variables::sections(listed),
        Facts::Properties(listed) => properties::sections(listed),
        Facts::Rejects(rejects) => rejects::sections(rejects.as_ref()),
        Facts::Queries(listed) => queries::sections(listed),
        Facts::QueryDescriptions(described) => described.iter().flat_map(query::sections).collect(),
        Facts::SourceDescriptions(described) => described.iter().flat_map(source::sections).collect(),
        Facts::Function(described) => function::sections(described),
        Facts::Topology(topology) => vec![Section::text(topology.to_string())],
        Facts::Plan(planned) => plan::sections(planned),
        Facts::ExecutedPlan(executed) => plan::executed_sections(executed),
    }
}
