//! INSERT INTO … VALUES: writes rows of constant expressions as records and waits for the acknowledgement.
//!
//! In addition to the columns of the source, a row may have ROWTIME (in ms), ROWHEADERS (a map of strings, or an array of
//! structs of KEY and VALUE like a HEADERS column) and ROWTOMBSTONE (TRUE writes a record with a key and no value, which
//! deletes the row of a table).

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, new_null_array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int64Type};
use headwater_expression::{Evaluator, to_column_type};
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART};
use headwater_formats::format::{BadRow, Envelope, Layout};
use headwater_formats::record::{OutBatch, headers_type};
use headwater_language::catalog::{Catalog, owner_of};
use headwater_language::config::Settings;
use headwater_language::definition::{ColumnRole, SideDef, SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, INSERT, Span, UNKNOWN_COLUMN, format_refusal};
use headwater_language::sql::ast;
use headwater_planner::define::{ROWHEADERS, ROWTOMBSTONE};
use headwater_planner::function;
use sqlparser::ast::Spanned as _;

use super::describe::find;
use super::schemas::Register;
use super::{Answered, Context, schemas};
use crate::answer::Answer;
use crate::runtime::{blocking, refused};

/// How long to wait for the cluster to acknowledge the records.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the rows.
pub(crate) async fn run(insert: &ast::InsertValues, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    let source = find(&catalog, &insert.target)?;
    check_target(&source, insert.target.span)?;
    let columns = target_columns(&source, insert)?;
    let table = evaluate(&catalog, context.settings(), insert, &columns)?;
    check_primary_key(&source, &table, insert)?;
    let timestamps_ms = timestamps(&table, insert)?;
    schemas::check_written(&source, insert.target.span)?;
    if schemas::registers(&source, Register::Inserted) {
        encode(&schemas::as_registered(&source, insert.target.span)?, &table, insert)?;
    }
    let source = schemas::register(SourceDef::clone(&source), Register::Inserted, insert.target.span, context).await?;
    let batch = OutBatch { timestamps_ms, ..encode(&source, &table, insert)? };
    let (writer, rows) = (context.process.writer().clone(), insert.rows.len());
    blocking(move || writer.write(&batch, PATIENCE)).await?.map_err(refused)?;
    let plural = if rows == 1 { "row" } else { "rows" };
    Ok(Answer::done(format!("{rows} {plural} inserted into \"{}\"", source.name)))
}

fn check_target(source: &SourceDef, span: Span) -> Result<(), Vec<Diagnostic>> {
    let refuse = |why: &str| {
        Err(vec![Diagnostic::new(INSERT, format!("cannot insert into \"{}\": {why}", source.name)).at(span)])
    };
    let headers = |column: &&headwater_language::definition::ColumnDef| column.role.is_of_headers();
    if source.read_only {
        return refuse("it was declared with SOURCE, which is read-only");
    }
    if source.window.is_some() {
        return refuse("its keys are windowed");
    }
    if source.value.envelope != Envelope::Bare {
        return refuse("change events of Debezium can be read, but not written");
    }
    if source.columns.iter().find(headers).is_some() {
        return refuse("it has header columns, which cannot be written");
    }
    if let Some(owner) = owner_of(&source.topic) {
        return refuse(&format!("its topic belongs to {owner}"));
    }
    Ok(())
}

/// A column of the statement, in its order.
struct TargetColumn {
    name: String,
    data_type: DataType,
    sql_type: String,
}

fn target_columns(source: &SourceDef, insert: &ast::InsertValues) -> Result<Vec<TargetColumn>, Vec<Diagnostic>> {
    let of = |c: &headwater_language::definition::ColumnDef| TargetColumn {
        name: c.name.clone(),
        data_type: c.arrow_type(),
        sql_type: c.ty.to_string(),
    };
    if insert.columns.is_empty() {
        return Ok(source.columns.iter().map(of).collect());
    }
    let mut errors = Vec::new();
    let mut columns: Vec<TargetColumn> = Vec::new();
    for name in &insert.columns {
        if columns.iter().any(|c| c.name == name.value) {
            errors.push(Diagnostic::new(INSERT, format!("column \"{}\" appears twice", name.value)).at(name.span));
            continue;
        }
        let found = source.column(name).map(of).or_else(|| pseudo_column(name));
        match found {
            Some(column) => columns.push(column),
            None => errors.push(unknown_column(source, name)),
        }
    }
    let primary_key = source.columns_of(&ColumnRole::Key).filter(|_| source.kind == SourceKind::Table);
    for key in primary_key.filter(|k| !columns.iter().any(|c| c.name == k.name)) {
        let message = format!("primary key column \"{}\" of table \"{}\" is missing", key.name, source.name);
        errors.push(Diagnostic::new(INSERT, message).at(insert.target.span));
    }
    if errors.is_empty() { Ok(columns) } else { Err(errors) }
}

