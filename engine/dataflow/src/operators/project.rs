//! SELECT: computes the columns of the result for each row.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::{Expression, Failure};
use headwater_functions::in_one_form;

use crate::chunk::{Before, Chunk};
use crate::complaint::NO_GROUP;
use crate::growth::is_sized;
use crate::operator::{Context, Emitted, Operator, Port};

/// The operator for SELECT.
#[derive(Clone, Debug)]
pub struct Project {
    columns: Vec<Column>,
    headers: Option<Expression>,
    /// Start and end of the window in the key, if they are computed.
    window: Option<[Expression; 2]>,
    schema: SchemaRef,
    of_table: bool,
    gives_before: bool,
    /// Whether a row with a null in its key is reported, since it belongs to no group.
    reports_groups: bool,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name of the column.
    pub name: String,
    /// The expression that computes the column.
    pub expr: Expression,
    /// Whether the column is null for a record without a value, whatever the expression returns.
    pub needs_value: bool,
    /// Whether equal values get one form, such as 0.0 and -0.0, since they make one group.
    pub is_group: bool,
}

impl Project {
    /// Creates the operator for these columns. If `headers` is given, the expression replaces the headers of the
    /// records.
    pub fn new(columns: Vec<Column>, headers: Option<Expression>) -> Self {
        let field = |column: &Column| Field::new(&column.name, column.expr.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { columns, headers, window: None, schema, of_table: false, gives_before: false, reports_groups: false }
    }

    /// The same operator, which computes start and end of the window in the key of each row, in ms, if there are expressions for
    /// them.
    pub fn with_window(self, window: Option<[Expression; 2]>) -> Self {
        Self { window, ..self }
    }

    /// The same operator for the rows of a table: a failure for a row that is deleted is not reported.
    pub fn of_table(self) -> Self {
        Self { of_table: true, ..self }
    }

    /// The same operator, which also computes the result for the rows of a table before they changed.
    pub fn with_before(self) -> Self {
        Self { gives_before: true, ..self }
    }

    /// The same operator, which also reports the rows whose groups are null.
    pub fn reporting_groups(self) -> Self {
        Self { reports_groups: true, ..self }
    }

    /// The columns of the result, all nullable.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn rows(
        &self,
        rows: &RecordBatch,
        valued: Option<&NullBuffer>,
        now_ms: i64,
        failures: &mut Vec<Failure>,
    ) -> Result<RecordBatch, ArrowError> {
        let valueless = valued.map(|valued| BooleanArray::new(!valued.inner(), None));
        let mut column = |column: &Column| {
            let mut found = Vec::new();
            let values = column.expr.evaluate(rows, now_ms, &mut found);
            let is_row = |row| !self.of_table || valued.is_none_or(|valued| valued.is_valid(row));
            failures.extend(found.into_iter().filter(|failure| is_row(failure.row)));
            let values = if column.is_group { in_one_form(&values)? } else { values };
            match &valueless {
                Some(valueless) if column.needs_value => nullif(&values, valueless),
                _ => Ok(values),
            }
        };
        let columns = self.columns.iter().map(&mut column).collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }

    /// Reports the rows with values that have a null in a column of their group, unless that was reported as the failure of an
    /// expression.
    fn report_groups(&self, rows: &RecordBatch, valued: Option<&NullBuffer>, failures: &mut Vec<Failure>) {
        let mut reported: BTreeSet<usize> = failures.iter().map(|failure| failure.row).collect();
        for (column, values) in self.columns.iter().zip(rows.columns()).filter(|(column, _)| column.is_group) {
            let Some(nulls) = values.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { continue };
            let is_row = |row: &usize| nulls.is_null(*row) && valued.is_none_or(|valued| valued.is_valid(*row));
            let groupless = (0..rows.num_rows()).filter(is_row).filter(|row| reported.insert(*row));
            let failure = |row| Failure { row, expr: column.expr.text().to_owned(), reason: NO_GROUP.to_owned() };
            failures.extend(groupless.map(failure));
        }
    }
}

