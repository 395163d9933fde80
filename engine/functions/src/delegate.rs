//! DataFusion's kernels, for functions whose semantics are the same.

use std::sync::{Arc, LazyLock};

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::call::Call;

/// Options, which no kernel here uses.
static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(Arc::default);

/// Runs a function of DataFusion on the arguments as they are.
pub fn delegate(call: &Call<'_>, udf: &ScalarUDF) -> Result<ArrayRef> {
    let args = (0..call.len()).map(|at| call.array(at)).collect::<Result<Vec<_>>>()?;
    let field = |ty: &arrow::datatypes::DataType| Arc::new(Field::new("", ty.clone(), true));
    let arg_fields = (0..call.len()).map(|at| field(call.type_of(at))).collect();
    let values = udf.invoke_with_args(ScalarFunctionArgs {
        args: args.into_iter().map(ColumnarValue::Array).collect(),
        arg_fields,
        number_rows: call.rows(),
        return_field: field(call.returns()),
        config_options: OPTIONS.clone(),
    })?;
    values.into_array(call.rows())
}
