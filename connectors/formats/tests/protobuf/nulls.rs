//! Columns without the nulls that a message cannot hold.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, MutableArrayData, StructArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type};
use headwater_formats::format::Presence;

/// Which nulls are left in a column. A null that is not becomes the default of its type.
#[derive(Clone, Copy)]
pub struct Nulls {
    /// Scalars may be null, outside of arrays and maps.
    pub scalars: bool,
    /// Arrays and maps may be null.
    pub lists: bool,
    /// The values of entries may be null.
    pub entries: bool,
    /// Doubles may be NaN, which differs from itself, and zero with a sign, which few writers keep.
    pub odd_doubles: bool,
}

/// Where the values of a column are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In fields of a message.
    Field,
    /// In an array.
    Item,
    /// In the entries of a map.
    Entry,
}

impl Nulls {
    /// Those that can be written: all but those in arrays.
    pub fn writable() -> Self {
        Self { scalars: true, lists: true, entries: true, odd_doubles: true }
    }

    /// Those that are read back.
    pub fn readable(presence: Presence) -> Self {
        Self { scalars: presence != Presence::Implicit, lists: false, entries: false, odd_doubles: true }
    }

    /// The column with these nulls only.
    pub fn of(self, column: &ArrayRef, place: Place) -> ArrayRef {
        let keep = |keep: bool| match place {
            Place::Field => keep,
            Place::Item => false,
            Place::Entry => self.entries,
        };
        let kept = |keeps: bool| column.nulls().cloned().filter(|_| keep(keeps));
        match column.data_type() {
            DataType::List(item) => {
                let list = column.as_list::<i32>();
                let items = self.of(list.values(), Place::Item);
                Arc::new(ListArray::new(item.clone(), list.offsets().clone(), items, kept(self.lists)))
            }
            DataType::Map(entries, _) => {
                let map = column.as_map();
                let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
                let pairs = vec![map.keys().clone(), self.of(map.values(), Place::Entry)];
                let pairs = StructArray::new(fields.clone(), pairs, None);
                Arc::new(MapArray::new(entries.clone(), map.offsets().clone(), pairs, kept(self.lists), false))
            }
            DataType::Struct(fields) => {
                let column = if keep(true) { column.clone() } else { emptied(column) };
                let children = column.as_struct().columns().iter().map(|child| self.of(child, Place::Field)).collect();
                Arc::new(StructArray::new(fields.clone(), children, kept(true)))
            }
            // The default of its message is no date.
            DataType::Date32 if place == Place::Entry => column.clone(),
            DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..) => with_nulls(column, kept(true)),
            DataType::Decimal128(..) | DataType::Decimal256(..) => with_nulls(column, kept(true)),
            DataType::Float64 if !self.odd_doubles => {
                let doubles = column.as_primitive::<Float64Type>().unary::<_, Float64Type>(plain);
                with_nulls(&(Arc::new(doubles) as ArrayRef), kept(self.scalars))
            }
            _ => with_nulls(column, kept(self.scalars)),
        }
    }
}

fn plain(double: f64) -> f64 {
    if double.is_nan() { 1.0 } else { double + 0.0 }
}

/// The column with nothing where it is null.
fn emptied(column: &ArrayRef) -> ArrayRef {
    let data = column.to_data();
    let mut emptied = MutableArrayData::new(vec![&data], true, column.len());
    for row in 0..column.len() {
        match column.is_valid(row) {
            true => emptied.try_extend(0, row, row + 1).unwrap(),
            false => emptied.try_extend_nulls(1).unwrap(),
        }
    }
    make_array(emptied.freeze())
}

/// The column with other nulls; the place of one that is gone has the default.
fn with_nulls(column: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    make_array(emptied(column).to_data().into_builder().nulls(nulls).build().unwrap())
}
