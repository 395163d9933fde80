//! `struct->field`: NULL if the struct is NULL.
//!
//! DataFusion (55) returns the child array of a struct unchanged, so that a struct that CASE or NULLIF made NULL still
//! shows the values of its fields (no report was found). Here NULLs of the parent also apply to the child, at every
//! step of a path.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::kernel;

/// The name of DataFusion's function, and of the one that replaces it.
pub(super) const GET_FIELD: &str = "get_field";

/// Replaces the call with a function that respects NULL structs.
pub(super) fn call(call: ScalarFunction) -> Expr {
    if call.func.inner().downcast_ref::<StructField>().is_some() {
        return Expr::ScalarFunction(call);
    }
    let function = ScalarUDF::from(StructField { by_name: call.func });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), call.args))
}

/// Takes a field of a struct, then a field of that field, and so on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct StructField {
    /// DataFusion's function, which knows the types of fields.
    by_name: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for StructField {
    fn name(&self) -> &str {
        self.by_name.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.by_name.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.by_name.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.by_name.inner().coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.by_name.inner().return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.by_name.inner().return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.first().is_some_and(|value| value.data_type().is_null()) {
            return self.by_name.invoke_with_args(args);
        }
        let names = args.args.iter().skip(1).map(name).collect::<Result<Vec<_>>>()?;
        kernel::evaluate(&args, |arrays| names.iter().try_fold(arrays[0].clone(), |value, name| field(&value, name)))
    }
}

fn name(arg: &ColumnarValue) -> Result<String> {
    match arg {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))) => Ok(name.clone()),
        _ => exec_err!("the name of a field must be a constant string"),
    }
}

fn field(value: &ArrayRef, name: &str) -> Result<ArrayRef> {
    let structs = value.as_any().downcast_ref::<StructArray>();
    let field = structs.and_then(|structs| structs.column_by_name(name));
    let field = field.ok_or_else(|| exec_datafusion_err!("field \"{name}\" does not exist"))?;
    match value.null_count() {
        0 => Ok(field.clone()),
        _ => Ok(nullif(field, &is_null(value)?)?),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Array};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Field, Fields, Int32Type};

    use super::*;

    fn of(name: &str, child: ArrayRef, valid: Vec<bool>) -> ArrayRef {
        let fields = Fields::from(vec![Field::new(name, child.data_type().clone(), true)]);
        Arc::new(StructArray::new(fields, vec![child], Some(NullBuffer::from(valid))))
    }

    #[test]
    fn a_field_is_null_where_a_struct_around_it_is() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), None, Some(4)]));
        let inner = of("a", numbers, vec![true, false, true, true]);
        let outer = of("in", inner, vec![true, true, true, false]);
        let found = field(&field(&outer, "in").unwrap(), "a").unwrap();
        let found: Vec<Option<i32>> = found.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(found, [Some(1), None, None, None]);
        let tail = field(&field(&outer.slice(1, 3), "in").unwrap(), "a").unwrap();
        assert_eq!(tail.null_count(), 3);
    }
}
