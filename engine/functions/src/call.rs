//! One call of a kernel: its arguments as typed columns, and helpers that build its result.
//!
//! Arguments have the canonical Arrow types of [`headwater_language::types`]. A constant argument is a column of one
//! row that is read for every row; a kernel need not know about it.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, ListArray, MapArray, NullBufferBuilder,
    PrimitiveArray, StringArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{take, unary};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::exec_datafusion_err;
use datafusion::error::{DataFusionError, Result};

/// An argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its values; one for all rows if it is constant.
    pub values: ArrayRef,
    /// Whether it is constant.
    pub constant: bool,
}

/// A call of a function over a batch of rows.
pub struct Call<'a> {
    name: &'static str,
    args: &'a [Arg],
    rows: usize,
    returns: &'a DataType,
    /// Rows that are null regardless of the kernel.
    nulls: Option<NullBuffer>,
    /// The error of the first row that failed.
    failure: RefCell<Option<String>>,
}

/// The result for a row: a value, null, or an error.
pub type Row<V> = std::result::Result<Option<V>, String>;

/// A column of one type that is read by row.
pub struct Column<'a, A> {
    array: &'a A,
    constant: bool,
}

/// A text column.
pub type Texts<'a> = Column<'a, StringArray>;
/// A bytes column.
pub type Blobs<'a> = Column<'a, BinaryArray>;
/// A column of numbers.
pub type Numbers<'a, P> = Column<'a, PrimitiveArray<P>>;
/// A column of arrays.
pub type Lists<'a> = Column<'a, ListArray>;
/// A column of maps.
pub type Maps<'a> = Column<'a, MapArray>;

impl<'a, A: Array> Column<'a, A> {
    /// Whether it has one value for all rows.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    /// True if the row is null.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.at(row))
    }

    /// The Arrow array behind it.
    pub fn array(&self) -> &'a A {
        self.array
    }
}

impl<'a> Texts<'a> {
    /// The text of a row; empty if it is null.
    pub fn value(&self, row: usize) -> &'a str {
        self.array.value(self.at(row))
    }

    /// True if all texts are ASCII.
    pub fn are_ascii(&self) -> bool {
        self.bytes().is_ascii()
    }

    /// The bytes of all texts, concatenated.
    fn bytes(&self) -> &'a [u8] {
        let offsets = self.array.value_offsets();
        let (start, end) = (offsets[0] as usize, offsets[self.array.len()] as usize);
        &self.array.values()[start..end]
    }

    /// The texts with a mapping from ASCII to ASCII applied to each byte; `None` if they are not all ASCII.
    pub fn with_ascii(&self, change: impl Fn(&mut [u8])) -> Option<Result<ArrayRef>> {
        let mut bytes = self.bytes().is_ascii().then(|| self.bytes().to_vec())?;
        change(&mut bytes);
        let offsets = self.array.value_offsets();
        let shifted: Vec<i32> = offsets.iter().map(|offset| offset - offsets[0]).collect();
        let changed =
            StringArray::try_new(OffsetBuffer::new(shifted.into()), bytes.into(), self.array.nulls().cloned());
        Some(changed.map(|texts| Arc::new(texts) as ArrayRef).map_err(DataFusionError::from))
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        (!self.is_null(row)).then(|| self.value(row))
    }
}

impl<'a> Blobs<'a> {
    /// The bytes of a row; empty if it is null.
    pub fn value(&self, row: usize) -> &'a [u8] {
        self.array.value(self.at(row))
    }

    /// The bytes of a row.
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        (!self.is_null(row)).then(|| self.value(row))
    }
}

impl<P: ArrowPrimitiveType> Numbers<'_, P> {
    /// The number of a row; unspecified if it is null.
    pub fn value(&self, row: usize) -> P::Native {
        self.array.value(self.at(row))
    }

    /// The number of a row.
    pub fn get(&self, row: usize) -> Option<P::Native> {
        (!self.is_null(row)).then(|| self.value(row))
    }
}

