//! Chooses the variant of a function by the types of its arguments.
//!
//! The rules are ksqlDB's. A variant that accepts the arguments without conversion is preferred to one that must
//! convert them (INT to BIGINT to DECIMAL to DOUBLE; STRING to DATE, TIME, TIMESTAMP and BYTES). Among several, a
//! variant with a fixed number of parameters is preferred to a variadic one, then one with more parameters, then one
//! with fewer type variables. If there are still several, the call is ambiguous, which is an error. NULL fits every
//! parameter.

use arrow::datatypes::{DataType, TimeUnit};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::{SqlType, StructField, type_name};

use super::signature::{Function, Kernel, Returns, Type, Variant};

/// The type of a unit of time such as DAYS, which contains its length.
pub const UNIT: DataType = DataType::Duration(TimeUnit::Millisecond);

/// The chosen variant, and the types to which it converts the arguments.
#[derive(Debug)]
pub struct Chosen<K: 'static = Kernel> {
    /// The variant.
    pub variant: &'static Variant<K>,
    /// The type to which each argument is converted.
    pub takes: Vec<DataType>,
    /// The type of the result.
    pub returns: DataType,
}

/// The canonical Arrow type that kernels see for a type of the dialect; other types are unchanged.
pub fn canonical(ty: &DataType) -> DataType {
    SqlType::from_arrow(ty).and_then(|ty| ty.to_arrow().ok()).unwrap_or_else(|| ty.clone())
}

/// Chooses the variant for a call. The types are [`canonical`].
pub fn choose<K>(function: &'static Function<K>, args: &[DataType]) -> Result<Chosen<K>, Box<Diagnostic>> {
    for casts in [false, true] {
        let mut found: Vec<Chosen<K>> = function.variants.iter().filter_map(|v| fit(v, args, casts)).collect();
        let rank = |c: &Chosen<K>| {
            let generics: usize = c.variant.params.iter().map(|p| p.ty.generics()).sum();
            (!c.variant.variadic, c.variant.params.len(), usize::MAX - generics)
        };
        let Some(best) = found.iter().map(rank).max() else { continue };
        found.retain(|c| rank(c) == best);
        return match (found.pop(), found.is_empty()) {
            (Some(chosen), true) => Ok(chosen),
            _ => Err(Box::new(refusal(function, args, "is ambiguous for"))),
        };
    }
    Err(Box::new(refusal(function, args, "does not accept")))
}

/// Whether a variant accepts arguments of these types without conversion. The types are [`canonical`].
pub fn takes_exactly(function: &'static Function, args: &[DataType]) -> bool {
    function.variants.iter().any(|variant| fit(variant, args, false).is_some())
}

/// The variant that a call may have once its literals have adopted the types of the other arguments. It is not known
/// during planning which arguments are literals; the call is checked again afterwards.
pub fn choose_planned(function: &'static Function, args: &[DataType]) -> Result<Chosen, Box<Diagnostic>> {
    choose(function, args).or_else(|refused| {
        let types: Vec<Option<SqlType>> = args.iter().map(SqlType::from_arrow).collect();
        let mut wanted = types.iter().flatten().flat_map(within);
        let with = |wanted: &SqlType| -> Vec<DataType> {
            let one = |(arg, ty): (&DataType, &Option<SqlType>)| match ty {
                Some(ty) if is_alike(ty, wanted) => wanted.to_arrow().unwrap_or_else(|_| arg.clone()),
                _ => arg.clone(),
            };
            args.iter().zip(&types).map(one).collect()
        };
        wanted.find_map(|wanted| choose(function, &with(wanted)).ok()).ok_or(refused)
    })
}

/// A type and the types of its parts.
fn within(ty: &SqlType) -> Vec<&SqlType> {
    let parts = match ty {
        SqlType::Array(item) => within(item),
        SqlType::Map(key, value) => within(key).into_iter().chain(within(value)).collect(),
        _ => Vec::new(),
    };
    std::iter::once(ty).chain(parts).collect()
}

/// Whether two types differ at most in their numeric types.
fn is_alike(one: &SqlType, other: &SqlType) -> bool {
    match (one, other) {
        (SqlType::Array(one), SqlType::Array(other)) => is_alike(one, other),
        (SqlType::Map(key, value), SqlType::Map(other_key, other)) => {
            is_alike(key, other_key) && is_alike(value, other)
        }
        (SqlType::Struct(fields), SqlType::Struct(others)) => {
            let alike = |(a, b): (&StructField, &StructField)| a.name == b.name && is_alike(&a.ty, &b.ty);
            fields.len() == others.len() && fields.iter().zip(others).all(alike)
        }
        (one, other) => one == other || one.is_number() && other.is_number(),
    }
}

/// The error for a call without a matching variant; it lists all variants.
pub fn refusal<K>(function: &'static Function<K>, args: &[DataType], what: &str) -> Diagnostic {
    let types: Vec<String> = args.iter().map(arg_name).collect();
    let message = format!("function \"{}\" {what} parameters ({})", function.name, types.join(", "));
    let variants: Vec<String> = function.variants.iter().map(|v| v.text(function.name)).collect();
    let hint = of_one_type(function, args)
        .unwrap_or_else(|| format!("DESCRIBE FUNCTION {}; describes each of them.", function.name));
    Diagnostic::new(PLAN, message).detail(format!("It can be called as {}.", variants.join(", "))).hint(hint)
}

