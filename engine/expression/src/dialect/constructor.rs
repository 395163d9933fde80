//! `ARRAY[…]`, `MAP(k := v, …)` and `STRUCT(f := v, …)`.
//!
//! The elements of an array, the keys of a map and the values of a map each have one type ([`common_type`]). If the
//! expression of an element fails, only that element is NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, make_comparator, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use headwater_functions::keys_of;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::common::{coerced as coerced_to, common_type, widest};
use super::convert::convert;
use super::kind::{Kind, arrow_type, unaliased};
use super::refusal::{refusal, refuse};
use super::{guard, kernel};

/// The function that `ARRAY[…]` is planned as: a call with the elements.
pub const ARRAY: &str = "headwater_array";
/// The function that `MAP(…)` is planned as: a call with alternating keys and values.
pub const MAP: &str = "headwater_map";
/// The function that `STRUCT(…)` is planned as: a call with alternating names and values.
pub const STRUCT: &str = "headwater_struct";

/// The kind of value that a constructor makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Array,
    Map,
    Struct(Vec<String>),
}

/// A constructor; its arguments are the values, for a map alternating keys and values.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Constructor {
    pub form: Form,
    signature: Signature,
}

fn any_number() -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable)
}

impl Constructor {
    pub fn array() -> Self {
        Self { form: Form::Array, signature: any_number() }
    }

    pub fn map() -> Self {
        Self { form: Form::Map, signature: any_number() }
    }

    fn call(form: Form, args: Vec<Expr>) -> Expr {
        ScalarUDF::from(Self { form, signature: any_number() }).call(args)
    }
}

impl ScalarUDFImpl for Constructor {
    fn name(&self) -> &'static str {
        match self.form {
            Form::Array => ARRAY,
            Form::Map => MAP,
            Form::Struct(_) => "headwater_struct_of",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match &self.form {
            Form::Array => DataType::List(Arc::new(Field::new_list_field(one_type(types.iter()), true))),
            Form::Map => {
                let entries = Fields::from(vec![
                    Field::new("keys", one_type(types.iter().step_by(2)), false),
                    Field::new("values", one_type(types.iter().skip(1).step_by(2)), true),
                ]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            Form::Struct(names) => {
                DataType::Struct(names.iter().zip(types).map(|(name, ty)| Field::new(name, ty.clone(), true)).collect())
            }
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_field.data_type().clone();
        let rows = args.number_rows;
        kernel::evaluate(&args, |values| match &wanted {
            DataType::List(item) => array_of(values, item),
            DataType::Map(entries, _) => map_of(values, entries),
            DataType::Struct(fields) => {
                let length = values.first().map_or(rows, Array::len);
                Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), values.to_vec(), None, length)?))
            }
            other => exec_err!("a constructor cannot make {other}"),
        })
    }
}

/// The common type, as far as the types alone determine it; literals are adapted when the call is lowered.
fn one_type<'a>(types: impl Iterator<Item = &'a DataType>) -> DataType {
    let mut common: Option<SqlType> = None;
    for ty in types {
        let Kind::Of(ty) = Kind::of_arrow(ty) else { continue };
        common = Some(match common {
            Some(so_far) => widest(&so_far, &ty).unwrap_or(so_far),
            None => ty,
        });
    }
    common.and_then(|ty| arrow_type(&ty).ok()).unwrap_or(DataType::Null)
}

/// Interleaves the values by row: those of the first row, then those of the second, and so on.
fn row_by_row(values: &[&ArrayRef], ty: &DataType) -> Result<ArrayRef> {
    let values: Vec<ArrayRef> = values.iter().map(|values| convert(values, ty)).collect::<Result<_>>()?;
    let Some(first) = values.first() else { return Ok(new_empty_array(ty)) };
    let places: Vec<(usize, usize)> =
        (0..first.len()).flat_map(|row| (0..values.len()).map(move |at| (at, row))).collect();
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&values, &places)?)
}

fn array_of(values: &[ArrayRef], item: &FieldRef) -> Result<ArrayRef> {
    let rows = values.first().map_or(0, Array::len);
    let items = row_by_row(&values.iter().collect::<Vec<_>>(), item.data_type())?;
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(values.len(), rows));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, None)?))
}

/// Makes maps; of several entries with the same key the last one is kept.
fn map_of(values: &[ArrayRef], entries: &FieldRef) -> Result<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map without entries") };
    let every = |first: usize| values.iter().skip(first).step_by(2).collect::<Vec<_>>();
    let keys = keys_of(row_by_row(&every(0), fields[0].data_type())?)?;
    let of_keys = row_by_row(&every(1), fields[1].data_type())?;
    let same = make_comparator(&keys, &keys, SortOptions::default())?;
    let (size, rows) = (values.len() / 2, values.first().map_or(0, Array::len));
    let mut kept: Vec<u32> = Vec::with_capacity(keys.len());
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        let (first, end) = (row * size, (row + 1) * size);
        let before = kept.len();
        let last = |at: &usize| !(at + 1..end).any(|later| same(*at, later).is_eq());
        kept.extend((first..end).filter(last).filter_map(|at| u32::try_from(at).ok()));
        lengths.push(kept.len() - before);
    }
    let pairs = StructArray::try_new(fields.clone(), vec![keys, of_keys], None)?;
    let pairs = arrow::compute::take(&pairs, &arrow::array::UInt32Array::from(kept), None)?;
    let pairs = arrow::array::AsArray::as_struct(&pairs).clone();
    Ok(Arc::new(MapArray::try_new(entries.clone(), OffsetBuffer::from_lengths(lengths), pairs, None, false)?))
}

