//! What a persistent query writes: a stream of its own, or one that exists.
//!
//! The result of `CREATE STREAM … AS` is lowered to the declaration that a user would have written
//! for it, so that names, formats and topic are checked in one place.

use super::lowering::{self, Planned, Use};
use super::shape::{self, Shape};
use super::{circles, rules, state_for, topology};
use datafusion::execution::session_state::SessionState;

use crate::define::{Definition, FormatDefaults, define_made, owned, real_first, source_kind};
use headwater_expression::dialect::coerces;
use headwater_language::catalog::{Catalog, QueryDef, owner_of};
use headwater_language::config::{DECIMAL_DIVISION, Settings};
use headwater_language::definition::{ColumnRole, SourceDef, SourceKind};
use headwater_language::diagnostic::{
    Diagnostic, INSERT, PROPERTY_CONFLICT, PROPERTY_VALUE, STREAMING, Span, UNKNOWN_SOURCE, format_refusal,
};
use headwater_language::sql::ast;
use headwater_language::topology::{ResultColumn, Topology};

/// Whether a record whose timestamp column cannot be read stops the query.
pub const THROWS_ON_INVALID_TIME: &str = "timestamp.throw.on.invalid";

/// A persistent query as planned: what it writes to, and the query itself, which has no number yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Persistent {
    /// The stream that is made for it, with the topic it needs; none for INSERT INTO.
    pub definition: Option<Definition>,
    /// The query.
    pub query: QueryDef,
    /// Where its target is named.
    pub span: Span,
}

/// Properties in WITH that are the query's and not its sink's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryProperties {
    /// DLQ_TOPIC: where records go that could not be read, computed or written.
    pub dlq_topic: Option<ast::Spanned<String>>,
    /// QUERY_ID: the name of the query.
    pub id: Option<ast::Spanned<String>>,
}

impl QueryProperties {
    /// Takes the query's properties out of WITH.
    fn take(properties: &[ast::Property], errors: &mut Vec<Diagnostic>) -> (Self, Vec<ast::Property>) {
        let mut taken = Self::default();
        let mut others = Vec::new();
        for property in properties {
            let text = || match &property.value.value {
                ast::Literal::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            };
            match (property.name.to_uppercase().as_str(), text()) {
                ("DLQ_TOPIC", Some(topic)) => taken.dlq_topic = Some(ast::Spanned::new(topic, property.value.span)),
                ("QUERY_ID", Some(id)) => taken.id = Some(ast::Spanned::new(id.to_uppercase(), property.value.span)),
                (name @ ("DLQ_TOPIC" | "QUERY_ID"), None) => {
                    let message = format!("property \"{name}\" has a value of the wrong kind");
                    let detail = "It takes a string that is not empty.";
                    errors.push(Diagnostic::new(PROPERTY_VALUE, message).at(property.value.span).detail(detail));
                }
                _ => others.push(property.clone()),
            }
        }
        (taken, others)
    }
}

