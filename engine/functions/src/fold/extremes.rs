//! MIN and MAX of all types with an order. NULL is ignored; without values the result is NULL. Of DOUBLEs, NaN is the
//! greatest, as in Java.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, make_comparator, new_null_array};
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::picks::{Picks, pick};
use super::{Fold, Folded, Rows};
use crate::one_form::in_order;

/// MIN of values of this type.
pub(super) fn least(ty: &DataType) -> Option<Arc<dyn Fold>> {
    has_order(ty).then(|| Arc::new(Extreme { ty: ty.clone(), wanted: Ordering::Less }) as Arc<dyn Fold>)
}

/// MAX of values of this type.
pub(super) fn greatest(ty: &DataType) -> Option<Arc<dyn Fold>> {
    has_order(ty).then(|| Arc::new(Extreme { ty: ty.clone(), wanted: Ordering::Greater }) as Arc<dyn Fold>)
}

/// Whether the values of a type have an order.
pub(super) fn has_order(ty: &DataType) -> bool {
    !ty.is_nested() && !matches!(ty, DataType::Boolean | DataType::Null)
}

/// The smallest or the largest value.
#[derive(Debug)]
struct Extreme {
    ty: DataType,
    /// The order of a value and one that it replaces.
    wanted: Ordering,
}

impl Fold for Extreme {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("value", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let values = in_order(&concat(&[state[0].as_ref(), rows.args[0].as_ref()])?);
        let order = make_comparator(&values, &values, SortOptions::default())?;
        let nulls = values.nulls();
        let is_null = |place: usize| nulls.is_some_and(|nulls| nulls.is_null(place));
        let replaces = |new, old| !is_null(new) && (is_null(old) || order(new, old) == self.wanted);
        let Picks { groups, running } = pick(state[0].len(), rows, running, replaces);
        let running = running.map(|places| take(&values, &places, None)).transpose()?;
        Ok(Folded { state: vec![take(&values, &groups, None)?], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let (new, order) = (new_null_array(&self.ty, groups), Int64Array::from(vec![0; into.len()]));
        let rows = Rows { groups: into, args: state, undone: None, order: &order };
        self.fold(&[new], &rows, false).map(|folded| folded.state)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        state[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::super::for_tests::running;
    use super::*;

    #[test]
    fn nan_is_the_greatest_and_null_is_ignored() {
        let nan = -f64::NAN;
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![None, Some(nan), Some(1.0), Some(f64::INFINITY), None]));
        let least = least(&DataType::Float64).expect("DOUBLEs have an order");
        assert_eq!(running(&*least, std::slice::from_ref(&doubles), &[]), ["null", "NaN", "1.0", "1.0", "1.0"]);
        let greatest = greatest(&DataType::Float64).expect("DOUBLEs have an order");
        assert_eq!(running(&*greatest, &[doubles], &[]), ["null", "NaN", "NaN", "NaN", "NaN"]);
    }

    #[test]
    fn texts_have_the_order_of_their_bytes() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["b", "", "é", "z"]));
        let least = least(&DataType::Utf8).expect("texts have an order");
        assert_eq!(running(&*least, std::slice::from_ref(&texts), &[]), ["b", "", "", ""]);
        let greatest = greatest(&DataType::Utf8).expect("texts have an order");
        assert_eq!(running(&*greatest, &[texts], &[]), ["b", "b", "é", "é"]);
        assert!(super::least(&DataType::Boolean).is_none());
    }
}
