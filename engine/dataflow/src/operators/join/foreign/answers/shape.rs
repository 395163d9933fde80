//! The columns of requests, right rows and answers, and how they are stored.
//!
//! ```text
//! left store    right key, left key → number of the request, time, the other left columns
//! right store   right key           → time, the other right columns
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{ForeignJoin, JoinKind};

use super::super::{index, take_all};
use crate::chunk::Chunk;
use crate::operators::encoding::Encoding;
use crate::operators::internal;

/// Where the columns are.
#[derive(Debug)]
pub struct Shape {
    /// The index of the column of requests that refers to a right row.
    pub foreign_key: usize,
    /// The indices of the columns of the left key.
    left_key: Vec<usize>,
    /// The index of the column with the number of a request.
    pub version: usize,
    /// The index of the column with the kind of a request.
    pub request: usize,
    /// The indices of all left columns.
    pub left: Vec<usize>,
    /// The indices of those that are neither in the left key nor refer to a right row.
    left_others: Vec<usize>,
    /// The index of the column of the right key.
    pub right_key: usize,
    reference_encoding: Encoding,
    left_key_encoding: Encoding,
    left_encoding: Encoding,
    right_encoding: Encoding,
    /// Whether left rows without a right row are kept.
    pub keeps_unmatched: bool,
    /// The columns of answers.
    pub schema: SchemaRef,
}

/// The columns of answers.
pub struct Answers {
    /// The left columns.
    pub left: Vec<ArrayRef>,
    /// The right columns.
    pub right: Vec<ArrayRef>,
    /// The numbers of the requests.
    pub versions: Int64Array,
    /// The event times.
    pub times_ms: Int64Array,
    /// Whether there is a joined row.
    pub has_row: BooleanArray,
}

impl Answers {
    /// Some of the answers.
    pub fn take(self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        Ok(Self {
            left: take_all(&self.left, rows)?,
            right: take_all(&self.right, rows)?,
            versions: take(&self.versions, rows, None)?.as_primitive().clone(),
            times_ms: take(&self.times_ms, rows, None)?.as_primitive().clone(),
            has_row: take(&self.has_row, rows, None)?.as_boolean().clone(),
        })
    }
}

impl Shape {
    /// The shape for these columns. Fails if a column does not exist or has another type.
    pub fn new(join: &ForeignJoin, left: &SchemaRef, right: &SchemaRef) -> Result<Self, Vec<Diagnostic>> {
        let [foreign_key, version, request] =
            [&join.foreign_key, &join.version, &join.request].map(|name| index(name, left));
        let (foreign_key, version, request) = (foreign_key?, version?, request?);
        let left_key = join.left_key.iter().map(|name| index(name, left)).collect::<Result<Vec<_>, _>>()?;
        let right_key = index(&join.right_key, right)?;
        let data_type = |schema: &SchemaRef, at: usize| schema.field(at).data_type().clone();
        if data_type(left, foreign_key) != data_type(right, right_key) {
            return Err(internal("the keys of a join have different types"));
        }
        if [version, request].map(|at| data_type(left, at)) != [DataType::Int64, DataType::Int32] {
            return Err(internal("the columns of a request have other types"));
        }
        let columns: Vec<usize> = (0..left.fields().len()).filter(|at| ![version, request].contains(at)).collect();
        let is_stored = |at: &usize| *at != foreign_key && !left_key.contains(at);
        let left_others: Vec<usize> = columns.iter().copied().filter(is_stored).collect();
        let right_others: Vec<usize> = (0..right.fields().len()).filter(|at| *at != right_key).collect();
        let field =
            |schema: &SchemaRef, at: usize| -> FieldRef { Arc::new(schema.field(at).clone().with_nullable(true)) };
        let fields = |schema: &SchemaRef, of: &[usize]| of.iter().map(|at| field(schema, *at)).collect::<Vec<_>>();
        let own = |name: &str, data_type| -> FieldRef { Arc::new(Field::new(name, data_type, true)) };
        let encoding = |own: Vec<FieldRef>, others: Vec<FieldRef>| {
            Encoding::new(own.into_iter().chain(others).collect()).map_err(internal)
        };
        let [number, time] = ["number", "time"].map(|name| own(name, DataType::Int64));
        let marks = vec![own(&join.version, DataType::Int64), own(&join.has_row, DataType::Boolean)];
        let all = fields(left, &columns).into_iter().chain(right.fields().iter().cloned()).chain(marks);
        let nullable = |field: FieldRef| field.as_ref().clone().with_nullable(true);
        Ok(Self {
            reference_encoding: encoding(vec![field(left, foreign_key)], Vec::new())?,
            left_key_encoding: encoding(fields(left, &left_key), Vec::new())?,
            left_encoding: encoding(vec![number, time.clone()], fields(left, &left_others))?,
            right_encoding: encoding(vec![time], fields(right, &right_others))?,
            schema: Arc::new(Schema::new(all.map(nullable).collect::<Vec<_>>())),
            keeps_unmatched: join.kind == JoinKind::Left,
            left: columns,
            foreign_key,
            left_key,
            version,
            request,
            left_others,
            right_key,
        })
    }