/// STRUCT as it is planned, with the names of the fields among the arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct StructCall {
    signature: Signature,
}

impl Default for StructCall {
    fn default() -> Self {
        Self { signature: any_number() }
    }
}

impl ScalarUDFImpl for StructCall {
    fn name(&self) -> &'static str {
        STRUCT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("the field names of a STRUCT are arguments of the call")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let names = args.scalar_arguments.iter().step_by(2).map(|name| match name {
            Some(ScalarValue::Utf8(Some(name))) => Ok(name.clone()),
            _ => plan_err!("a STRUCT needs alternating names and values"),
        });
        let types = args.arg_fields.iter().skip(1).step_by(2).map(|field| field.data_type());
        let fields = names.zip(types).map(|(name, ty)| Ok(Field::new(name?, ty.clone(), true)));
        let fields: Fields = fields.collect::<Result<Vec<_>>>()?.into();
        Ok(Arc::new(Field::new(STRUCT, DataType::Struct(fields), true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("STRUCT was not lowered")
    }
}

/// The contents of a lowered constructor.
pub(super) enum Parts<'a> {
    Array(Vec<&'a Expr>),
    Map(Vec<&'a Expr>, Vec<&'a Expr>),
    Struct(Vec<(String, &'a Expr)>),
}

/// The contents of an expression, if it is a constructor.
pub(super) fn parts(expr: &Expr) -> Option<Parts<'_>> {
    let Expr::ScalarFunction(call) = unaliased(expr) else { return None };
    let constructor = call.func.inner().downcast_ref::<Constructor>()?;
    Some(match &constructor.form {
        Form::Array => Parts::Array(call.args.iter().collect()),
        Form::Map => Parts::Map(call.args.iter().step_by(2).collect(), call.args.iter().skip(1).step_by(2).collect()),
        Form::Struct(names) => Parts::Struct(names.iter().cloned().zip(&call.args).collect()),
    })
}

/// Lowers an ARRAY or MAP, with elements converted to one type.
pub(super) fn lower(form: Form, args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let (word, example) = match form {
        Form::Map => ("MAP", "CAST(NULL AS MAP<STRING, INT>)"),
        _ => ("ARRAY", "CAST(NULL AS ARRAY<INT>)"),
    };
    if args.is_empty() {
        let error = Diagnostic::new(PLAN, format!("{word} has no elements, so its type is unknown"));
        return Err(refusal(error.hint(format!("Add an element, or write {example}.")), []));
    }
    let step = if form == Form::Map { 2 } else { 1 };
    let mut types = Vec::with_capacity(step);
    for part in 0..step {
        let values: Vec<&Expr> = args.iter().skip(part).step_by(step).collect();
        let Some(ty) = common_type(&values, schema)? else {
            let of = ["elements", "keys", "values"][if step == 1 { 0 } else { part + 1 }];
            let error = Diagnostic::new(PLAN, format!("the {of} of {word} are all NULL, so their type is unknown"));
            return Err(refusal(error.hint("Give one of them a type: CAST(NULL AS INT)."), values));
        };
        types.push(ty);
    }
    elements(form, args, &types, schema)
}

/// The constructor with its elements converted to `types`, in turn.
fn elements(form: Form, args: Vec<Expr>, types: &[SqlType], schema: &DFSchema) -> Result<Expr> {
    let element = |(arg, ty): (Expr, &SqlType)| guard::wrap(coerced_to(arg, ty, schema)?, schema);
    let args = args.into_iter().zip(types.iter().cycle()).map(element).collect::<Result<_>>()?;
    Ok(Constructor::call(form, args))
}

/// Lowers a planned STRUCT.
pub(super) fn lower_struct(args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let (mut names, mut values): (Vec<String>, Vec<Expr>) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        let Expr::Literal(ScalarValue::Utf8(Some(name)), _) = name else {
            return plan_err!("a STRUCT needs alternating names and values");
        };
        if names.contains(&name) {
            return Err(refuse(format!("field \"{name}\" appears twice in STRUCT"), [&value]));
        }
        names.push(name);
        values.push(guard::wrap(value, schema)?);
    }
    Ok(Constructor::call(Form::Struct(names), values))
}

/// Converts a lowered constructor to `ty`, a type that was found for it.
pub(super) fn coerced(value: Expr, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    match (parts(&value), ty) {
        (Some(Parts::Array(values)), SqlType::Array(item)) => {
            let values = values.into_iter().cloned().collect();
            elements(Form::Array, values, std::slice::from_ref(item), schema)
        }
        (Some(Parts::Map(keys, values)), SqlType::Map(key, of_key)) => {
            let args = keys.into_iter().zip(values).flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            elements(Form::Map, args, &[key.as_ref().clone(), of_key.as_ref().clone()], schema)
        }
        (Some(Parts::Struct(named)), SqlType::Struct(fields)) => {
            let field = |field: &headwater_language::types::StructField| match named
                .iter()
                .find(|(name, _)| *name == field.name)
            {
                Some((_, value)) => guard::wrap(coerced_to((*value).clone(), &field.ty, schema)?, schema),
                None => Ok(Expr::Literal(ScalarValue::try_new_null(&arrow_type(&field.ty)?)?, None)),
            };
            let values = fields.iter().map(field).collect::<Result<_>>()?;
            Ok(Constructor::call(Form::Struct(fields.iter().map(|field| field.name.clone()).collect()), values))
        }
        _ => plan_err!("the constructor does not make {ty}"),
    }
}