impl Column<'_, BooleanArray> {
    /// The value of a row; unspecified if it is null.
    pub fn value(&self, row: usize) -> bool {
        self.array.value(self.at(row))
    }
}

impl Lists<'_> {
    /// The range of a row's elements among the values; none if it is null.
    pub fn range(&self, row: usize) -> Option<Range<usize>> {
        let at = self.at(row);
        let offsets = self.array.value_offsets();
        self.array.is_valid(at).then(|| offsets[at] as usize..offsets[at + 1] as usize)
    }
}

impl Maps<'_> {
    /// The range of a row's entries; none if it is null.
    pub fn range(&self, row: usize) -> Option<Range<usize>> {
        let at = self.at(row);
        let offsets = self.array.value_offsets();
        self.array.is_valid(at).then(|| offsets[at] as usize..offsets[at + 1] as usize)
    }
}

impl<'a> Call<'a> {
    /// A call; `nulls` are the rows that are null regardless of the kernel.
    pub fn new(
        name: &'static str,
        args: &'a [Arg],
        rows: usize,
        returns: &'a DataType,
        nulls: Option<NullBuffer>,
    ) -> Self {
        Self { name, args, rows, returns, nulls, failure: RefCell::default() }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of arguments.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// The type of the result.
    pub fn returns(&self) -> &'a DataType {
        self.returns
    }

