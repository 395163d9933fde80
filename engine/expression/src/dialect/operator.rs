//! Operators between planning and lowering. Those that need a kernel of our own keep this form until execution.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::schema_name_from_exprs;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::BinaryOperator;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::kind::{Kind, arrow_type};
use super::{arithmetic, comparison, kernel, ordinary};

/// The function that IS DISTINCT FROM is planned as.
pub const DISTINCT: &str = "headwater_distinct";
/// The function that IS NOT DISTINCT FROM is planned as.
pub const NOT_DISTINCT: &str = "headwater_not_distinct";

/// How `/` treats a quotient of DECIMALs with more digits than its type: the property `decimal.division`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// The quotient is rounded half up.
    Rounded,
    /// The quotient is an error for its row, as in ksqlDB.
    Exact,
}

impl Division {
    /// The division that a value of the property stands for.
    pub fn of(word: &str) -> Self {
        if word == "exact" { Self::Exact } else { Self::Rounded }
    }
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// `/`, with an error for the row if a quotient of DECIMALs has more digits than its type.
    DivideExactly,
    Modulo,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Distinct,
    NotDistinct,
}

/// The names of an operator: in SQL, in ksqlDB's messages, as a function, and in DataFusion.
const NAMES: &[(Op, &str, &str, &str, Operator)] = &[
    (Op::Add, "+", "ADD", "headwater_add", Operator::Plus),
    (Op::Subtract, "-", "SUBTRACT", "headwater_subtract", Operator::Minus),
    (Op::Multiply, "*", "MULTIPLY", "headwater_multiply", Operator::Multiply),
    (Op::Divide, "/", "DIVIDE", "headwater_divide", Operator::Divide),
    (Op::DivideExactly, "/", "DIVIDE", "headwater_divide_exactly", Operator::Divide),
    (Op::Modulo, "%", "MODULUS", "headwater_modulo", Operator::Modulo),
    (Op::Concat, "||", "CONCAT", "headwater_concat", Operator::StringConcat),
    (Op::Equal, "=", "EQUAL", "headwater_equal", Operator::Eq),
    (Op::NotEqual, "<>", "NOT_EQUAL", "headwater_not_equal", Operator::NotEq),
    (Op::Less, "<", "LESS_THAN", "headwater_less", Operator::Lt),
    (Op::LessOrEqual, "<=", "LESS_THAN_OR_EQUAL", "headwater_less_or_equal", Operator::LtEq),
    (Op::Greater, ">", "GREATER_THAN", "headwater_greater", Operator::Gt),
    (Op::GreaterOrEqual, ">=", "GREATER_THAN_OR_EQUAL", "headwater_greater_or_equal", Operator::GtEq),
    (Op::Distinct, "IS DISTINCT FROM", "IS_DISTINCT_FROM", DISTINCT, Operator::IsDistinctFrom),
    (Op::NotDistinct, "IS NOT DISTINCT FROM", "IS_NOT_DISTINCT_FROM", NOT_DISTINCT, Operator::IsNotDistinctFrom),
];

impl Op {
    /// The operator for an operator of sqlparser's tree, if the dialect has it.
    pub fn of(op: &BinaryOperator) -> Option<Self> {
        use BinaryOperator as B;
        Some(match op {
            B::Plus => Self::Add,
            B::Minus => Self::Subtract,
            B::Multiply => Self::Multiply,
            B::Divide => Self::Divide,
            B::Modulo => Self::Modulo,
            B::StringConcat => Self::Concat,
            B::Eq => Self::Equal,
            B::NotEq => Self::NotEqual,
            B::Lt => Self::Less,
            B::LtEq => Self::LessOrEqual,
            B::Gt => Self::Greater,
            B::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn names(self) -> &'static (Self, &'static str, &'static str, &'static str, Operator) {
        NAMES.iter().find(|names| names.0 == self).expect("every operator has its row")
    }

    /// The operator as written in SQL.
    pub fn symbol(self) -> &'static str {
        self.names().1
    }

    /// The operator's name in ksqlDB's messages.
    pub fn word(self) -> &'static str {
        self.names().2
    }

    /// DataFusion's operator of the same name, whose semantics may differ.
    pub fn native(self) -> Operator {
        self.names().4
    }

    /// The operator for one of DataFusion's.
    pub fn of_native(native: Operator) -> Option<Self> {
        NAMES.iter().find(|names| names.4 == native).map(|names| names.0)
    }