/// Plans `CREATE STREAM … AS SELECT`. Gives every mistake that could be found at once.
pub fn create_as(
    create: &ast::CreateAs,
    text: &str,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Persistent, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let (properties, sink_properties) = QueryProperties::take(&create.properties, &mut errors);
    let (name, state) = (create.name.value.as_str(), state_for(&create.query, catalog, settings)?);
    if rules::is_stateful(&create.query, &state) {
        let found = rules::check(&create.query, catalog, &state, Use::Write(name), &sink_properties);
        errors.extend(found.errors);
        found.kind.iter().for_each(|kind| check_kind(create, *kind, &mut errors));
        return Err(if errors.is_empty() { shape::not_built(&create.query, &state) } else { errors });
    }
    let read = written(&create.query, catalog, &state, name).map_err(|found| told(&mut errors, found));
    let (shape, planned) = read?;
    check_kind(create, shape.source.kind, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    check_keyless(&sink_properties, &planned)?;
    let declared =
        declaration(create, sink_properties, &shape.source, &planned, settings.get("output.topic.name.prefix"));
    let mut definition = define_made(&declared, text, catalog, &FormatDefaults::from(settings), &natural(&planned))?;
    // A key that stays keeps its window.
    definition.source.window = shape.source.window.filter(|_| !planned.projection.rekeyed);
    check_built(&shape, &definition.source, create.name.span)?;
    let mut topology = topology(&create.query, catalog, &shape, planned);
    topology.output = Some(definition.source.clone());
    let replaced = catalog.query_behind(&create.name).filter(|_| create.or_replace);
    circles::check(&topology, catalog, replaced.map(AsRef::as_ref), (create.name.span, PROPERTY_VALUE))?;
    check_dead_letters(&topology, &properties)?;
    let prefix = format!("CSAS_{}", definition.source.name);
    let query = QueryDef { owns_sink: true, ..query_def(prefix, text, topology, &properties, settings) };
    Ok(Persistent { definition: Some(definition), query, span: create.name.span })
}

/// Plans `INSERT INTO … SELECT`. Gives every mistake that could be found at once.
pub fn insert_select(
    insert: &ast::InsertSelect,
    text: &str,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Persistent, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let (properties, others) = QueryProperties::take(&insert.properties, &mut errors);
    for other in others {
        let message = format!("property \"{}\" is not for INSERT INTO … SELECT", other.name.value);
        let detail = "It takes QUERY_ID and DLQ_TOPIC; everything else is the target's own.";
        errors.push(Diagnostic::new(PROPERTY_VALUE, message).at(other.name.span).detail(detail));
    }
    let target = target(insert, catalog, &mut errors);
    let state = state_for(&insert.query, catalog, settings)?;
    if rules::is_stateful(&insert.query, &state) {
        let purpose = Use::Write(&insert.target.value);
        let found = rules::check(&insert.query, catalog, &state, purpose, &[]);
        errors.extend(found.errors);
        if let (Some(mut columns), Some(target)) = (found.columns, &target) {
            fit(&mut columns, target, insert.target.span, &mut errors);
        }
        return Err(if errors.is_empty() { shape::not_built(&insert.query, &state) } else { errors });
    }
    let read = written(&insert.query, catalog, &state, &insert.target).map_err(|found| told(&mut errors, found));
    let (shape, mut planned) = read?;
    if shape.source.kind == SourceKind::Table {
        let message = format!("\"{}\" is a table: only the rows of a stream are inserted", shape.source.name);
        errors.push(Diagnostic::new(STREAMING, message).at(insert.query.span));
    }
    if let Some(target) = &target {
        fit(&mut planned.projection.columns, target, insert.target.span, &mut errors);
    }
    let (Some(target), true) = (target, errors.is_empty()) else { return Err(errors) };
    check_built(&shape, &target, insert.target.span)?;
    let mut topology = topology(&insert.query, catalog, &shape, planned);
    topology.output = Some(target);
    circles::check(&topology, catalog, None, (insert.target.span, STREAMING))?;
    check_dead_letters(&topology, &properties)?;
    let query = query_def("INSERTQUERY".to_owned(), text, topology, &properties, settings);
    Ok(Persistent { definition: None, query, span: insert.target.span })
}

/// Dead letters are no input and no result of their query.
fn check_dead_letters(topology: &Topology, properties: &QueryProperties) -> Result<(), Vec<Diagnostic>> {
    let Some(dead) = &properties.dlq_topic else { return Ok(()) };
    if let Some(error) = owned(dead, "Take another topic for dead letters.") {
        return Err(vec![error]);
    }
    let taken = [Some(&topology.input.topic), topology.output.as_ref().map(|sink| &sink.topic)];
    if !taken.contains(&Some(&dead.value)) {
        return Ok(());
    }
    let message = format!("DLQ_TOPIC is \"{}\", which the query reads or writes itself", dead.value);
    let detail = "A bad record would come back again and again, or stand among the results.";
    Err(vec![Diagnostic::new(PROPERTY_VALUE, message).at(dead.span).detail(detail)])
}

fn query_def(
    prefix: String,
    text: &str,
    topology: Topology,
    properties: &QueryProperties,
    settings: &Settings,
) -> QueryDef {
    // What is set now is the query's for ever; a default may change with the program.
    let kept = ["processing.guarantee", "commit.interval.ms", DECIMAL_DIVISION].into_iter();
    // Programs that do not know it would keep to its default.
    let kept = kept.chain(Some(THROWS_ON_INVALID_TIME).filter(|name| settings.given(name).is_some()));
    let kept = kept.map(|name| (name.to_owned(), settings.get(name).to_owned()));
    let start = settings.given("auto.offset.reset").unwrap_or("earliest").to_owned();
    QueryDef {
        id: properties.id.as_ref().map_or(prefix, |id| id.value.clone()),
        numbered: properties.id.is_none(),
        made: 0,
        unique: None,
        statement: text.to_owned(),
        topology,
        properties: kept.into_iter().chain([("auto.offset.reset".to_owned(), start)]).collect(),
        dlq_topic: properties.dlq_topic.as_ref().map(|topic| topic.value.clone()),
        paused: false,
        resumed: 0,
        restart: None,
        began: None,
        owns_sink: false,
    }
}

/// What was found before, and after it what was found now.
fn told(before: &mut Vec<Diagnostic>, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    real_first(std::mem::take(before).into_iter().chain(found).collect())
}

/// The shape and the columns of a query whose rows are written to `sink`.
fn written(
    query: &ast::Query,
    catalog: &Catalog,
    state: &SessionState,
    sink: &str,
) -> Result<(Shape, Planned), Vec<Diagnostic>> {
    let shape = shape::read(query, catalog, state, Use::Write(sink))?;
    no_limit(&shape)?;
    let planned = lowering::plan(&shape, state, Use::Write(sink))?;
    Ok((shape, planned))
}

/// CREATE STREAM makes a stream of streams, CREATE TABLE a table of tables.
fn check_kind(create: &ast::CreateAs, found: SourceKind, errors: &mut Vec<Diagnostic>) {
    let wanted = source_kind(create.kind);
    if wanted != found {
        let (given, said) = (found.word().to_uppercase(), wanted.word().to_uppercase());
        let message = format!("this SELECT gives a {given}, not a {said}");
        let error = Diagnostic::new(STREAMING, message).at(create.name.span);
        errors.push(error.hint(format!("Say CREATE {given} {} AS SELECT ….", create.name.value)));
    }
}

fn no_limit(shape: &Shape) -> Result<(), Vec<Diagnostic>> {
    match shape.limit {
        None => Ok(()),
        Some(_) => {
            let message = "a query that is written to a topic has no LIMIT: it never ends";
            Err(vec![Diagnostic::new(STREAMING, message).at(shape.span)])
        }
    }
}

/// The declaration of the stream that a query makes.
fn declaration(
    create: &ast::CreateAs,
    mut properties: Vec<ast::Property>,
    source: &SourceDef,
    planned: &Planned,
    topic_prefix: &str,
) -> ast::CreateSource {
    let whole = create.name.span;
    let column = |(column, span): (&ResultColumn, &Option<Span>)| {
        let span = span.unwrap_or(whole);
        let role = match (column.key, create.kind) {
            (true, ast::SourceKind::Stream) => ast::ColumnRole::Key,
            (true, ast::SourceKind::Table) => ast::ColumnRole::PrimaryKey,
            (false, _) => ast::ColumnRole::Value,
        };
        ast::ColumnDef {
            name: ast::Spanned::new(column.name.clone(), span),
            ty: ast::Spanned::new(column.ty.clone(), span),
            role: ast::Spanned::new(role, span),
        }
    };
    let columns = planned.projection.columns.iter().zip(&planned.spans).map(column).collect();
    let has_key = planned.projection.columns.iter().any(|c| c.key);
    inherit(&mut properties, source, &create.name, has_key, topic_prefix);
    ast::CreateSource {
        or_replace: create.or_replace,
        read_only: false,
        kind: create.kind,
        if_not_exists: create.if_not_exists,
        name: create.name.clone(),
        columns,
        properties,
    }
}

/// A query that is right may need what is not built yet.
fn check_built(shape: &Shape, sink: &SourceDef, span: Span) -> Result<(), Vec<Diagnostic>> {
    let format = sink.unbuilt_format().map(|error| format_refusal(&error).at(span));
    let later: Vec<Diagnostic> = shape.later.iter().cloned().chain(format).collect();
    if later.is_empty() { Ok(()) } else { Err(later) }
}

/// A result without a key has no key format.
fn check_keyless(properties: &[ast::Property], planned: &Planned) -> Result<(), Vec<Diagnostic>> {
    let said = properties.iter().find(|p| p.name.eq_ignore_ascii_case("KEY_FORMAT"));
    let is_none = |text: &ast::Literal| matches!(text, ast::Literal::String(text) if text.eq_ignore_ascii_case("NONE"));
    match said.filter(|said| !is_none(&said.value.value) && !planned.projection.columns.iter().any(|c| c.key)) {
        None => Ok(()),
        Some(said) => {
            let message = "the result has no key column, so it has no \"KEY_FORMAT\"";
            let error = Diagnostic::new(PROPERTY_CONFLICT, message).at(said.name.span);
            Err(vec![error.hint("Leave it out, say 'NONE', or make a key with PARTITION BY.")])
        }
    }
}

/// What WITH does not say is as in the source, the topic is called like the stream behind the prefix that is set.
fn inherit(
    properties: &mut Vec<ast::Property>,
    source: &SourceDef,
    name: &ast::Name,
    has_key: bool,
    topic_prefix: &str,
) {
    let said = |properties: &[ast::Property], wanted: &str| {
        let found = properties.iter().find(|p| p.name.eq_ignore_ascii_case(wanted));
        found.map(|p| match &p.value.value {
            ast::Literal::String(text) => text.to_uppercase(),
            _ => String::new(),
        })
    };
    let add = |properties: &mut Vec<ast::Property>, property: &str, value: &str| {
        let value = ast::Spanned::new(ast::Literal::String(value.to_owned()), name.span);
        properties.push(ast::Property { name: ast::Spanned::new(property.to_owned(), name.span), value });
    };
    let both = said(properties, "FORMAT");
    if said(properties, "KAFKA_TOPIC").is_none() {
        add(properties, "KAFKA_TOPIC", &format!("{topic_prefix}{}", name.value));
    }
    let sides = [("KEY", &source.key), ("VALUE", &source.value)];
    for (side, def) in sides {
        let (format, delimiter) = (format!("{side}_FORMAT"), format!("{side}_DELIMITER"));
        let chosen = said(properties, &format).or_else(|| both.clone());
        let inherited = side == "VALUE" || (has_key && def.format != "NONE");
        if chosen.is_none() && inherited {
            add(properties, &format, &def.format);
        } else if chosen.is_none() && side == "KEY" && !has_key {
            add(properties, &format, "NONE");
        }
        let same = chosen.is_none_or(|chosen| chosen == def.format) && inherited;
        if same && def.format == "DELIMITED" && said(properties, &delimiter).is_none() {
            add(properties, &delimiter, &delimiter_name(def.delimiter));
        }
    }
}

/// Key columns that PARTITION BY made and nobody named.
fn natural(planned: &Planned) -> Vec<&str> {
    let made = |column: &&ResultColumn| planned.projection.rekeyed && column.key && column.name == column.expr;
    planned.projection.columns.iter().filter(made).map(|column| column.name.as_str()).collect()
}

/// A delimiter as WITH has it.
fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b' ' => "SPACE".to_owned(),
        b'\t' => "TAB".to_owned(),
        other => char::from(other).to_string(),
    }
}

