//! An input of a join: which of its columns are kept, and how they become keys and values of a store.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::nullif;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::JoinSide;

use crate::chunk::Chunk;
use crate::complaint::NO_JOIN_KEY;
use crate::operators::encoding::Encoding;
use crate::operators::internal;

/// An input of a join.
#[derive(Clone, Debug)]
pub struct Side {
    /// The index of the column with the key.
    key: usize,
    /// The columns that are emitted, by index.
    columns: Vec<usize>,
    /// The columns that are emitted.
    pub fields: Vec<FieldRef>,
    /// The encoding of keys, which is the same for both inputs.
    pub keys: Encoding,
}

/// Rows of one side of a join, some of which may not exist.
#[derive(Clone, Debug)]
pub struct SideRows {
    /// The emitted columns except the key, in order.
    pub values: Vec<ArrayRef>,
    /// Whether each row exists; `None` if all do.
    pub exists: Option<BooleanArray>,
}

impl Side {
    /// The input with the columns of `input`, of which the `used` ones are emitted. Fails if there is no column with the key.
    pub fn new(side: &JoinSide, input: &SchemaRef, used: &BTreeSet<String>) -> Result<Self, Vec<Diagnostic>> {
        let missing = |_| internal(format!("column \"{}\" does not exist", side.key));
        let key = input.index_of(&side.key).map_err(missing)?;
        let is_used = |at: &usize| used.contains(input.field(*at).name());
        let columns: Vec<usize> = (0..input.fields().len()).filter(is_used).collect();
        let field = |at: &usize| Arc::new(input.field(*at).clone().with_nullable(true));
        let fields = columns.iter().map(field).collect();
        Ok(Self { key, fields, columns, keys: Encoding::new(vec![field(&key)]).map_err(internal)? })
    }

    /// The columns that are emitted, except the key.
    pub fn value_fields(&self) -> Vec<FieldRef> {
        let fields = self.columns.iter().zip(&self.fields).filter(|(at, _)| **at != self.key);
        fields.map(|(_, field)| field.clone()).collect()
    }

    /// The rows of a chunk that have a key. The others are reported: they have no match.
    pub fn keyed(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        failures.extend(keyless(&chunk, self.key));
        match chunk.rows.column(self.key).logical_nulls() {
            Some(nulls) => chunk.filter(&BooleanArray::new(nulls.into_inner(), None)),
            None => Ok(chunk),
        }
    }

    /// The key of each row.
    pub fn key<'a>(&self, rows: &'a RecordBatch) -> &'a ArrayRef {
        rows.column(self.key)
    }

    /// The emitted columns of rows, except the key.
    pub fn values(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().filter(|at| **at != self.key).map(|at| rows.column(*at).clone()).collect()
    }

    /// The emitted columns of rows with these keys. They are null in rows that do not exist, except the key where `keeps_key`.
    pub fn emitted(
        &self,
        key: &ArrayRef,
        rows: &SideRows,
        keeps_key: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let absent = rows.exists.as_ref().map(arrow::compute::not).transpose()?;
        let mut values = rows.values.iter();
        let column = |at: &usize| match (&absent, *at == self.key) {
            (None, true) => Ok(key.clone()),
            (Some(absent), true) => match keeps_key {
                Some(keeps) => nullif(key, &arrow::compute::and(absent, &arrow::compute::not(keeps)?)?),
                None => nullif(key, absent),
            },
            (absent, false) => {
                let values = values.next().expect("there is a value for each column but the key");
                absent.as_ref().map_or(Ok(values.clone()), |absent| nullif(values, absent))
            }
        };
        self.columns.iter().map(column).collect()
    }
}

/// The failures of the rows in which the column of the key is null: they have no match.
pub fn keyless(chunk: &Chunk, key: usize) -> Vec<Failure> {
    let Some(nulls) = chunk.rows.column(key).logical_nulls() else { return Vec::new() };
    let expr = chunk.rows.schema().field(key).name().clone();
    let failure = |row| Failure { row, expr: expr.clone(), reason: NO_JOIN_KEY.to_owned() };
    (0..chunk.len()).filter(|row| nulls.is_null(*row)).map(failure).collect()
}

/// The values with those removed that `exists` does not have.
pub fn existing(values: &BinaryArray, exists: Option<&BooleanArray>) -> Result<BinaryArray, ArrowError> {
    let Some(exists) = exists else { return Ok(values.clone()) };
    Ok(nullif(values, &arrow::compute::not(exists)?)?.as_binary().clone())
}

/// Which values are not null; `None` if none is.
pub fn present(values: &dyn Array) -> Option<BooleanArray> {
    let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0)?;
    Some(BooleanArray::new(nulls.inner().clone(), None))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    /// Goal: a row that does not exist keeps its key where it is to, wherever its flags are in their buffers. Method: the flags
    /// are slices of arrays of other lengths, so that they begin at different bits.
    #[test]
    fn keys_are_kept_by_the_flags_of_their_own_rows() {
        let schema = Schema::new(vec![Field::new("K", DataType::Utf8, true), Field::new("V", DataType::Int32, true)]);
        let used = ["K", "V"].map(str::to_owned).into();
        let side = Side::new(&JoinSide { key: "K".to_owned(), store: None }, &Arc::new(schema), &used).unwrap();
        let flags = |start: usize, flags: [bool; 4]| {
            let longer = [vec![true; start], flags.to_vec()].concat();
            BooleanArray::from(longer).slice(start, 4)
        };
        let key = Arc::new(StringArray::from(vec!["a", "b", "c", "d"])) as ArrayRef;
        let values = vec![Arc::new(Int32Array::from(vec![1, 2, 3, 4])) as ArrayRef];
        for (exists, keeps) in [(0, 0), (6, 3), (3, 6), (7, 0), (0, 9)] {
            let rows = SideRows { values: values.clone(), exists: Some(flags(exists, [true, false, true, false])) };
            let emitted = side.emitted(&key, &rows, Some(&flags(keeps, [true, true, false, false]))).unwrap();
            assert_eq!(emitted[0].as_string::<i32>(), &StringArray::from(vec![Some("a"), Some("b"), Some("c"), None]));
            assert_eq!(emitted[1].as_primitive(), &Int32Array::from(vec![Some(1), None, Some(3), None]));
        }
    }
}