    /// The right key to which each request refers, and its left key.
    pub fn request_keys(&self, chunk: &Chunk) -> Result<(BinaryArray, BinaryArray), ArrowError> {
        let references = self.reference_encoding.encode(&[chunk.rows.column(self.foreign_key).clone()], chunk.len())?;
        let columns: Vec<ArrayRef> = self.left_key.iter().map(|at| chunk.rows.column(*at).clone()).collect();
        Ok((references, self.left_key_encoding.encode(&columns, chunk.len())?))
    }

    /// The key of each right row.
    pub fn right_keys(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        self.reference_encoding.encode(&[chunk.rows.column(self.right_key).clone()], chunk.len())
    }

    /// The value in the store for each left row of a request.
    pub fn left_row(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        let times: ArrayRef = Arc::new(chunk.times_ms.clone());
        let own = [chunk.rows.column(self.version).clone(), times];
        let others = self.left_others.iter().map(|at| chunk.rows.column(*at).clone());
        self.left_encoding.encode(&own.into_iter().chain(others).collect::<Vec<_>>(), chunk.len())
    }

    /// The value in the store for each right row; null for a row that is deleted.
    pub fn right_value(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        let mut columns = chunk.rows.columns().to_vec();
        columns.remove(self.right_key);
        columns.insert(0, Arc::new(chunk.times_ms.clone()));
        let (offsets, values, _) = self.right_encoding.encode(&columns, chunk.len())?.into_parts();
        Ok(BinaryArray::new(offsets, values, chunk.valued.clone()))
    }

    /// The times of right rows, and their columns without the key, from the values in the store.
    pub fn right_row(&self, values: &BinaryArray) -> Result<(Int64Array, Vec<ArrayRef>), ArrowError> {
        let mut columns = self.right_encoding.decode(values)?;
        let times = columns.remove(0);
        Ok((times.as_primitive::<Int64Type>().clone(), columns))
    }

    /// The columns of right rows, from the key and the others.
    pub fn right_columns(&self, key: ArrayRef, mut others: Vec<ArrayRef>) -> Vec<ArrayRef> {
        others.insert(self.right_key, key);
        others
    }

    /// The left columns of answers with their numbers and times, from what is stored of the left rows: keys, values, and the
    /// column that refers to a right row.
    pub fn left_stored(
        &self,
        keys: &BinaryArray,
        values: &BinaryArray,
        foreign_key: ArrayRef,
    ) -> Result<(Vec<ArrayRef>, Int64Array, Int64Array), ArrowError> {
        let keys = self.left_key_encoding.decode(keys)?;
        let mut others = self.left_encoding.decode(values)?;
        let stored = others.split_off(2);
        let column = |at: &usize| match (self.left_key.iter().position(|key| key == at), *at == self.foreign_key) {
            (Some(key), _) => keys[key].clone(),
            (None, true) => foreign_key.clone(),
            (None, false) => {
                let place = self.left_others.iter().position(|other| other == at);
                stored[place.expect("a column that is not in a key is stored")].clone()
            }
        };
        let left = self.left.iter().map(column).collect();
        let [versions, times_ms] = [0, 1].map(|at| others[at].as_primitive::<Int64Type>().clone());
        Ok((left, versions, times_ms))
    }

    /// Answers as rows, each caused by a row of `chunk`.
    pub fn chunk(&self, chunk: &Chunk, answers: Answers, causes: &UInt32Array) -> Result<Chunk, ArrowError> {
        let Answers { left, right, versions, times_ms, has_row } = answers;
        let marks: [ArrayRef; 2] = [Arc::new(versions), Arc::new(has_row)];
        let columns = left.into_iter().chain(right).chain(marks).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let none = chunk.rows.project(&[])?;
        let (valued, before, headers, windows): (Option<NullBuffer>, _, _, _) = (None, None, None, None);
        let address = Chunk { valued, before, headers, windows, ..chunk.clone() }.with_rows(none);
        Ok(Chunk { times_ms, ..address.take(causes)?.with_rows(rows) })
    }
}
