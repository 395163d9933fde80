//! Maps: built from arrays, split into keys and values, merged.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray, UInt32Array, make_comparator,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{SortOptions, concat, is_null, take};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

use crate::call::{Call, Row, item_field, offsets};

/// The lengths of a column of maps, whose entries are written elsewhere.
pub struct Lengths {
    lengths: Vec<usize>,
    nulls: NullBuffer,
}

/// Calls `write` for each row that is not null; it writes the entries and returns their number.
pub fn map_from(call: &Call<'_>, mut write: impl FnMut(usize) -> Row<usize>) -> Result<Lengths> {
    let mut lengths = Vec::with_capacity(call.rows());
    let mut valid = Vec::with_capacity(call.rows());
    for row in 0..call.rows() {
        let null = call.nulls().is_some_and(|nulls| nulls.is_null(row));
        let found = if null { None } else { call.settle(write(row)) };
        lengths.push(found.unwrap_or(0));
        valid.push(found.is_some());
    }
    Ok(Lengths { lengths, nulls: valid.into() })
}

impl Lengths {
    /// The maps of the call's type with these keys and values.
    pub fn of(self, call: &Call<'_>, keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef> {
        assemble(call.returns(), self.lengths, Some(self.nulls), keys, values)
    }
}

/// Values as keys of maps. Arrow does not allow NULL keys: in texts, NULL becomes `null`, as JSON writes it; for
/// other types it is an error.
pub fn keys_of(keys: ArrayRef) -> Result<ArrayRef> {
    if keys.null_count() == 0 {
        return Ok(keys);
    }
    if keys.data_type() != &DataType::Utf8 {
        return exec_err!("a key of a map is NULL");
    }
    Ok(zip(&is_null(&keys)?, &StringArray::new_scalar("null"), &keys)?)
}

/// Maps of a type from their lengths, keys and values.
pub fn assemble(
    ty: &DataType,
    lengths: Vec<usize>,
    nulls: Option<NullBuffer>,
    keys: ArrayRef,
    values: ArrayRef,
) -> Result<ArrayRef> {
    let DataType::Map(entries, ordered) = ty else { return exec_err!("{ty} is not a map") };
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("{ty} has no entries") };
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(entries.clone(), offsets(lengths)?, pairs, nulls, *ordered)?))
}

/// MAP_KEYS.
pub fn keys(call: &Call<'_>) -> Result<ArrayRef> {
    let maps = call.maps(0);
    parts(call, maps.array().keys())
}

/// MAP_VALUES.
pub fn values(call: &Call<'_>) -> Result<ArrayRef> {
    let maps = call.maps(0);
    parts(call, maps.array().values())
}

fn parts(call: &Call<'_>, of: &ArrayRef) -> Result<ArrayRef> {
    let maps = call.maps(0);
    if !maps.is_constant() {
        let (map, item) = (maps.array(), item_field(call.returns())?);
        return Ok(Arc::new(ListArray::try_new(item, map.offsets().clone(), of.clone(), map.nulls().cloned())?));
    }
    call.each_taken(of, |row, places| {
        let Some(range) = maps.range(row) else { return Ok(None) };
        places.extend(range.map(|at| Some(at as u32)));
        Ok(Some(()))
    })
}

/// AS_MAP.
pub fn as_map(call: &Call<'_>) -> Result<ArrayRef> {
    let (keys, values) = (call.lists(0), call.lists(1));
    let all = keys_of(keys.array().values().clone())?;
    let names = all.as_string::<i32>();
    let mut taken: Vec<(u32, Option<u32>)> = Vec::new();
    let built = map_from(call, |row| {
        let (Some(keys), Some(values)) = (keys.range(row), values.range(row)) else { return Ok(None) };
        let first = taken.len();
        for (at, key) in keys.enumerate() {
            let value = (at < values.len()).then_some((values.start + at) as u32);
            match taken[first..].iter_mut().find(|(known, _)| names.value(*known as usize) == names.value(key)) {
                Some((_, last)) => *last = value,
                None => taken.push((key as u32, value)),
            }
        }
        Ok(Some(taken.len() - first))
    })?;
    let keys = take(&all, &taken.iter().map(|(key, _)| *key).collect::<UInt32Array>(), None)?;
    let values = take(values.array().values(), &taken.iter().map(|(_, value)| *value).collect::<UInt32Array>(), None)?;
    built.of(call, keys, values)
}

/// MAP_UNION.
pub fn union(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (call.maps(0), call.maps(1));
    let both = |of: fn(&MapArray) -> &ArrayRef| concat(&[of(left.array()).as_ref(), of(right.array()).as_ref()]);
    let (keys, values) = (both(MapArray::keys)?, both(MapArray::values)?);
    let second = left.array().keys().len();
    let same = make_comparator(&keys, &keys, SortOptions::default())?;
    let mut taken: Vec<(u32, u32)> = Vec::new();
    let built = map_from(call, |row| {
        let (left, right) = (left.range(row), right.range(row));
        if left.is_none() && right.is_none() {
            return Ok(None);
        }
        let first = taken.len();
        taken.extend(left.into_iter().flatten().map(|at| (at as u32, at as u32)));
        for at in right.into_iter().flatten().map(|at| second + at) {
            match taken[first..].iter_mut().find(|(known, _)| same(*known as usize, at).is_eq()) {
                Some((_, last)) => *last = at as u32,
                None => taken.push((at as u32, at as u32)),
            }
        }
        Ok(Some(taken.len() - first))
    })?;
    let keys = take(&keys, &taken.iter().map(|(key, _)| *key).collect::<UInt32Array>(), None)?;
    let values = take(&values, &taken.iter().map(|(_, value)| *value).collect::<UInt32Array>(), None)?;
    built.of(call, keys, values)
}