    /// The type of an argument.
    pub fn type_of(&self, arg: usize) -> &'a DataType {
        self.args[arg].values.data_type()
    }

    /// The rows that are null regardless of the kernel.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// Records the error of a row. The call then fails as a whole, and the evaluator halves the rows until the
    /// failing ones are isolated.
    fn fail(&self, reason: &str) {
        self.failure.borrow_mut().get_or_insert_with(|| format!("{}: {reason}", self.name));
    }

    /// True if a row has already failed, so that further results are not needed.
    pub fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// The result, unless a row failed.
    pub fn finish(self, values: ArrayRef) -> Result<ArrayRef> {
        match self.failure.into_inner() {
            Some(reason) => Err(DataFusionError::Execution(reason)),
            None => Ok(values),
        }
    }

    /// An argument as a column with a value for each row.
    pub fn array(&self, arg: usize) -> Result<ArrayRef> {
        let Arg { values, constant } = &self.args[arg];
        if !constant || self.rows == 1 {
            return Ok(values.clone());
        }
        Ok(take(values, &UInt32Array::from(vec![0; self.rows]), None)?)
    }

    /// An argument as passed: one row if it is constant.
    pub fn arg(&self, arg: usize) -> &'a Arg {
        &self.args[arg]
    }

    /// A STRING argument.
    pub fn texts(&self, arg: usize) -> Texts<'a> {
        self.column(arg, AsArray::as_string::<i32>)
    }

    /// A BYTES argument.
    pub fn blobs(&self, arg: usize) -> Blobs<'a> {
        self.column(arg, AsArray::as_binary::<i32>)
    }

    /// An argument of numbers, days or times.
    pub fn numbers<P: ArrowPrimitiveType>(&self, arg: usize) -> Numbers<'a, P> {
        self.column(arg, AsArray::as_primitive::<P>)
    }

    /// A BOOLEAN argument.
    pub fn flags(&self, arg: usize) -> Column<'a, BooleanArray> {
        self.column(arg, AsArray::as_boolean)
    }

    /// An ARRAY argument.
    pub fn lists(&self, arg: usize) -> Lists<'a> {
        self.column(arg, AsArray::as_list::<i32>)
    }

    /// A MAP argument.
    pub fn maps(&self, arg: usize) -> Maps<'a> {
        self.column(arg, AsArray::as_map)
    }

    fn column<A>(&self, arg: usize, read: fn(&'a ArrayRef) -> &'a A) -> Column<'a, A> {
        let Arg { values, constant } = &self.args[arg];
        Column { array: read(values), constant: *constant }
    }

    /// The value of a row, or null, in which case an error is recorded.
    pub fn settle<V>(&self, row: Row<V>) -> Option<V> {
        row.unwrap_or_else(|reason| {
            self.fail(&reason);
            None
        })
    }

    fn skips(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Computes a column of numbers from another one, if no row can fail.
    pub fn map<P: ArrowPrimitiveType, R: ArrowPrimitiveType>(
        &self,
        arg: usize,
        value: impl Fn(P::Native) -> R::Native,
    ) -> Result<ArrayRef> {
        let values = self.array(arg)?;
        let mapped: PrimitiveArray<R> = unary(values.as_primitive::<P>(), value);
        Ok(Arc::new(mapped.with_data_type(self.returns.clone())))
    }

    /// A column of numbers, days or times, row by row; of the type of the result.
    pub fn each<P: ArrowPrimitiveType>(&self, value: impl FnMut(usize) -> Row<P::Native>) -> Result<ArrayRef> {
        self.each_as::<P>(self.returns, value)
    }

    /// The same for another type with the same layout.
    pub fn each_as<P: ArrowPrimitiveType>(
        &self,
        ty: &DataType,
        mut value: impl FnMut(usize) -> Row<P::Native>,
    ) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(self.rows);
        let mut valid = NullBufferBuilder::new(self.rows);
        for row in 0..self.rows {
            let value = if self.skips(row) { None } else { self.settle(value(row)) };
            valid.append(value.is_some());
            values.push(value.unwrap_or_default());
        }
        let values = PrimitiveArray::<P>::new(values.into(), valid.finish());
        Ok(Arc::new(values.with_data_type(ty.clone())))
    }

    /// A BOOLEAN column, row by row.
    pub fn each_flag(&self, mut value: impl FnMut(usize) -> Row<bool>) -> Result<ArrayRef> {
        let row = |row| if self.skips(row) { None } else { self.settle(value(row)) };
        Ok(Arc::new((0..self.rows).map(row).collect::<BooleanArray>()))
    }

    /// A STRING column, row by row: `write` appends the text after those of earlier rows, or returns none.
    pub fn each_text(&self, mut write: impl FnMut(usize, &mut String) -> Row<()>) -> Result<ArrayRef> {
        let mut values = String::with_capacity(self.rows * 8);
        let mut ends = Ends::new(self.rows);
        for row in 0..self.rows {
            let start = values.len();
            let found = if self.skips(row) { None } else { self.settle(write(row, &mut values)) };
            if found.is_none() {
                values.truncate(start);
            }
            ends.push(values.len(), found.is_some())?;
        }
        ends.texts(values)
    }

    /// A STRING column of parts of existing texts.
    pub fn each_str(&self, mut value: impl FnMut(usize) -> Row<&'a str>) -> Result<ArrayRef> {
        self.each_text(|row, out| Ok(value(row)?.map(|text| out.push_str(text))))
    }

    /// A BYTES column, row by row: `write` appends the bytes after those of earlier rows, or returns none.
    pub fn each_blob(&self, mut write: impl FnMut(usize, &mut Vec<u8>) -> Row<()>) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(self.rows * 8);
        let mut ends = Ends::new(self.rows);
        for row in 0..self.rows {
            let start = values.len();
            let found = if self.skips(row) { None } else { self.settle(write(row, &mut values)) };
            if found.is_none() {
                values.truncate(start);
            }
            ends.push(values.len(), found.is_some())?;
        }
        let (offsets, nulls) = ends.finish();
        Ok(Arc::new(BinaryArray::try_new(offsets, values.into(), nulls)?))
    }

    /// An ARRAY column: `write` appends the elements of a row to a builder, which `finish` completes.
    pub fn each_list<B>(
        &self,
        mut builder: B,
        mut write: impl FnMut(usize, &mut B) -> Row<usize>,
        finish: impl FnOnce(B) -> Result<ArrayRef>,
    ) -> Result<ArrayRef> {
        let mut lengths = Vec::with_capacity(self.rows);
        let mut valid = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let found = if self.skips(row) { None } else { self.settle(write(row, &mut builder)) };
            lengths.push(found.unwrap_or(0));
            valid.push(found.is_some());
        }
        self.list(lengths, valid.into(), finish(builder)?)
    }

    /// An ARRAY column whose elements are taken from a column by index.
    pub fn each_taken(
        &self,
        values: &ArrayRef,
        mut places: impl FnMut(usize, &mut Vec<Option<u32>>) -> Row<()>,
    ) -> Result<ArrayRef> {
        let write = |row: usize, taken: &mut Vec<Option<u32>>| {
            let before = taken.len();
            let found = places(row, taken);
            if !matches!(found, Ok(Some(()))) {
                taken.truncate(before);
            }
            found.map(|found| found.map(|()| taken.len() - before))
        };
        self.each_list(Vec::new(), write, |taken| Ok(take(values, &UInt32Array::from(taken), None)?))
    }

    /// An ARRAY column of the result's type from its elements.
    pub fn list(&self, lengths: Vec<usize>, nulls: NullBuffer, items: ArrayRef) -> Result<ArrayRef> {
        let lists = ListArray::try_new(item_field(self.returns)?, offsets(lengths)?, items, Some(nulls))?;
        Ok(Arc::new(lists))
    }
}

