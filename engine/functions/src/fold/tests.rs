//! Properties of all folds: batches may be cut anywhere, states can be merged and stored, undone rows leave nothing behind, and
//! the results are those of bounded queries where these are computed here, too.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StructArray, Time32MillisecondArray,
    TimestampMillisecondArray, UInt32Array, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use headwater_formats::format::{FormatKind, Layout};

use super::{Fold, Folded, Rows, fold};
use crate::aggregate::{FUNCTIONS, Shape, Shared, chosen, retracts};
use crate::choice::map_of;

const ROWS: usize = 48;
const GROUPS: usize = 3;

/// A call of an aggregate over rows.
struct Case {
    name: &'static str,
    args: Vec<ArrayRef>,
    constants: Vec<ScalarValue>,
    fold: Arc<dyn Fold>,
}

impl Case {
    fn types(&self) -> Vec<DataType> {
        self.args.iter().map(|arg| arg.data_type().clone()).collect()
    }

    fn text(&self) -> String {
        format!("{}({:?}, {:?})", self.name, self.types(), self.constants)
    }

    /// The states of new groups.
    fn new_states(&self) -> Vec<ArrayRef> {
        self.fold.state().iter().map(|field| new_null_array(field.data_type(), GROUPS)).collect()
    }

    /// Folds some rows, which are in a group each, into states.
    fn folded(&self, state: &[ArrayRef], rows: &[usize], undone: bool) -> Folded {
        let places: UInt32Array = rows.iter().map(|row| Some(*row as u32)).collect();
        let args: Vec<_> = self.args.iter().map(|arg| take(arg, &places, None).expect("rows")).collect();
        let groups: Vec<u32> = rows.iter().map(|row| group_of(*row)).collect();
        let order: Int64Array = rows.iter().map(|row| Some(*row as i64)).collect();
        let undone = undone.then(|| BooleanBuffer::new_set(rows.len()));
        let rows = Rows { groups: &groups, args: &args, undone: undone.as_ref(), order: &order };
        self.fold.fold(state, &rows, true).unwrap_or_else(|error| panic!("{}: {error}", self.text()))
    }
}

fn group_of(row: usize) -> u32 {
    (row * row % 7 % GROUPS) as u32
}

/// Columns of all types, with repeated values and nulls.
fn columns() -> Vec<ArrayRef> {
    let number = |row: usize| (!row.is_multiple_of(7)).then_some((row * 13 % 11) as i32 - 4);
    let numbers = || (0..ROWS).map(number);
    let long = |number: i32| i64::from(number) << 40;
    let double = |number: i32| if number == 0 { -0.0 } else { f64::from(number) * 0.25 };
    let decimal = || numbers().map(|number| number.map(i128::from)).collect::<Decimal128Array>();
    let list = |row: usize| (!row.is_multiple_of(5)).then(|| (0..row % 4).map(move |at| Some((at + row % 3) as i32)));
    let ints: ArrayRef = Arc::new(numbers().collect::<Int32Array>());
    let texts: ArrayRef = Arc::new(numbers().map(|n| n.map(|n| format!("t{n}"))).collect::<StringArray>());
    let pair =
        |name: &str, column: &ArrayRef| (Arc::new(Field::new(name, column.data_type().clone(), true)), column.clone());
    vec![
        ints.clone(),
        texts.clone(),
        Arc::new(numbers().map(|n| n.map(long)).collect::<Int64Array>()),
        Arc::new(numbers().map(|n| n.map(double)).collect::<Float64Array>()),
        Arc::new(decimal().with_precision_and_scale(5, 2).expect("few digits")),
        Arc::new(numbers().map(|n| n.map(|n| n > 0)).collect::<BooleanArray>()),
        Arc::new(numbers().map(|n| n.map(|n| vec![n as u8; 2])).collect::<BinaryArray>()),
        Arc::new(numbers().collect::<Date32Array>()),
        Arc::new(numbers().map(|n| n.map(i32::abs)).collect::<Time32MillisecondArray>()),
        Arc::new(numbers().map(|n| n.map(long)).collect::<TimestampMillisecondArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(list))),
        Arc::new(StructArray::from(vec![pair("A", &ints), pair("B", &texts)])),
        maps(),
    ]
}