fn target(insert: &ast::InsertSelect, catalog: &Catalog, errors: &mut Vec<Diagnostic>) -> Option<SourceDef> {
    let span = insert.target.span;
    let Some(source) = catalog.source(&insert.target) else {
        let message = format!("stream \"{}\" does not exist", insert.target.value);
        errors.push(Diagnostic::new(UNKNOWN_SOURCE, message).at(span));
        return None;
    };
    let headers = |role: &ColumnRole| matches!(role, ColumnRole::Headers | ColumnRole::Header(_));
    let owner = owner_of(&source.topic).filter(|_| !source.read_only);
    let its_owners = format!("its topic belongs to {}", owner.unwrap_or_default());
    let refusals = [
        (owner.is_some(), its_owners.as_str()),
        (source.kind == SourceKind::Table, "it is a table"),
        (source.read_only, "it was declared with SOURCE, which is read-only"),
        (source.window.is_some(), "its keys are windowed"),
        (source.columns.iter().any(|c| headers(&c.role)), "it has header columns, which cannot be written"),
    ];
    let found: Vec<_> = refusals.iter().filter(|(is, _)| *is).collect();
    for (_, why) in &found {
        let message = format!("cannot insert into \"{}\": {why}", source.name);
        errors.push(Diagnostic::new(INSERT, message).at(span));
    }
    found.is_empty().then(|| source.as_ref().clone())
}

