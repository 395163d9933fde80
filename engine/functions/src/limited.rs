//! Functions of DataFusion that make much of little, with a limit: `RANGE(0, 10000000000)` asked for 80 GB at once, which no
//! limit of a query's memory sees.
//!
//! A row that would make more has no value and is told, as one on which an expression fails.

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

/// Most items of an array that one call makes.
const ITEMS_MAX: i128 = 10_000_000;
/// Most bytes of a text that one call makes.
const TEXT_BYTES_MAX: i128 = 16 << 20;

/// What a function makes of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Makes {
    /// The numbers of a range.
    Range,
    /// As many items as the second argument says.
    Items,
    /// The text as often as the second argument says.
    Text,
}

/// The functions, by DataFusion's names.
const LIMITED: &[(&str, Makes)] =
    &[("range", Makes::Range), ("array_repeat", Makes::Items), ("array_resize", Makes::Items), ("repeat", Makes::Text)];

/// Puts a limit to those functions of DataFusion that have none.
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
    /// Fails where a row would make too much.
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

/// The most that a row makes.
fn most(rows: usize, makes: &dyn Fn(usize) -> Option<i128>) -> i128 {
    (0..rows).filter_map(makes).max().unwrap_or(0)
}

/// How many numbers the ranges have; none where they are not of numbers.
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

/// A number of a row; none where it is NULL or no number.
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
