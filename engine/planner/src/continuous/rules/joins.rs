//! Joins: which sources can be joined, in which order, and on what.

use headwater_formats::format::FormatKind;
use headwater_language::definition::WindowDef;
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::place;
use headwater_language::topology::JoinKind;
use sqlparser::ast::Spanned as _;

use crate::continuous::joins::{JoinOn, is_whole_key, read, read_one, written};
use crate::continuous::query::Streaming;
use crate::continuous::scope::Member;
use crate::sides::{contains_map, map_in_key};

/// FROM contains no comma.
pub fn without_comma(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.select.from.len() > 1 {
        let message = "sources must be joined with JOIN … ON, not with a comma";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}

/// Whether a source has the name of one before it.
fn is_named_twice(query: &Streaming<'_>, member: usize) -> bool {
    let Member { alias, .. } = &query.scope.members[member];
    query.scope.members[..member].iter().any(|before| before.alias == *alias)
}

/// Each source has a name of its own.
pub fn names_once(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for (right, join) in written(query) {
        if is_named_twice(query, right) {
            let Member { alias, source } = &query.scope.members[right];
            let span = place(join.relation.span()).unwrap_or(query.span());
            let error = Diagnostic::new(STREAMING, format!("FROM has two sources with the name \"{alias}\"")).at(span);
            errors.push(error.hint(format!("Name one of them differently: {} AS {alias}2.", source.name)));
        }
    }
}

/// Each join has one condition, which compares the new source with the sources joined before.
pub fn conditions(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for (right, join) in written(query).filter(|(right, _)| !is_named_twice(query, *right)) {
        errors.extend(read_one(query, right, join).err().into_iter().flatten());
    }
}

/// A join of two streams needs WITHIN, which limits how far apart in time their records may be; other joins do not
/// allow it.
pub fn within(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let joins: Vec<_> = written(query).collect();
    for join in read(query) {
        let right = join.right.1;
        let span = joins.get(right - 1).and_then(|(_, join)| place(join.span())).unwrap_or(query.span());
        let within = query.query.within.iter().find(|within| within.value.join + 1 == right).map(|within| within.span);
        within_fits(query, right, within, span, errors);
    }
}

fn within_fits(query: &Streaming<'_>, right: usize, within: Option<Span>, span: Span, errors: &mut Vec<Diagnostic>) {
    let streams = !query.is_table(right) && !is_table_before(query, right);
    match within {
        None if streams => {
            let message = "a join of two streams needs WITHIN";
            let error = Diagnostic::new(STREAMING, message).at(span);
            errors.push(error.hint("Set how far apart in time two records may be, for example WITHIN 1 HOUR."));
        }
        Some(within) if !streams => {
            errors.push(Diagnostic::new(STREAMING, "WITHIN is only for joins of two streams").at(within));
        }
        _ => {}
    }
}

/// Whether the sources joined so far are all tables.
fn is_table_before(query: &Streaming<'_>, right: usize) -> bool {
    (0..right).all(|member| query.is_table(member))
}

/// Both sides of a condition have the same type, and it is allowed in a key.
pub fn types(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for join in read(query) {
        let sides = [&join.left.0, &join.right.0];
        let [Some(left), Some(right)] = sides.map(|side| query.ty(side, errors)) else { continue };
        if left != right {
            let message = "the two sides of the join condition have different types";
            let [a, b] = sides.map(|side| query.scope.text(side));
            let detail = format!("{a} is {left}, but {b} is {right}.");
            let hint = format!("Use ON CAST({a} AS {right}) = {b}, or the other way round.");
            errors.push(Diagnostic::new(STREAMING, message).at(join.span).detail(detail).hint(hint));
        } else if contains_map(&left) {
            let column = query.scope.column(&join.left.0);
            let name = column.map_or_else(|| query.scope.text(&join.left.0), |c| query.scope.merged_name(&c));
            errors.push(Diagnostic::new(STREAMING, map_in_key(&name, &left)).at(join.span));
        }
    }
}

/// A stream comes before the table that it is joined to, and tables are joined on their primary keys.
pub fn streams_and_tables(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for (at, join) in read(query).iter().enumerate() {
        let right = join.right.1;
        match (is_table_before(query, right), query.is_table(right)) {
            (true, false) => errors.push(table_to_stream(query, join)),
            (false, true) => stream_to_table(query, join, errors),
            (true, true) => table_to_table(query, join, at > 0, errors),
            (false, false) => {}
        }
    }
}

/// The two sides of a join, as messages name them.
fn aliases<'q>(query: &'q Streaming<'_>, join: &JoinOn) -> [&'q str; 2] {
    [join.left.1, join.right.1].map(|member| query.scope.members[member].alias.as_str())
}