/// The hint for a call that would be valid if all arguments had the widest of their types.
fn of_one_type<K>(function: &'static Function<K>, args: &[DataType]) -> Option<String> {
    let width = |ty: &&DataType| match ty {
        DataType::Int32 => 1,
        DataType::Int64 => 2,
        DataType::Decimal128(..) | DataType::Decimal256(..) => 3,
        DataType::Float64 => 4,
        DataType::Utf8 => 5,
        _ => 0,
    };
    let widest = args.iter().rev().max_by_key(width).filter(|widest| args.iter().any(|ty| ty != *widest))?;
    let same = vec![widest.clone(); args.len()];
    let fits = function.variants.iter().any(|variant| fit(variant, &same, false).is_some());
    fits.then(|| format!("Bring them to one type: CAST(… AS {}).", arg_name(widest)))
}

fn arg_name(ty: &DataType) -> String {
    if *ty == UNIT { "UNIT".to_owned() } else { type_name(ty) }
}

fn fit<K>(variant: &'static Variant<K>, args: &[DataType], casts: bool) -> Option<Chosen<K>> {
    let fixed = variant.params.len() - usize::from(variant.variadic);
    let right_number = if variant.variadic { args.len() >= fixed } else { args.len() == fixed };
    if !right_number {
        return None;
    }
    let mut letters = Letters::default();
    let param = |at: usize| &variant.param(at, args.len()).ty;
    let mut takes = Vec::with_capacity(args.len());
    for (at, arg) in args.iter().enumerate() {
        takes.push(letters.fit(param(at), arg, casts)?);
    }
    let returns = match variant.returns {
        Returns::Is(ty) => letters.replace(&ty),
        Returns::From(of) | Returns::Written(_, of) => of(&takes),
    };
    for (at, take) in takes.iter_mut().enumerate() {
        if *take == DataType::Null {
            *take = match param(at) {
                Type::Decimal if returns.is_decimal() => returns.clone(),
                Type::Decimal => DataType::Decimal128(38, 0),
                ty => letters.replace(ty),
            };
        }
    }
    Some(Chosen { variant, takes, returns })
}

/// The types that the type variables of a variant have in a call.
#[derive(Default)]
struct Letters(Vec<(char, DataType)>);

impl Letters {
    /// The type to which an argument is converted; none if it does not fit. NULL is handled later.
    fn fit(&mut self, param: &Type, arg: &DataType, casts: bool) -> Option<DataType> {
        if *arg == DataType::Null || self.is(param, arg) {
            return Some(arg.clone());
        }
        if casts { cast_for(param, arg) } else { None }
    }

    fn is(&mut self, param: &Type, arg: &DataType) -> bool {
        match (param, arg) {
            (Type::Any, ty) => *ty != UNIT,
            (Type::Decimal, ty) => ty.is_decimal(),
            (Type::Unit, ty) => *ty == UNIT,
            (Type::Generic(_), ty) if *ty == UNIT => false,
            (Type::Generic(letter), ty) => match self.0.iter().find(|(known, _)| known == letter) {
                Some((_, bound)) => bound == ty,
                None => {
                    self.0.push((*letter, ty.clone()));
                    true
                }
            },
            (Type::Array(item), DataType::List(field)) => self.is(item, field.data_type()),
            (Type::Map(key, value), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(pair) => self.is(key, pair[0].data_type()) && self.is(value, pair[1].data_type()),
                _ => false,
            },
            (plain, ty) => plain.plain().and_then(|plain| plain.to_arrow().ok()).is_some_and(|plain| plain == *ty),
        }
    }

    /// The type with its type variables replaced; an unbound one is NULL.
    fn replace(&self, ty: &Type) -> DataType {
        let sql = |ty: DataType| SqlType::from_arrow(&ty);
        match ty {
            Type::Generic(letter) => {
                self.0.iter().find(|(known, _)| known == letter).map_or(DataType::Null, |(_, bound)| bound.clone())
            }
            Type::Array(item) => list_of(self.replace(item)),
            Type::Map(key, value) => map_of(self.replace(key), self.replace(value)),
            Type::Struct(fields) => {
                let field = |(name, ty): &(&str, Type)| arrow::datatypes::Field::new(*name, self.replace(ty), true);
                DataType::Struct(fields.iter().map(field).collect())
            }
            Type::Unit => UNIT,
            Type::Decimal => DataType::Decimal128(38, 0),
            Type::Any | Type::Lambda(..) => DataType::Null,
            plain => plain
                .plain()
                .and_then(|ty| ty.to_arrow().ok())
                .and_then(sql)
                .map_or(DataType::Null, |ty| ty.to_arrow().unwrap_or(DataType::Null)),
        }
    }
}

/// An array of a type, as [`SqlType::to_arrow`] makes it.
pub fn list_of(item: DataType) -> DataType {
    DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new_list_field(item, true)))
}

/// A map of two types, as [`SqlType::to_arrow`] makes it.
pub fn map_of(key: DataType, value: DataType) -> DataType {
    use arrow::datatypes::{Field, Fields};
    let entries = Fields::from(vec![Field::new("keys", key, false), Field::new("values", value, true)]);
    DataType::Map(std::sync::Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// The implicit conversions of arguments.
fn cast_for(param: &Type, arg: &DataType) -> Option<DataType> {
    Some(match (arg, param) {
        (DataType::Int32, Type::BigInt) => DataType::Int64,
        (DataType::Int32, Type::Decimal) => DataType::Decimal128(10, 0),
        (DataType::Int64, Type::Decimal) => DataType::Decimal128(19, 0),
        (DataType::Int32 | DataType::Int64, Type::Double) => DataType::Float64,
        (ty, Type::Double) if ty.is_decimal() => DataType::Float64,
        (DataType::Utf8, Type::Date | Type::Time | Type::Timestamp | Type::Bytes) => {
            param.plain().and_then(|ty| ty.to_arrow().ok())?
        }
        _ => return None,
    })
}
