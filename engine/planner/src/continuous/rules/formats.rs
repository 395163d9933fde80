//! Formats of values that joins, groups and the state of aggregates cannot have.

use headwater_language::diagnostic::{Diagnostic, STREAMING};

use crate::continuous::query::{Streaming, called};

/// Aggregates whose state is one plain value, which any format can hold.
const PLAIN_STATE: &[&str] = &["COUNT", "MAX", "MIN", "SUM", "SUM_LIST"];

/// Values in format KAFKA are not joined.
pub fn of_joined_values(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.select.from.len() == 1 && query.is_joined() {
        values_in_kafka(query, "JOIN", errors);
    }
}

/// Values in format KAFKA are not grouped.
pub fn of_grouped_values(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.is_grouped() {
        values_in_kafka(query, "GROUP BY", errors);
    }
}

/// Values in format KAFKA can be read record by record only.
fn values_in_kafka(query: &Streaming<'_>, clause: &str, errors: &mut Vec<Diagnostic>) {
    let kafka = query.scope.members.iter().filter(|m| m.source.value.format == "KAFKA");
    let names: Vec<String> = kafka.map(|m| format!("\"{}\"", m.source.name)).collect();
    if !names.is_empty() {
        let message = format!("values in format KAFKA cannot be used with {clause}: {}", names.join(", "));
        let hint = "Copy them into another format first: CREATE STREAM … WITH (VALUE_FORMAT='JSON') AS SELECT *.";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()).hint(hint));
    }
}

/// The state of an aggregate is written in the format of the result's values.
pub fn of_state(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let inherited = query.scope.members.first().map(|m| m.source.value.format.clone());
    let format = query.property("VALUE_FORMAT").or_else(|| query.property("FORMAT")).or(inherited);
    if format.as_deref() != Some("DELIMITED") {
        return;
    }
    let all = query.items.iter().map(|item| &item.expr).chain(&query.select.having);
    let names: Vec<String> = all.flat_map(|expr| query.aggregates_in(expr)).filter_map(|a| called(&a)).collect();
    let nested: Vec<&str> = names.iter().map(String::as_str).filter(|name| !PLAIN_STATE.contains(name)).collect();
    if !nested.is_empty() {
        let message = format!("format DELIMITED cannot hold the state of {}", nested.join(", "));
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()).hint("Say WITH (VALUE_FORMAT='JSON')."));
    }
}