/// The ends of the texts or bytes of rows, and which of them are null.
struct Ends {
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Ends {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, valid: NullBufferBuilder::new(rows) }
    }

    fn push(&mut self, end: usize, valid: bool) -> Result<()> {
        self.offsets.push(offset(end)?);
        self.valid.append(valid);
        Ok(())
    }

    fn texts(self, values: String) -> Result<ArrayRef> {
        let (offsets, nulls) = self.finish();
        Ok(Arc::new(StringArray::try_new(offsets, values.into_bytes().into(), nulls)?))
    }

    fn finish(mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::new(self.offsets.into()), self.valid.finish())
    }
}

/// The texts and bytes of a batch must fit in 31 bits. The error makes a query retry with fewer rows.
pub fn offset(bytes: usize) -> Result<i32> {
    i32::try_from(bytes).map_err(|_| exec_datafusion_err!("the texts of a batch exceed 2 GiB"))
}

/// The offsets of lists of these lengths. Fails if there are more than about two billion elements.
pub fn offsets(lengths: impl IntoIterator<Item = usize>) -> Result<OffsetBuffer<i32>> {
    let mut end = 0_usize;
    let mut ends = vec![0_i32];
    for length in lengths {
        end += length;
        ends.push(i32::try_from(end).map_err(|_| exec_datafusion_err!("the arrays of a batch are too long"))?);
    }
    Ok(OffsetBuffer::new(ends.into()))
}

/// The field of a list type's items.
pub fn item_field(ty: &DataType) -> Result<FieldRef> {
    match ty {
        DataType::List(item) => Ok(item.clone()),
        other => Err(exec_datafusion_err!("{other} has no items")),
    }
}

/// A cache for a value compiled from a text, for the next row with the same text.
pub struct Memo<V> {
    last: RefCell<Option<(String, V)>>,
}

impl<V: Clone> Memo<V> {
    /// An empty cache.
    pub fn new() -> Self {
        Self { last: RefCell::new(None) }
    }

    /// The result of `make` for a text, from the cache if it was the last one.
    pub fn get(&self, text: &str, make: impl FnOnce(&str) -> V) -> V {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((known, value)) if known == text => value.clone(),
            _ => {
                let value = make(text);
                *last = Some((text.to_owned(), value.clone()));
                value
            }
        }
    }
}
