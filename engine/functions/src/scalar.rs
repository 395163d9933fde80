//! The adapter that makes a function of the dialect a function of DataFusion.
//!
//! Before planning, [`super::choice`] says to which types DataFusion has to bring the arguments; texts
//! that become dates, times or bytes are left to us, whose conversions are ksqlDB's. A call whose types
//! fit no variant is refused where DataFusion asks for the type of its result; one that only literals of
//! other types keep from fitting, where the dialect lowers it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use headwater_language::diagnostic::Diagnostic;

use super::call::{Arg, Call};
use super::choice::{Chosen, canonical, choose, choose_planned, list_of, takes_exactly};
use super::signature::{Function, Nulls};
use super::{clock, convert};

/// A function of the dialect.
#[derive(Debug)]
pub struct Scalar {
    function: &'static Function,
    name: String,
    signature: Signature,
    /// Whether it returns an array whose elements are rows.
    table: bool,
}

impl Scalar {
    /// The function for DataFusion.
    pub fn new(function: &'static Function) -> Self {
        let volatility = if function.volatile { Volatility::Volatile } else { Volatility::Immutable };
        let volatility = if reads_the_clock(function) { Volatility::Stable } else { volatility };
        Self {
            function,
            name: function.name.to_lowercase(),
            signature: Signature::user_defined(volatility),
            table: false,
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Functions that return the time of the query if they have no arguments.
fn reads_the_clock(function: &Function) -> bool {
    ["UNIX_TIMESTAMP", "UNIX_DATE"].contains(&function.name)
}

/// A diagnostic wrapped in an error of DataFusion.
pub fn refused(diagnostic: Box<Diagnostic>) -> DataFusionError {
    DataFusionError::External(diagnostic)
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let types: Vec<DataType> = types.iter().map(canonical).collect();
        let Ok(chosen) = choose_planned(self.function, &types) else { return Ok(types) };
        let brought = |(has, takes): (DataType, DataType)| match has {
            DataType::Utf8 | DataType::Null => has,
            _ => takes,
        };
        Ok(types.into_iter().zip(chosen.takes).map(brought).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let types: Vec<DataType> = types.iter().map(canonical).collect();
        self.with_rows(choose_planned(self.function, &types).map_err(refused)?).map(|chosen| chosen.returns)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let now = info.query_execution_start_time().filter(|_| reads_the_clock(self.function) && args.is_empty());
        let Some(now) = now else { return Ok(ExprSimplifyResult::Original(args)) };
        let chosen = self.choose(&[])?;
        let value = clock::at(now.timestamp_millis(), || self.run(&chosen, &[], 1))?;
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(ScalarValue::try_from_array(&value, 0)?, None)))
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = given.args.iter().map(|arg| canonical(&arg.data_type())).collect();
        let chosen = self.choose(&types)?;
        let is_constant = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let constant = !self.function.volatile && given.args.iter().all(is_constant);
        let rows = if constant { 1 } else { given.number_rows };
        let args = given
            .args
            .into_iter()
            .zip(types)
            .zip(&chosen.takes)
            .map(|((value, ty), takes)| self.arg(value, &ty, takes))
            .collect::<Result<Vec<_>>>()?;
        let values = self.run(&chosen, &args, rows)?;
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
            false => Ok(ColumnarValue::Array(values)),
        }
    }
}

impl Scalar {
    /// Whether any variant accepts arguments of these types without conversion.
    pub fn takes_exactly(&self, types: &[DataType]) -> bool {
        takes_exactly(self.function, types)
    }

    /// Fails if a call with arguments of these types is not valid.
    pub fn check(&self, types: &[DataType]) -> std::result::Result<(), Box<Diagnostic>> {
        choose(self.function, types).map(|_| ())
    }

    fn choose(&self, types: &[DataType]) -> Result<Chosen> {
        self.with_rows(choose(self.function, types).map_err(refused)?)
    }

    fn with_rows(&self, chosen: Chosen) -> Result<Chosen> {
        Ok(if self.table { Chosen { returns: list_of(chosen.returns), ..chosen } } else { chosen })
    }

    fn arg(&self, value: ColumnarValue, ty: &DataType, takes: &DataType) -> Result<Arg> {
        let (values, constant) = match value {
            ColumnarValue::Array(values) => (values, false),
            ColumnarValue::Scalar(value) => (value.to_array_of_size(1)?, true),
        };
        let values = if values.data_type() == ty { values } else { cast(&values, ty)? };
        let values = match values.data_type() {
            found if found == takes => values,
            DataType::Null => new_null_array(takes, values.len()),
            DataType::Utf8 => convert::from_text(values.as_ref(), takes, self.function.name)?,
            _ => cast(&values, takes)?,
        };
        Ok(Arg { values, constant })
    }

    fn run(&self, chosen: &Chosen, args: &[Arg], rows: usize) -> Result<ArrayRef> {
        let nulls = match chosen.variant.nulls {
            Nulls::Pass => nulls_of(args, rows),
            Nulls::Seen => None,
        };
        let call = Call::new(self.function.name, args, rows, &chosen.returns, nulls);
        let values = (chosen.variant.kernel)(&call)?;
        let values = call.finish(values)?;
        debug_assert_eq!(values.len(), rows, "{} gives a value for each row", self.function.name);
        match values.data_type() == &chosen.returns {
            true => Ok(values),
            false => Ok(cast(&values, &chosen.returns)?),
        }
    }
}

/// The rows in which an argument is null.
fn nulls_of(args: &[Arg], rows: usize) -> Option<NullBuffer> {
    let of = |arg: &Arg| match arg.constant {
        true => arg.values.is_null(0).then(|| NullBuffer::new_null(rows)),
        false => arg.values.logical_nulls(),
    };
    args.iter().map(of).fold(None, |all, one| NullBuffer::union(all.as_ref(), one.as_ref()))
}

/// The function as DataFusion registers it.
pub fn udf(function: &'static Function) -> Arc<datafusion::logical_expr::ScalarUDF> {
    Arc::new(datafusion::logical_expr::ScalarUDF::from(Scalar::new(function)))
}

/// A table function as the scalar function that returns its rows as an array.
pub fn rows_udf(function: &'static Function) -> Arc<datafusion::logical_expr::ScalarUDF> {
    let scalar = Scalar::new(function);
    let name = format!("{}{}", super::table::ROWS_OF, scalar.name);
    Arc::new(datafusion::logical_expr::ScalarUDF::from(Scalar { name, table: true, ..scalar }))
}