fn pseudo_column(name: &ast::Name) -> Option<TargetColumn> {
    let (data_type, sql_type) = match name.as_str() {
        ROWTIME => (DataType::Int64, "BIGINT"),
        ROWHEADERS => (headers_type(), "ARRAY<STRUCT<KEY STRING, VALUE BYTES>>"),
        ROWTOMBSTONE => (DataType::Boolean, "BOOLEAN"),
        _ => return None,
    };
    Some(TargetColumn { name: name.value.clone(), data_type, sql_type: sql_type.to_owned() })
}

fn unknown_column(source: &SourceDef, name: &ast::Name) -> Diagnostic {
    if [ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND].contains(&name.as_str()) {
        return Diagnostic::new(INSERT, format!("column \"{}\" cannot be written", name.value)).at(name.span);
    }
    let error = Diagnostic::new(UNKNOWN_COLUMN, format!("column \"{}\" does not exist", name.value)).at(name.span);
    let names: Vec<&str> = source.columns.iter().map(|c| c.name.as_str()).collect();
    error.detail(format!("\"{}\" has the columns {}.", source.name, names.join(", "))).nearest_of(name, names)
}

/// Evaluates VALUES: one array per column, with one element per row.
fn evaluate(
    catalog: &Arc<Catalog>,
    settings: &Settings,
    insert: &ast::InsertValues,
    columns: &[TargetColumn],
) -> Result<RecordBatch, Vec<Diagnostic>> {
    let called = function::called(insert.rows.iter().map(|row| &row.value), catalog);
    let state = function::register_called(headwater_expression::session(settings), &called, catalog)?;
    let evaluator = Evaluator::new(state, chrono::Utc::now());
    let mut errors = Vec::new();
    let mut cells: Vec<Vec<ArrayRef>> = columns.iter().map(|_| Vec::new()).collect();
    for row in &insert.rows {
        if row.len() != columns.len() {
            let message = format!("expected values for {} columns, found {}", columns.len(), row.len());
            errors.push(Diagnostic::new(INSERT, message).at(row.span));
            continue;
        }
        for ((expr, column), cells) in row.iter().zip(columns).zip(&mut cells) {
            let span = headwater_language::sql::place(expr.span()).unwrap_or(row.span);
            match cell(&evaluator, expr, column, span) {
                Ok(value) => cells.push(value),
                Err(found) => errors.extend(found),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let internal = |e: arrow::error::ArrowError| vec![Diagnostic::new(INSERT, e.to_string()).at(insert.target.span)];
    let arrays =
        cells.iter().map(|c| concat(&c.iter().map(AsRef::as_ref).collect::<Vec<_>>())).collect::<Result<Vec<_>, _>>();
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays.map_err(internal)?).map_err(internal)
}

fn cell(
    evaluator: &Evaluator,
    expr: &ast::Expr,
    column: &TargetColumn,
    span: Span,
) -> Result<ArrayRef, Vec<Diagnostic>> {
    let value = evaluator.evaluate(expr, span)?;
    if column.name == ROWHEADERS {
        return headwater_expression::headers_of(&value).map_err(|why| vec![Diagnostic::new(INSERT, why).at(span)]);
    }
    to_column_type(&value, &column.data_type).map_err(|why| {
        let message = format!("column \"{}\" is {}, the value is {why}", column.name, column.sql_type);
        vec![Diagnostic::new(INSERT, message).at(span)]
    })
}

fn encode(source: &SourceDef, table: &RecordBatch, insert: &ast::InsertValues) -> Result<OutBatch, Vec<Diagnostic>> {
    let given = |name: &str| table.column_by_name(name);
    let tombstones = given(ROWTOMBSTONE).map(|c| no_tombstone(c.as_boolean()));
    let key_nulls = keyless_rows(source, table);
    let keys = encode_side(source, &source.key, &ColumnRole::Key, table, key_nulls.as_ref(), insert)?;
    let values = encode_side(source, &source.value, &ColumnRole::Value, table, tombstones.as_ref(), insert)?;
    Ok(OutBatch {
        topic: Arc::from(source.topic.as_str()),
        partitions: None,
        keys,
        values,
        timestamps_ms: None,
        headers: given(ROWHEADERS).map(|h| h.as_list().clone()),
    })
}

fn check_primary_key(
    source: &SourceDef,
    table: &RecordBatch,
    insert: &ast::InsertValues,
) -> Result<(), Vec<Diagnostic>> {
    if source.kind == SourceKind::Stream {
        return Ok(());
    }
    let mut errors = Vec::new();
    for key in source.columns_of(&ColumnRole::Key) {
        let column = table.column_by_name(&key.name);
        for row in (0..table.num_rows()).filter(|row| column.is_none_or(|c| c.is_null(*row))) {
            let message = format!("primary key column \"{}\" cannot be NULL", key.name);
            errors.push(Diagnostic::new(INSERT, message).at(insert.rows[row].span));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn no_tombstone(tombstones: &BooleanArray) -> NullBuffer {
    (0..tombstones.len()).map(|row| !(tombstones.is_valid(row) && tombstones.value(row))).collect()
}

/// Which rows have a key: those with any part of it.
fn keyless_rows(source: &SourceDef, table: &RecordBatch) -> Option<NullBuffer> {
    let columns: Vec<&ArrayRef> =
        source.columns_of(&ColumnRole::Key).filter_map(|c| table.column_by_name(&c.name)).collect();
    let has_key = |row: usize| columns.iter().any(|c| c.is_valid(row));
    Some((0..table.num_rows()).map(has_key).collect())
}

fn encode_side(
    source: &SourceDef,
    side: &SideDef,
    role: &ColumnRole,
    table: &RecordBatch,
    present: Option<&NullBuffer>,
    insert: &ast::InsertValues,
) -> Result<BinaryArray, Vec<Diagnostic>> {
    let layout: Layout = source.layout(side, role);
    let refuse = |why: String| vec![Diagnostic::new(INSERT, why).at(insert.target.span)];
    let format = source.format_of(side, role).map_err(|error| vec![format_refusal(&error).at(insert.target.span)])?;
    let mut encoder = format.encoder(&layout).map_err(|e| refuse(e.to_string()))?;
    let column = |name: &str, ty: &DataType| {
        table.column_by_name(name).cloned().unwrap_or_else(|| new_null_array(ty, table.num_rows()))
    };
    let columns: Vec<ArrayRef> = layout.fields.iter().map(|f| column(f.name(), f.data_type())).collect();
    let encoded = encoder.encode(&columns, table.num_rows(), present);
    let bad = |bad: &BadRow| Diagnostic::new(INSERT, bad.reason.clone()).at(insert.rows[bad.row].span);
    if encoded.bad.is_empty() { Ok(encoded.payloads) } else { Err(encoded.bad.iter().map(bad).collect()) }
}

/// The timestamps of the records if ROWTIME is given: its values, or the current time where it is NULL.
fn timestamps(table: &RecordBatch, insert: &ast::InsertValues) -> Result<Option<ScalarBuffer<i64>>, Vec<Diagnostic>> {
    let Some(times) = table.column_by_name(ROWTIME) else { return Ok(None) };
    let now = chrono::Utc::now().timestamp_millis();
    let all: Vec<i64> = times.as_primitive::<Int64Type>().iter().map(|time| time.unwrap_or(now)).collect();
    match all.iter().position(|time| *time < 0) {
        Some(row) => Err(vec![Diagnostic::new(INSERT, "ROWTIME cannot be before 1970").at(insert.rows[row].span)]),
        None => Ok(Some(all.into())),
    }
}