    /// Whether the operator is arithmetic.
    pub fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Modulo) || self.divides()
    }

    /// Whether the operator is `/`, in either variant.
    pub fn divides(self) -> bool {
        matches!(self, Self::Divide | Self::DivideExactly)
    }

    /// Whether the operator is a comparison.
    pub fn is_comparison(self) -> bool {
        !self.is_arithmetic() && self != Self::Concat
    }

    /// Whether the operator only tests equality.
    pub fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Distinct | Self::NotDistinct)
    }

    /// A call of the operator as a function.
    pub fn call(self, left: Expr, right: Expr) -> Expr {
        let print = Some(Fingerprint::of(self, [&left, &right]));
        ScalarUDF::from(Operation { print, ..Operation::new(self) }).call(vec![left, right])
    }
}

/// An operator as a function.
#[derive(Debug)]
pub(super) struct Operation {
    pub op: Op,
    signature: Signature,
    /// A fingerprint of the operands; none if the function was looked up by its name and has no operands yet.
    print: Option<Fingerprint>,
}

/// A short fingerprint of the operands of an operation at the time it was created.
#[derive(Clone, Copy, Debug)]
struct Fingerprint {
    /// The number of nested operations below this one; of a deep expression only one side counts.
    depth: usize,
    mark: u64,
}

/// From this depth on, operations have short names: DataFusion asks for the name of each of them again and again, and
/// names that contain all nested names would make 500 terms take a minute.
const NAMED_DEPTH_MAX: usize = 16;

impl Fingerprint {
    fn of(op: Op, sides: [&Expr; 2]) -> Self {
        let mut hasher = DefaultHasher::new();
        op.hash(&mut hasher);
        let mut depth = 0;
        for side in sides {
            match (fingerprint_of(side), side) {
                (Some(print), _) => {
                    depth = depth.max(print.depth + 1);
                    print.mark.hash(&mut hasher);
                }
                // The qualifier of a column may or may not be written.
                (None, Expr::Column(column)) => column.name.hash(&mut hasher),
                // As the traits of DataFusion hash it, so that one instance of the whole tree's hashing is compiled.
                (None, other) => other.hash(&mut (&mut hasher as &mut dyn Hasher)),
            }
        }
        Self { depth, mark: hasher.finish() }
    }
}

/// The fingerprint of an expression that is an operation.
fn fingerprint_of(expr: &Expr) -> Option<Fingerprint> {
    let Expr::ScalarFunction(call) = expr else { return None };
    call.func.inner().downcast_ref::<Operation>()?.print
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
    }
}

impl Eq for Operation {}

impl Hash for Operation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.op.hash(state);
    }
}

impl Operation {
    pub fn new(op: Op) -> Self {
        Self { op, signature: Signature::any(2, Volatility::Immutable), print: None }
    }

    fn result(&self, left: &DataType, right: &DataType) -> Result<DataType> {
        let kinds = [Kind::of_arrow(left), Kind::of_arrow(right)];
        match self.op {
            op if op.is_arithmetic() => arrow_type(&arithmetic::result_type(op, &kinds[0], &kinds[1])?),
            Op::Concat => arrow_type(&arithmetic::concat_type(&kinds[0], &kinds[1])?),
            _ => Ok(DataType::Boolean),
        }
    }
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        self.op.names().3
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match self.print {
            Some(Fingerprint { depth, mark }) if depth > NAMED_DEPTH_MAX => Ok(format!("{}#{mark:016x}", self.name())),
            _ => Ok(format!("{}({})", self.name(), schema_name_from_exprs(args)?)),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.result(&types[0], &types[1])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = self.result(args.arg_fields[0].data_type(), args.arg_fields[1].data_type())?;
        Ok(Arc::new(Field::new(self.name(), ty, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_field.data_type().clone();
        if let [ColumnarValue::Array(left), ColumnarValue::Scalar(ScalarValue::Float64(Some(right)))] = &args.args[..]
            && let Some(found) = ordinary::compare_to(self.op, left, *right)
        {
            return Ok(ColumnarValue::Array(found));
        }
        kernel::evaluate(&args, |arrays: &[ArrayRef]| {
            let (left, right) = kernel::of_one_type(&arrays[0], &arrays[1]);
            match self.op {
                // NULL has no type when the optimizer evaluates the operator for it.
                op if left.data_type().is_null() && op.is_arithmetic() => Ok(new_null_array(&wanted, left.len())),
                op if op.is_arithmetic() => arithmetic::calculate(op, &left, &right, &wanted),
                Op::Concat => arithmetic::concat(&left, &right),
                op => comparison::compare(op, &left, &right),
            }
        })
    }
}
