//! Code shared by the decoders and encoders of all formats: choosing columns, iterating over the rows of a batch,
//! rolling back a bad row, and collecting payloads.

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::FieldRef;

use super::column::Column;
use super::kind::FormatError;
use super::{BadRow, Decoded, Encoded, Layout};

/// The fields of a payload, and the requested columns of a decoder. Fields without a column are checked too, so that
/// whether a payload is bad does not depend on the requested columns.
pub(crate) struct Selected {
    /// All fields of the layout; columns support all their types.
    pub(crate) fields: Vec<FieldRef>,
    /// The columns, in the requested order.
    pub(crate) columns: Vec<Column>,
    /// For every field, the index of its column.
    pub(crate) by_field: Vec<Option<usize>>,
}

impl Selected {
    /// Creates a column for each field of `projection`; fails if a field does not exist, is requested twice or has an
    /// unsupported type.
    pub(crate) fn try_new(layout: &Layout, projection: &[usize]) -> Result<Self, FormatError> {
        let by_field = by_field(layout, projection)?;
        let column = |field: &FieldRef| Column::try_new(field.data_type());
        // For fields that are not requested, only the type is checked.
        layout.fields.iter().try_for_each(|field| column(field).map(drop))?;
        let columns = projection.iter().map(|field| column(&layout.fields[*field])).collect::<Result<_, _>>()?;
        Ok(Self { fields: layout.fields.clone(), columns, by_field })
    }
}

/// For every field, its place in the projection; fails if a field does not exist or is requested twice.
pub(crate) fn by_field(layout: &Layout, projection: &[usize]) -> Result<Vec<Option<usize>>, FormatError> {
    let mut by_field = vec![None; layout.fields.len()];
    for (column, field) in projection.iter().enumerate() {
        match by_field.get_mut(*field) {
            Some(free @ None) => *free = Some(column),
            _ => return Err(FormatError::projection(*field)),
        }
    }
    Ok(by_field)
}

/// The rows of a batch being decoded into columns.
pub(crate) struct Rows<'a> {
    columns: &'a mut [Column],
    bad: Vec<BadRow>,
}

impl<'a> Rows<'a> {
    /// Starts a batch; the columns are empty.
    pub(crate) fn new(columns: &'a mut [Column]) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == 0), "the last batch was taken out");
        Self { columns, bad: Vec::new() }
    }

    /// Decodes one payload with `read`, which adds a row to each column or returns an error; a bad row is rolled back
    /// and replaced by nulls.
    #[inline]
    pub(crate) fn decode(
        &mut self,
        row: usize,
        payloads: &BinaryArray,
        mut read: impl FnMut(&[u8], &mut [Column]) -> Result<(), String>,
    ) {
        if payloads.is_null(row) {
            return self.columns.iter_mut().for_each(Column::push_null);
        }
        if let Err(reason) = read(payloads.value(row), self.columns) {
            self.bad.push(BadRow { row, reason });
            for column in self.columns.iter_mut() {
                column.truncate(row);
                column.push_null();
            }
        }
        debug_assert!(self.columns.iter().all(|column| column.len() == row + 1), "one row a payload");
    }

    /// Ends the batch.
    pub(crate) fn finish(self) -> Decoded {
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        Decoded { columns, bad: self.bad, absent: Vec::new() }
    }
}

/// A builder for a column of payloads.
pub(crate) struct Payloads {
    offsets: Vec<i32>,
    present: Vec<bool>,
    bad: Vec<BadRow>,
    data: Vec<u8>,
}

impl Payloads {
    /// Reserves room for `rows` payloads.
    pub(crate) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, present: Vec::with_capacity(rows), bad: Vec::new(), data: Vec::new() }
    }

    /// Adds the payload that `write` appends; if `write` fails, the payload is null.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) {
        let start = self.data.len();
        let end = write(&mut self.data).and_then(|()| {
            i32::try_from(self.data.len()).map_err(|_| "the payloads of this batch exceed 2 GiB".to_owned())
        });
        match end {
            Ok(end) => self.close(end, true),
            Err(reason) => {
                self.bad.push(BadRow { row: self.present.len(), reason });
                self.data.truncate(start);
                self.push_null();
            }
        }
    }

    /// Adds a null payload.
    pub(crate) fn push_null(&mut self) {
        self.close(self.offsets[self.offsets.len() - 1], false);
    }

    fn close(&mut self, end: i32, present: bool) {
        self.offsets.push(end);
        self.present.push(present);
    }

    /// Ends the batch.
    pub(crate) fn finish(self) -> Encoded {
        let nulls = self.present.contains(&false).then(|| NullBuffer::from(self.present));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Encoded { payloads: BinaryArray::new(offsets, Buffer::from_vec(self.data), nulls), bad: self.bad }
    }

    /// A batch in which every row is bad for the same reason.
    pub(crate) fn refuse(rows: usize, reason: &str) -> Encoded {
        let mut payloads = Self::new(rows);
        (0..rows).for_each(|_| payloads.push(|_| Err(reason.to_owned())));
        payloads.finish()
    }
}

/// The columns with exactly the types of the layout: a view or a dictionary is converted to the plain type. Fails,
/// naming the column, if there is no lossless conversion, or if the number of columns is wrong.
pub(crate) fn conform(columns: &[ArrayRef], layout: &Layout) -> Result<Vec<ArrayRef>, String> {
    if columns.len() != layout.fields.len() {
        return Err(format!("expected {} columns, found {}", layout.fields.len(), columns.len()));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |(column, field): (&ArrayRef, &FieldRef)| match column.data_type() {
        same if same == field.data_type() => Ok(column.clone()),
        _ => cast_with_options(column, field.data_type(), &options)
            .map_err(|error| format!("column \"{}\" has a different type: {error}", field.name())),
    };
    columns.iter().zip(&layout.fields).map(cast).collect()
}

/// True if the row has a payload.
pub(crate) fn is_present(null_rows: Option<&NullBuffer>, row: usize) -> bool {
    null_rows.is_none_or(|nulls| nulls.is_valid(row))
}
