//! Limits for functions of DataFusion that create large values from small ones: `RANGE(0, 10000000000)` allocates 80
//! GB at once, which the memory limit of a query does not cover.
//!
//! A row that would exceed the limit is NULL and is reported, like any row for which an expression fails.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The maximum number of elements of an array that a call creates.
const ITEMS_MAX: i128 = 10_000_000;
/// The maximum number of bytes of a text that a call creates.
const TEXT_BYTES_MAX: i128 = 16 << 20;

/// What a function creates from its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Makes {
    /// An array with the numbers of a range.
    Range,
    /// An array with as many elements as the second argument says.
    Items,
    /// The text, repeated as often as the second argument says.
    Text,
}

/// The functions, by DataFusion's names.
const LIMITED: &[(&str, Makes)] =
    &[("range", Makes::Range), ("array_repeat", Makes::Items), ("array_resize", Makes::Items), ("repeat", Makes::Text)];

/// Adds limits to these functions of DataFusion.
pub(super) fn register(state: &mut SessionState) {
    for (name, makes) in LIMITED {
        if let Ok(inner) = state.udf(name) {
            // Registering replaces a function of the same name; it does not fail for scalar functions.
            let _ = state.register_udf(Arc::new(ScalarUDF::from(Limited { inner, makes: *makes })));
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Limited {
    inner: Arc<ScalarUDF>,
    makes: Makes,
}

impl Limited {
    /// Fails if a row would exceed the limit.
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let name = self.inner.name().to_uppercase();
        let most = match self.makes {
            Makes::Range => most(args.number_rows, &range_lengths(&arrays)?),
            Makes::Items => most(args.number_rows, &|row| number(&arrays, 1, row)),
            Makes::Text => {
                let Some(lengths) = arrays.first().map(|texts| length(texts)).transpose()? else { return Ok(()) };
                let lengths = numbers(&lengths)?;
                most(args.number_rows, &|row| {
                    Some(number(&arrays, 1, row)? * number(std::slice::from_ref(&lengths), 0, row)?)
                })
            }
        };
        match self.makes {
            Makes::Text if most > TEXT_BYTES_MAX => {
                exec_err!("{name}: the text would have {most} bytes; at most {TEXT_BYTES_MAX} are allowed")
            }
            Makes::Range | Makes::Items if most > ITEMS_MAX => {
                exec_err!("{name}: the array would have {most} elements; at most {ITEMS_MAX} are allowed")
            }
            _ => Ok(()),
        }
    }
}

/// The size of the largest result of a row.
fn most(rows: usize, makes: &dyn Fn(usize) -> Option<i128>) -> i128 {
    (0..rows).filter_map(makes).max().unwrap_or(0)
}

/// The lengths of the ranges; none if they are not ranges of numbers.
fn range_lengths(args: &[ArrayRef]) -> Result<Box<dyn Fn(usize) -> Option<i128>>> {
    if !args.iter().all(|arg| arg.data_type().is_integer()) {
        return Ok(Box::new(|_| None));
    }
    let args = args.iter().map(numbers).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |row| {
        let at = |at| number(&args, at, row);
        let (start, stop) = if args.len() == 1 { (0, at(0)?) } else { (at(0)?, at(1)?) };
        let step = if args.len() > 2 { at(2)? } else { 1 };
        (stop - start).checked_div(step)
    }))
}

fn numbers(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(values, &DataType::Int64)?)
}

/// The number in a row; none if it is NULL or not a number.
fn number(args: &[ArrayRef], at: usize, row: usize) -> Option<i128> {
    let values = args.get(at)?.as_primitive_opt::<Int64Type>()?;
    values.is_valid(row).then(|| i128::from(values.value(row)))
}

impl ScalarUDFImpl for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