/// Maps of two entries, in one order or the other.
fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), arrow::array::Int64Builder::new());
    for row in 0..ROWS {
        let mut entries = [("a", 1), ("b", (row % 2) as i64)];
        entries.rotate_left(row / 2 % 2);
        for (key, value) in entries {
            maps.keys().append_value(key);
            maps.values().append_value(value);
        }
        maps.append(row % 9 > 0).expect("keys and values are of one length");
    }
    let (field, offsets, entries, nulls, ordered) = maps.finish().into_parts();
    let DataType::Map(entry, _) = map_of(DataType::Utf8, DataType::Int64) else { panic!("{field} is a map") };
    let DataType::Struct(fields) = entry.data_type().clone() else { panic!("{entry} is a struct") };
    let entries = StructArray::new(fields, entries.columns().to_vec(), None);
    Arc::new(arrow::array::MapArray::new(entry, offsets, entries, nulls, ordered))
}

/// All calls that are supported over these columns.
fn cases() -> Vec<Case> {
    let columns = columns();
    let one = columns.iter().map(|column| vec![column.clone()]);
    let two = [[3, 3], [0, 1], [2, 11]].map(|places| places.map(|at: usize| columns[at].clone()).to_vec());
    let args: Vec<Vec<ArrayRef>> = std::iter::once(Vec::new()).chain(one).chain(two).collect();
    let (count, ignore) = (ScalarValue::from(3), ScalarValue::from(false));
    let constants = [vec![], vec![count.clone()], vec![ignore.clone()], vec![count, ignore]];
    let mut cases = Vec::new();
    for (function, args) in FUNCTIONS.iter().flat_map(|function| args.iter().map(move |args| (function, args))) {
        for constants in &constants {
            let types: Vec<_> = args.iter().map(|arg| arg.data_type().clone()).collect();
            let (name, args, constants) = (function.name, args.clone(), constants.clone());
            cases.extend(fold(name, &types, &constants).map(|fold| Case { name, args, constants, fold }));
        }
    }
    assert!(cases.len() > 190, "{} calls", cases.len());
    cases
}

fn is_close(one: f64, other: f64) -> bool {
    (one.is_nan() && other.is_nan()) || (one - other).abs() < 1e-9
}

fn assert_same(one: &ArrayRef, other: &ArrayRef, what: &str) {
    match (one.as_primitive_opt::<Float64Type>(), other.as_primitive_opt::<Float64Type>()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            let pairs = || a.iter().zip(b).map(|(a, b)| (a.unwrap_or(0.5), b.unwrap_or(0.5)));
            assert!(pairs().all(|(a, b)| is_close(a, b)), "{what}: {one:?} and not {other:?}");
        }
        _ => assert_eq!(one, other, "{what}"),
    }
}

/// Goal: batches may be cut anywhere. Method: all rows at once, one by one, and in threes; states, running results and results
/// have to be the same, and of the types that the fold declares.
#[test]
fn cuts_change_nothing() {
    let all: Vec<usize> = (0..ROWS).collect();
    for case in cases() {
        let whole = case.folded(&case.new_states(), &all, false);
        let running = whole.running.clone().expect("it was requested");
        for size in [1, 3] {
            let (mut state, mut pieces) = (case.new_states(), Vec::new());
            for rows in all.chunks(size) {
                let folded = case.folded(&state, rows, false);
                assert!(folded.rejected.is_empty());
                state = folded.state;
                pieces.extend(folded.running);
            }
            assert_eq!(state, whole.state, "{}", case.text());
            let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
            assert_eq!(&concat(&pieces).expect("one type"), &running, "{}", case.text());
        }
        let types: Vec<_> = whole.state.iter().map(|column| column.data_type().clone()).collect();
        let declared: Vec<_> = case.fold.state().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, declared, "{}", case.text());
        let result = case.fold.result(&whole.state);
        assert_eq!((result.data_type(), running.data_type()), (&case.fold.data_type(), &case.fold.data_type()));
        let last = |group| all.iter().rposition(|row| group_of(*row) == group).map(|row| row as u32);
        let last: UInt32Array = (0..GROUPS as u32).map(last).collect();
        assert_eq!(&take(&running, &last, None).expect("rows"), &result, "{}", case.text());
    }
}

/// Goal: states are merged as if their rows had been folded together. Method: each group in two parts, and an empty one.
#[test]
fn merged_states_are_those_of_all_rows() {
    let all: Vec<usize> = (0..ROWS).collect();
    for case in cases() {
        let whole = case.folded(&case.new_states(), &all, false).state;
        let (first, second) = all.split_at(ROWS / 2);
        let parts = [first, second].map(|rows| case.folded(&case.new_states(), rows, false).state);
        let both = |column: usize| {
            let new = &case.new_states()[column];
            concat(&[parts[0][column].as_ref(), new, parts[1][column].as_ref()]).expect("one type")
        };
        let states: Vec<ArrayRef> = (0..whole.len()).map(both).collect();
        let into: Vec<u32> = [1, 2, 3].repeat(3);
        let merged = case.fold.merge(&states, &into, 5).expect("nothing is out of range");
        assert!(merged.iter().all(|column| column.is_null(0) && column.is_null(4)), "{}", case.text());
        let merged: Vec<ArrayRef> = merged.iter().map(|column| column.slice(1, GROUPS)).collect();
        assert_same(&case.fold.result(&merged), &case.fold.result(&whole), &case.text());
    }
}

