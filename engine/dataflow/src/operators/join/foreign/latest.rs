//! The last step: keeps the latest answer for each left row as a table.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{Latest as Definition, TableStore};

use super::index;
use crate::chunk::Chunk;
use crate::keeper::Keeper;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::Encoding;
use crate::operators::grouping::{Groups, group};
use crate::operators::internal;
use crate::operators::table::Table;

/// The operator that keeps the latest answers.
#[derive(Debug)]
pub struct Latest {
    /// The indices of the columns of the key.
    key: Vec<usize>,
    encoding: Encoding,
    version: usize,
    has_row: usize,
    /// The indices of the columns of the joined rows.
    kept: Vec<usize>,
    /// The index of the store for the versions in [`Context::stores`]. That of the table follows.
    store: usize,
    /// The table of joined rows.
    table: Box<dyn Operator>,
    schema: SchemaRef,
}

impl Latest {
    /// Creates the operator for answers with these columns, with its state in the store at the index `first_store` and in the
    /// next one. With `emits_every_change` it emits every change, otherwise each changed key at the barrier. With `gives_before`
    /// the rows include those before the change. Fails if a column does not exist.
    pub fn new(
        definition: &Definition,
        input: &SchemaRef,
        first_store: usize,
        emits_every_change: bool,
        gives_before: bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let key = definition.key.iter().map(|name| index(name, input)).collect::<Result<Vec<_>, _>>()?;
        let (version, has_row) = (index(&definition.version, input)?, index(&definition.has_row, input)?);
        let types = [version, has_row].map(|at| input.field(at).data_type().clone());
        if types != [DataType::Int64, DataType::Boolean] {
            return Err(internal("the columns of an answer have other types"));
        }
        let field = |at: &usize| -> FieldRef { Arc::new(input.field(*at).clone().with_nullable(true)) };
        let kept: Vec<usize> = (0..input.fields().len()).filter(|at| ![version, has_row].contains(at)).collect();
        let schema: SchemaRef = Arc::new(input.project(&kept).map_err(internal)?);
        let store = TableStore { store: definition.store.clone(), key: definition.key.clone(), is_result: false };
        let table = Table::new(&store, &schema, first_store + 1, emits_every_change, gives_before)?;
        let encoding = Encoding::new(key.iter().map(field).collect()).map_err(internal)?;
        Ok(Self { key, encoding, version, has_row, kept, store: first_store, table: Box::new(table), schema })
    }

    /// The columns of the joined rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The answers that are not older than others for the same left row, and the latest number for each group. `known` has the
    /// latest numbers so far.
    fn accepted(versions: &Int64Array, groups: &Groups, known: &BinaryArray) -> Result<Accepted, ArrowError> {
        let mut latest = (0..known.len()).map(|at| stored(known, at)).collect::<Result<Vec<_>, _>>()?;
        let mut is_accepted = |row: usize| {
            let latest = &mut latest[groups.numbers[row] as usize];
            let version = versions.value(row);
            let is_new = latest.is_none_or(|latest| latest <= version);
            *latest = if is_new { Some(version) } else { *latest };
            is_new
        };
        let rows = (0..versions.len()).map(|row| Some(is_accepted(row))).collect();
        Ok(Accepted { rows, latest: latest.into_iter().map(|latest| latest.map(i64::to_be_bytes)).collect() })
    }

    /// The joined rows of answers. An answer without one deletes it.
    fn joined(&self, chunk: Chunk) -> Result<Chunk, ArrowError> {
        let has_row = NullBuffer::new(chunk.rows.column(self.has_row).as_boolean().values().clone());
        let rows: RecordBatch = chunk.rows.project(&self.kept)?;
        let rows = RecordBatch::try_new(self.schema.clone(), rows.columns().to_vec())?;
        let valued = Some(has_row).filter(|has_row| has_row.null_count() > 0);
        Ok(Chunk { valued, ..chunk }.with_rows(rows))
    }
}

/// The answers that count.
struct Accepted {
    rows: BooleanArray,
    /// The latest number of each group, as it is stored.
    latest: BinaryArray,
}

/// The number in a value of the store; `None` if there is none.
fn stored(values: &BinaryArray, at: usize) -> Result<Option<i64>, ArrowError> {
    let damaged = || ArrowError::ParseError("the number of a request in the state is damaged".to_owned());
    let read = |value: &[u8]| value.try_into().map(i64::from_be_bytes).map_err(|_| damaged());
    values.is_valid(at).then(|| read(values.value(at))).transpose()
}

impl Operator for Latest {
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let columns: Vec<_> = self.key.iter().map(|at| chunk.rows.column(*at).clone()).collect();
        let keys = self.encoding.encode(&columns, chunk.len())?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let keys = take(&keys, &UInt32Array::from(groups.firsts.clone()), None)?.as_binary::<i32>().clone();
        let versions = chunk.rows.column(self.version).as_primitive::<Int64Type>();
        let accepted = Self::accepted(versions, &groups, &cx.stores[self.store].get(0, &keys)?)?;
        let joined = self.joined(chunk.filter(&accepted.rows)?)?;
        let emitted = self.table.push(port, joined, cx)?;
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        cx.stores[self.store].put(0, &keys, &accepted.latest);
        Ok(emitted)
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        self.table.barrier(cx)
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.table.keeper()
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        let Self { key, encoding, version, has_row, kept, store, table, schema } = self;
        Box::new(Self {
            key: key.clone(),
            encoding: encoding.clone(),
            version: *version,
            has_row: *has_row,
            kept: kept.clone(),
            store: *store,
            table: table.fresh(),
            schema: schema.clone(),
        })
    }
}
