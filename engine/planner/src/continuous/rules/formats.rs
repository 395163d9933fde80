//! Value formats that do not support joins, grouping or the state of aggregates.

use headwater_language::diagnostic::{Diagnostic, STREAMING};

use crate::continuous::query::{Streaming, called};

/// Aggregates whose state is a single plain value, which any format can hold.
const PLAIN_STATE: &[&str] = &["COUNT", "MAX", "MIN", "SUM", "SUM_LIST"];

/// Values in the format KAFKA cannot be joined.
pub fn of_joined_values(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.select.from.len() == 1 && query.is_joined() {
        values_in_kafka(query, "JOIN", errors);
    }
}

/// Values in the format KAFKA cannot be grouped.
pub fn of_grouped_values(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.is_grouped() {
        values_in_kafka(query, "GROUP BY", errors);
    }
}

/// Values in the format KAFKA can only be read record by record.
fn values_in_kafka(query: &Streaming<'_>, clause: &str, errors: &mut Vec<Diagnostic>) {
    let kafka = query.scope.members.iter().filter(|m| m.source.value.format == "KAFKA");
    let names: Vec<String> = kafka.map(|m| format!("\"{}\"", m.source.name)).collect();
    if !names.is_empty() {
        let message = format!("values in format KAFKA cannot be used with {clause}: {}", names.join(", "));
        let hint = "Copy them into another format first: CREATE STREAM … WITH (VALUE_FORMAT='JSON') AS SELECT *.";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()).hint(hint));
    }
}

/// The state of an aggregate is stored in the value format of the result.
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
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()).hint("Use WITH (VALUE_FORMAT='JSON')."));
    }
}