/// The columns of a result as the target has them: the same names in the same order, of types that
/// can be brought to the target's.
fn fit(columns: &mut [ResultColumn], target: &SourceDef, span: Span, errors: &mut Vec<Diagnostic>) {
    let matches = columns.len() == target.columns.len()
        && columns.iter().zip(&target.columns).all(|(found, wanted)| {
            found.name == wanted.name && found.key == (wanted.role == ColumnRole::Key) && coerces(&found.ty, &wanted.ty)
        });
    if !matches {
        let found = columns.iter().map(|c| format!("{} {}{}", c.name, c.ty, if c.key { " KEY" } else { "" }));
        let wanted = target
            .columns
            .iter()
            .map(|c| format!("{} {}{}", c.name, c.ty, if c.role == ColumnRole::Key { " KEY" } else { "" }));
        let message = format!("the columns of SELECT are not those of \"{}\"", target.name);
        let detail = format!(
            "SELECT gives ({}), \"{}\" has ({}).",
            found.collect::<Vec<_>>().join(", "),
            target.name,
            wanted.collect::<Vec<_>>().join(", ")
        );
        let hint = "Give the same columns in the same order under the same names, with AS and CAST where they differ.";
        errors.push(Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint));
        return;
    }
    for (found, wanted) in columns.iter_mut().zip(&target.columns).filter(|(found, wanted)| found.ty != wanted.ty) {
        found.expr = format!("CAST({} AS {})", found.expr, wanted.ty);
        found.ty = wanted.ty.clone();
    }
}
