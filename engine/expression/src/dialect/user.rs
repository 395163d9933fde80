//! A function defined by a statement, as a DataFusion function.
//!
//! Its expression is evaluated with the arguments as columns, so each argument is evaluated once, however often the
//! expression uses it: `twice(RANDOM())` adds a number to itself. If an argument fails, it is NULL, as for a built-in
//! function; if the expression fails, the call fails.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::PhysicalExpr;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::{SqlType, type_name};

use super::assign::{accepts, assigned};
use super::cast::is_supported;
use super::kind::{Kind, arrow_type};
use super::{adapt, failures, guard, lower, simplified};

/// The declaration of a function.
#[derive(Debug)]
pub struct Declared {
    /// The name of the function, in upper case.
    pub name: String,
    /// Names and types of the arguments.
    pub arguments: Vec<(String, SqlType)>,
    /// The type of the result.
    pub returns: SqlType,
    /// The text of its expression.
    pub text: String,
}

/// A function defined by a statement.
#[derive(Debug)]
pub struct UserFunction {
    declared: Arc<Declared>,
    /// The name under which DataFusion looks the function up.
    name: String,
    gives: DataType,
    signature: Signature,
    /// The compiled expression; none if only the declaration is known.
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    takes: SchemaRef,
    names: Arc<DFSchema>,
    logical: Expr,
    physical: Arc<dyn PhysicalExpr>,
    /// The current time of the query, if it has a fixed one.
    now: Option<DateTime<Utc>>,
}

impl Declared {
    /// The arguments as a schema of columns.
    pub fn schema(&self) -> Result<SchemaRef> {
        let field = |(name, ty): &(String, SqlType)| Ok(Field::new(name, arrow_type(ty)?, true));
        Ok(Arc::new(Schema::new(self.arguments.iter().map(field).collect::<Result<Vec<_>>>()?)))
    }

    /// Name and arguments: `TAXED(PRICE DOUBLE)`.
    fn signature(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }

    /// The error for arguments of these types, while it is not yet known which of them are literals.
    fn refusal_planned(&self, types: &[DataType]) -> Option<Diagnostic> {
        let is_number = |ty: &DataType| Kind::of_arrow(ty).known().is_some_and(SqlType::is_number);
        let fits =
            |found: &DataType, wanted: &SqlType| accepts(found, wanted) || is_number(found) && wanted.is_number();
        let fits = types.len() == self.arguments.len()
            && types.iter().zip(&self.arguments).all(|(found, (_, wanted))| fits(found, wanted));
        if fits { None } else { Some(self.refusal(types)) }
    }

    /// The error for arguments of these types.
    fn refusal(&self, types: &[DataType]) -> Diagnostic {
        let types: Vec<String> = types.iter().map(type_name).collect();
        let message = format!("function \"{}\" does not accept parameters ({})", self.name, types.join(", "));
        let hint = format!("Use CAST to convert an argument; DESCRIBE FUNCTION {}; shows the definition.", self.name);
        Diagnostic::new(PLAN, message).detail(format!("It can be called as {}.", self.signature())).hint(hint)
    }
}

impl UserFunction {
    /// A function of which only the declaration is known: it can be named, but not called.
    pub fn declared(declared: Arc<Declared>) -> Result<Self> {
        let gives = arrow_type(&declared.returns)?;
        let name = declared.name.to_lowercase();
        Ok(Self { declared, name, gives, signature: Signature::user_defined(Volatility::Immutable), body: None })
    }

    /// Adds the expression, planned over [`Declared::schema`]. Rejects an expression without a meaning, or one whose
    /// type cannot be converted to that of the result.
    pub fn with_body(self, planned: Expr) -> Result<Self> {
        let takes = self.declared.schema()?;
        let names = Arc::new(DFSchema::try_from(takes.as_ref().clone())?);
        let value = lower(planned, &names)?;
        let found = value.get_type(&names)?;
        if !accepts(&found, &self.declared.returns) && !adapt::adapts(&value, &self.declared.returns, &names)? {
            return Err(DataFusionError::External(Box::new(self.wrong_result(&found))));
        }
        let logical = assigned(value, &self.declared.returns, &names)?;
        self.fixed(takes, names, logical, None, &SimplifyContext::default())
    }