impl Operator for Project {
    /// The same rows with the columns of the result.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let rows = self.rows(&chunk.rows, chunk.valued.as_ref(), cx.now_ms, cx.failures)?;
        if self.reports_groups {
            self.report_groups(&rows, chunk.valued.as_ref(), cx.failures);
        }
        let before = match chunk.before.as_ref().filter(|_| self.gives_before) {
            // A failure for the row before was reported when that row was pushed.
            Some(Before { rows, valued }) => {
                let rows = self.rows(rows, valued.as_ref(), cx.now_ms, &mut Vec::new())?;
                Some(Before { rows, valued: valued.clone() })
            }
            None => None,
        };
        let headers = match &self.headers {
            Some(expr) => Some(headers_of(expr, &chunk, cx)?),
            None => chunk.headers.clone(),
        };
        let bound = |expr: &Expression, cx: &mut Context<'_>| {
            expr.evaluate(&chunk.rows, cx.now_ms, cx.failures).as_primitive::<Int64Type>().clone()
        };
        let windows = match &self.window {
            Some([start, end]) => Some([bound(start, cx), bound(end, cx)]),
            None => chunk.windows.clone(),
        };
        Ok(Emitted::from(Chunk { before, headers, windows, ..chunk.with_rows(rows) }))
    }

    /// A column that is passed on is not longer than it was, and there is a bound for numbers.
    fn lengthens(&self) -> bool {
        let is_passed_on = |column: &Column| column.expr.is_column() || is_sized(column.expr.data_type());
        !self.columns.iter().all(is_passed_on)
    }

    fn repeats(&self) -> bool {
        self.headers.is_none() && self.window.is_none() && self.columns.iter().all(|column| column.expr.is_immutable())
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

/// The headers that an expression returns; its type was checked during planning.
fn headers_of(expr: &Expression, chunk: &Chunk, cx: &mut Context<'_>) -> Result<ListArray, ArrowError> {
    let values = expr.evaluate(&chunk.rows, cx.now_ms, cx.failures);
    let lists = headwater_expression::headers_of(&values).map_err(ArrowError::CastError)?;
    Ok(lists.as_list().clone())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::super::for_tests::{compiled, cx, shown, table};
    use super::*;

    /// Goal: what cannot be computed for a row that is deleted matters to nobody. Method: one 0 is deleted, and one is a row.
    #[test]
    fn what_fails_for_a_deleted_row_is_not_reported() {
        let column = Column { name: "a".to_owned(), expr: compiled("10 / a"), needs_value: false, is_group: false };
        let chunk = table(&[Some(0), Some(0)], &[Some(1), Some(1)]);
        let chunk = Chunk { valued: Some(NullBuffer::from(vec![false, true])), ..chunk };
        for (is_table, expected) in [(true, vec![1]), (false, vec![0, 1])] {
            let project = Project::new(vec![column.clone()], None);
            let mut project = if is_table { project.of_table() } else { project };
            let mut failures = Vec::new();
            let mut context = cx!();
            context.failures = &mut failures;
            project.push(Port(0), chunk.clone(), &mut context).expect("nothing fails");
            assert_eq!(failures.iter().map(|failure| failure.row).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_window_in_the_key_is_computed() {
        let bounds = ["a * 10", "a * 10 + 5"].map(|text| compiled(text).into_type(DataType::Int64));
        let mut project = Project::new(Vec::new(), None).with_window(Some(bounds));
        let rows = table(&[Some(1), None], &[None, None]);
        let Ok(Emitted::Rows(chunk)) = project.push(Port(0), rows, &mut cx!()) else { panic!("rows come out") };
        let windows = chunk.windows.expect("both bounds");
        assert_eq!(windows.map(|bound| bound.iter().collect::<Vec<_>>()), [[Some(10), None], [Some(15), None]]);
    }

    /// Goal: `before` is computed like the row, and only if asked for. Method: an expression that fails on 0.
    #[test]
    fn what_was_before_is_computed_if_asked_for() {
        let columns =
            |needs_value| vec![Column { name: "a".to_owned(), expr: compiled("10 / a"), needs_value, is_group: false }];
        let push = |mut project: Project| {
            let mut failures = Vec::new();
            let mut context = cx!();
            context.failures = &mut failures;
            let chunk = table(&[Some(5), None, Some(0)], &[Some(0), Some(2), None]);
            let Ok(Emitted::Rows(chunk)) = project.push(Port(0), chunk, &mut context) else { panic!("rows come out") };
            (chunk, failures.iter().map(|failure| failure.row).collect::<Vec<_>>())
        };
        for needs_value in [false, true] {
            let (chunk, failed) = push(Project::new(columns(needs_value), None).with_before());
            assert_eq!(shown(&chunk), ["0: null→2", "1: 5→-", "2: -→null"]);
            assert_eq!(failed, [2], "what failed before is not reported again");
            let (chunk, failed) = push(Project::new(columns(needs_value), None));
            assert!(chunk.before.is_none());
            assert_eq!(failed, [2]);
        }
    }
}