/// Goal: the latest row is the one that arrived last, whichever session is merged first. Method: merges in both orders.
#[test]
fn ends_are_merged_by_order() {
    let all: Vec<usize> = (0..ROWS).collect();
    for case in cases().into_iter().filter(|case| case.name.ends_with("BY_OFFSET")) {
        let whole = case.folded(&case.new_states(), &all, false).state;
        let (odd, even): (Vec<usize>, Vec<usize>) = all.iter().partition(|row| **row % 2 == 1);
        let parts = [odd, even].map(|rows| case.folded(&case.new_states(), &rows, false).state);
        for order in [[0, 1], [1, 0]] {
            let both =
                |column: usize| concat(&order.map(|part: usize| parts[part][column].as_ref())).expect("one type");
            let states: Vec<ArrayRef> = (0..whole.len()).map(both).collect();
            let merged = case.fold.merge(&states, &[0, 1, 2, 0, 1, 2], GROUPS).expect("it merges");
            assert_eq!(merged, whole, "{}", case.text());
        }
    }
}

/// Goal: undone rows leave nothing behind. Method: all rows are undone, in another order.
#[test]
fn undone_rows_leave_nothing_behind() {
    let all: Vec<usize> = (0..ROWS).collect();
    let backwards: Vec<usize> = (0..ROWS).map(|row| row * 11 % ROWS).collect();
    let mut undone = 0;
    for case in cases() {
        assert_eq!(case.fold.can_undo(), retracts(case.name), "{}", case.text());
        if case.fold.can_undo() {
            undone += 1;
            let nothing = case.folded(&case.new_states(), &[], false).state;
            let some = case.folded(&case.new_states(), &all, false).state;
            let left = case.folded(&some, &backwards, true).state;
            assert_same(&case.fold.result(&left), &case.fold.result(&nothing), &case.text());
        }
    }
    assert!(undone > 50, "{undone} calls");
}

/// Goal: a store can hold every state. Method: all states are encoded and decoded.
#[test]
fn states_can_be_stored() {
    let all: Vec<usize> = (0..ROWS).collect();
    for case in cases() {
        let state = case.folded(&case.new_states(), &all, false).state;
        let fields = case.fold.state().into_iter().map(Arc::new).collect();
        let layout = Layout { wrapped: false, ..Layout::of(fields) };
        let columns: Vec<usize> = (0..state.len()).collect();
        let encoded = FormatKind::Compact.encoder(&layout).expect("it is supported").encode(&state, GROUPS, None);
        let mut decoder = FormatKind::Compact.decoder(&layout, &columns).expect("it is supported");
        let decoded = decoder.decode(&encoded.payloads).columns;
        assert_eq!(decoded, state, "{}", case.text());
    }
}

/// Goal: a continuous query has the result of a bounded one. Method: the rows of each group in both; the sums, averages, counts
/// and extremes of bounded queries are computed elsewhere.
#[test]
fn results_are_those_of_bounded_queries() {
    let mut compared = 0;
    for case in cases() {
        let function = FUNCTIONS.iter().find(|function| function.name == case.name).expect("it is one of them");
        let types = case.types().into_iter().chain(case.constants.iter().map(ScalarValue::data_type));
        let Ok(chosen) = chosen(function, &types.collect::<Vec<_>>()) else { continue };
        let Some(recipe) = chosen.variant.kernel.recipe else { continue };
        let shape = Shape {
            takes: case.types(),
            constants: case.constants.clone(),
            returns: chosen.returns,
            positions: 0,
            sliding: false,
            limit: usize::MAX,
            shared: Shared::default(),
        };
        let all: Vec<usize> = (0..ROWS).collect();
        let result = case.fold.result(&case.folded(&case.new_states(), &all, false).state);
        for group in 0..GROUPS {
            let rows = all.iter().filter(|row| group_of(**row) == group as u32);
            let rows: UInt32Array = rows.map(|row| Some(*row as u32)).collect();
            let args: Vec<_> = case.args.iter().map(|arg| take(arg, &rows, None).expect("rows")).collect();
            let mut bounded = (recipe.accumulator)(&shape).expect("an accumulator");
            bounded.update_batch(&args).expect("rows are added");
            let expected = bounded.evaluate().and_then(|value| value.to_array()).expect("a value");
            assert_same(&result.slice(group, 1), &expected, &case.text());
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared} results");
}