    fn fixed(
        self,
        takes: SchemaRef,
        names: Arc<DFSchema>,
        logical: Expr,
        now: Option<DateTime<Utc>>,
        like: &SimplifyContext,
    ) -> Result<Self> {
        let context = SimplifyContext::builder()
            .with_schema(names.clone())
            .with_config_options(like.config_options().clone())
            .with_query_execution_start_time(now)
            .build();
        let simple = simplified(logical.clone(), context)?;
        let physical = create_physical_expr(&simple, &names, &ExecutionProps::new(), &Default::default())?;
        let signature = Signature::user_defined(volatility(&simple)?);
        Ok(Self { signature, body: Some(Body { takes, names, logical, physical, now }), ..self })
    }

    fn wrong_result(&self, found: &DataType) -> Diagnostic {
        let Declared { name, returns, .. } = &*self.declared;
        let kind = Kind::of_arrow(found);
        let found = kind.name();
        let message = format!("function \"{name}\" returns {returns}, but its expression is {found}");
        let hint = match kind.known().is_some_and(|from| is_supported(from, returns)) {
            true => format!(
                "Declare RETURNS {found}, or convert the expression: CAST({} AS {returns}).",
                self.declared.text
            ),
            false => format!("Declare RETURNS {found}."),
        };
        Diagnostic::new(PLAN, message).hint(hint)
    }

    fn body(&self) -> Result<&Body> {
        self.body
            .as_ref()
            .ok_or_else(|| internal_datafusion_err!("function {} was planned without its body", self.name))
    }
}

/// Converts the arguments of a call to the types that the function declares; literals adapt. Rejects arguments that do
/// not fit.
pub(super) fn lower_arguments(function: &UserFunction, args: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let wanted = function.declared.arguments.iter().map(|(_, ty)| ty);
    let fits =
        args.iter().zip(&types).zip(wanted.clone()).try_fold(args.len() == wanted.len(), |fits, ((arg, found), ty)| {
            Ok::<_, DataFusionError>(fits && (accepts(found, ty) || adapt::adapts(arg, ty, schema)?))
        });
    if !fits? {
        return Err(DataFusionError::External(Box::new(function.declared.refusal(&types))));
    }
    args.into_iter().zip(wanted).map(|(arg, ty)| guard::wrap(assigned(arg, ty, schema)?, schema)).collect()
}

/// The volatility of an expression: that of the most volatile function in it.
fn volatility(expr: &Expr) -> Result<Volatility> {
    if expr.is_volatile() {
        return Ok(Volatility::Volatile);
    }
    let stable = expr.exists(|node| {
        Ok(matches!(node, Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Stable))
    })?;
    Ok(if stable { Volatility::Stable } else { Volatility::Immutable })
}

impl ScalarUDFImpl for UserFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Arguments are converted when the call is lowered.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match self.declared.refusal_planned(types) {
            Some(refusal) => Err(DataFusionError::External(Box::new(refusal))),
            None => Ok(self.gives.clone()),
        }
    }

    /// Where the query has a fixed time, the expression uses it.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let waits = self.signature.volatility == Volatility::Stable;
        let (Some(now), Some(body)) = (info.query_execution_start_time(), &self.body) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        if !waits || body.now.is_some() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let timeless = Self::declared(self.declared.clone())?;
        let fixed = timeless.fixed(body.takes.clone(), body.names.clone(), body.logical.clone(), Some(now), info)?;
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::from(fixed).call(args)))
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let body = self.body()?;
        let is_constant = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let constant = self.signature.volatility != Volatility::Volatile && given.args.iter().all(is_constant);
        let rows = if constant { 1 } else { given.number_rows };
        let column = |(value, field): (ColumnarValue, &Arc<Field>)| as_type(value.into_array(rows)?, field.data_type());
        let columns = given.args.into_iter().zip(body.takes.fields()).map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(body.takes.clone(), columns, &options)?;
        let (values, inside) = failures::within(|| body.physical.evaluate(&batch));
        let values = as_type(values?.into_array(rows)?, &self.gives)?;
        failures::report_inner(&given.config_options, inside);
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
            false => Ok(ColumnarValue::Array(values)),
        }
    }
}

/// The same values in the layout of the wanted type.
fn as_type(values: ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if values.data_type() == wanted { Ok(values) } else { Ok(cast(&values, wanted)?) }
}

impl PartialEq for UserFunction {
    fn eq(&self, other: &Self) -> bool {
        let body = |function: &Self| function.body.as_ref().map(|body| (body.logical.clone(), body.now));
        self.name == other.name && self.gives == other.gives && body(self) == body(other)
    }
}

impl Eq for UserFunction {}

impl Hash for UserFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