fn table_to_stream(query: &Streaming<'_>, join: &JoinOn) -> Diagnostic {
    let [left, right] = aliases(query, join);
    let message = format!("a table cannot be joined to a stream: {left} {} {right}", join.kind.words());
    let error = Diagnostic::new(STREAMING, message).at(join.span);
    error.hint(format!("Put the stream first: {right} JOIN {left}."))
}

fn stream_to_table(query: &Streaming<'_>, join: &JoinOn, errors: &mut Vec<Diagnostic>) {
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        let [left, right] = aliases(query, join);
        let message =
            format!("a stream can only be joined to a table with INNER or LEFT: {left} {} {right}", join.kind.words());
        errors.push(Diagnostic::new(STREAMING, message).at(join.span));
    }
    errors.extend(not_on_primary_key(query, join));
}

fn table_to_table(query: &Streaming<'_>, join: &JoinOn, is_later: bool, errors: &mut Vec<Diagnostic>) {
    if let Some(error) = not_on_primary_key(query, join) {
        errors.push(error);
        return;
    }
    let condition = format!("{} = {}", query.scope.text(&join.left.0), query.scope.text(&join.right.0));
    let mut refuse = |message: String| errors.push(Diagnostic::new(STREAMING, message).at(join.span));
    if join.is_foreign && matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        refuse(format!("a foreign-key join cannot be a {}: {condition}", join.kind.words()));
    }
    if join.is_foreign && is_later {
        refuse(format!("a foreign-key join must come before all other joins: {condition}"));
    }
}

/// The error for a table that is not joined on its primary key.
fn not_on_primary_key(query: &Streaming<'_>, join: &JoinOn) -> Option<Diagnostic> {
    let (right, member) = (&join.right.0, join.right.1);
    if query.scope.column(right).is_some_and(|column| is_whole_key(query, &column)) {
        return None;
    }
    let listed: Vec<&str> = query.key_columns(member).collect();
    let message =
        format!("table \"{}\" can be joined only on its primary key", query.scope.members[member].source.name);
    let detail = format!(
        "The condition is {} = {}, but the primary key is ({}).",
        query.scope.text(&join.left.0),
        query.scope.text(right),
        listed.join(", ")
    );
    Some(Diagnostic::new(STREAMING, message).at(join.span).detail(detail))
}

/// Either both sides have windows of the same kind and size, or neither has windows; windowed sources keep their key.
pub fn windows(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for join in read(query) {
        let members = [join.left.1, join.right.1].map(|at| &query.scope.members[at]);
        let Some(message) = mismatch(query, &join, members.map(|member| member.source.window)) else { continue };
        let detail = members.map(|member| windowed(&member.alias, member.source.window)).join(", ");
        errors.push(Diagnostic::new(STREAMING, message).at(join.span).detail(format!("{detail}.")));
    }
}

/// Why the windows of two sides cannot be joined.
fn mismatch(query: &Streaming<'_>, join: &JoinOn, windows: [Option<WindowDef>; 2]) -> Option<&'static str> {
    let [Some(left), Some(right)] = windows else {
        let one = windows.iter().any(Option::is_some);
        return one.then_some("a windowed source cannot be joined to one without windows");
    };
    let is_session = |window: WindowDef| window == WindowDef::Session;
    let size = |window: WindowDef| match window {
        WindowDef::Tumbling(ms) | WindowDef::Hopping(ms) => Some(ms),
        WindowDef::Session => None,
    };
    if is_session(left) != is_session(right) {
        return Some("session windows cannot be joined to time windows");
    }
    // As in ksqlDB, whose keys with registered schemas do not record the size of their windows.
    let is_registered = |member: usize| FormatKind::is_registered(&query.scope.members[member].source.key.format);
    let registered = [join.left.1, join.right.1].into_iter().all(is_registered);
    let is_key = |expr| query.scope.column(expr).is_some_and(|column| is_whole_key(query, &column));
    let on_keys = [&join.left.0, &join.right.0].into_iter().all(is_key);
    (!on_keys || (size(left) != size(right) && !registered)).then_some(
        "windowed sources must be joined on their keys and have windows of the same size: they cannot be repartitioned",
    )
}

fn windowed(alias: &str, window: Option<WindowDef>) -> String {
    match window {
        Some(window) => format!("\"{alias}\" has {} windows", window.word()),
        None => format!("\"{alias}\" has no windows"),
    }
}
