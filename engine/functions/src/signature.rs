//! The signatures of functions, as data. Read this page before adding a function.
//!
//! ```text
//! Function ── name, category, what it does, examples
//!    └─ Variant* ── parameters (the last may repeat), result, kernel
//!          └─ Param* ── name and Type
//! ```
//!
//! Nothing here chooses between variants (`choice`) or runs one (`scalar`).

use std::fmt;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use headwater_language::types::SqlType;

use super::call::Call;

/// A function of the dialect. `K` is how its variants are computed: scalar and table functions have a kernel,
/// aggregates have a recipe for their accumulators (`aggregate`).
#[derive(Debug)]
pub struct Function<K: 'static = Kernel> {
    /// Its name, in upper case; calls may use any case.
    pub name: &'static str,
    /// The family under which it is listed.
    pub category: Category,
    /// Its description, in a sentence or two.
    pub about: &'static str,
    /// The ways to call it.
    pub variants: &'static [Variant<K>],
    /// Calls with constants, and their results as SHOW would print them. A test runs all of them.
    pub examples: &'static [(&'static str, &'static str)],
    /// Whether two calls with the same arguments may return different results.
    pub volatile: bool,
}

/// The families of functions, in the order of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Numbers.
    Mathematical,
    /// Texts and bytes.
    String,
    /// Functions with regular expressions.
    RegularExpression,
    /// JSON in texts.
    Json,
    /// Parts of web addresses.
    Url,
    /// Functions that depend on NULL.
    Conditional,
    /// Arrays.
    Array,
    /// Maps.
    Map,
    /// Higher-order functions.
    Lambda,
    /// Days, times and instants.
    DateTime,
    /// Everything else.
    Other,
    /// Functions that return several rows for one.
    Table,
    /// Functions that compute one value from several rows.
    Aggregate,
}

/// One way to call a function.
#[derive(Debug)]
pub struct Variant<K = Kernel> {
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// Whether one parameter may be repeated any number of times, including zero.
    pub variadic: bool,
    /// How many parameters follow the repeated one.
    pub behind: usize,
    /// Its return type.
    pub returns: Returns,
    /// Whether a null argument makes the result null without calling the kernel.
    pub nulls: Nulls,
    /// Its own description; empty if that of the function is enough.
    pub about: &'static str,
    /// How it is computed.
    pub kernel: K,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
}

/// The type of a parameter or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// BOOLEAN.
    Boolean,
    /// INT.
    Int,
    /// BIGINT.
    BigInt,
    /// DOUBLE.
    Double,
    /// DECIMAL of any precision and scale.
    Decimal,
    /// STRING.
    String,
    /// BYTES.
    Bytes,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// TIMESTAMP.
    Timestamp,
    /// A type variable: any type, but the same for each occurrence of the letter.
    Generic(char),
    /// ARRAY of something.
    Array(&'static Type),
    /// MAP from something to something.
    Map(&'static Type, &'static Type),
    /// STRUCT with these fields.
    Struct(&'static [(&'static str, Type)]),
    /// Any type.
    Any,
    /// A unit of time, written as a word: DAYS.
    Unit,
    /// A function of these parameters: `(k, v) => …`. Its result comes last.
    Lambda(&'static [Type], &'static Type),
}

/// The type of a variant's result.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    /// A type whose type variables are replaced.
    Is(Type),
    /// A type computed from those of the arguments, such as the precision and scale of a DECIMAL.
    From(fn(&[DataType]) -> DataType),
    /// The same, with its form in the documentation.
    Written(&'static str, fn(&[DataType]) -> DataType),
}

/// Whether a kernel sees null arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// One null argument makes the result null.
    Pass,
    /// The kernel handles null arguments.
    Seen,
}

/// Computes a column from columns. The error of a single row is recorded with `call::Row`; an error returned here
/// concerns all rows.
pub type Kernel = fn(&Call<'_>) -> Result<ArrayRef>;

/// `T`.
pub const T: Type = Type::Generic('T');
/// `K`.
pub const K: Type = Type::Generic('K');
/// `V`.
pub const V: Type = Type::Generic('V');
/// `ARRAY<T>`.
pub const ARRAY_T: Type = Type::Array(&T);
/// `ARRAY<STRING>`.
pub const ARRAY_STRING: Type = Type::Array(&Type::String);
/// `MAP<K, V>`.
pub const MAP_KV: Type = Type::Map(&K, &V);

/// A parameter.
pub const fn p(name: &'static str, ty: Type) -> Param {
    Param { name, ty }
}

impl Function {
    /// A function, as yet without examples.
    pub const fn new(
        name: &'static str,
        category: Category,
        about: &'static str,
        variants: &'static [Variant],
        examples: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { name, category, about, variants, examples, volatile: false }
    }

    /// Declares that two calls with the same arguments may return different results.
    pub const fn volatile(self) -> Self {
        Self { volatile: true, ..self }
    }
}

impl Variant {
    /// A variant that is null if an argument is.
    pub const fn new(params: &'static [Param], returns: Type, kernel: Kernel) -> Self {
        Self::computed(params, returns, kernel)
    }
}

impl<K: Copy> Variant<K> {
    /// A variant that is computed by `K`.
    pub const fn computed(params: &'static [Param], returns: Type, kernel: K) -> Self {
        let returns = Returns::Is(returns);
        Self { params, variadic: false, behind: 0, returns, nulls: Nulls::Pass, about: "", kernel }
    }

    /// Allows the last parameter to be repeated.
    pub const fn variadic(self) -> Self {
        Self { variadic: true, ..self }
    }

    /// Allows the parameter before the last one to be repeated.
    pub const fn variadic_inside(self) -> Self {
        Self { variadic: true, behind: 1, ..self }
    }

    /// Declares that the kernel handles null arguments.
    pub const fn sees_nulls(self) -> Self {
        Self { nulls: Nulls::Seen, ..self }
    }

    /// Sets a function that computes the result type from the arguments.
    pub const fn giving(self, returns: fn(&[DataType]) -> DataType) -> Self {
        Self { returns: Returns::From(returns), ..self }
    }

    /// Sets a function that computes the result type from the arguments, and its form in the documentation.
    pub const fn giving_written(self, written: &'static str, returns: fn(&[DataType]) -> DataType) -> Self {
        Self { returns: Returns::Written(written, returns), ..self }
    }

    /// Adds a description of this variant.
    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }
}

impl<K> Variant<K> {
    /// Its return type, in the form of the documentation.
    pub fn returns_text(&self) -> String {
        match self.returns {
            Returns::Is(ty) => ty.to_string(),
            Returns::From(_) => Type::Decimal.to_string(),
            Returns::Written(written, _) => written.to_owned(),
        }
    }

    /// The parameter for the argument at this index, in a call with this number of arguments.
    pub fn param(&self, at: usize, arguments: usize) -> &Param {
        let last = self.params.len().saturating_sub(1);
        let repeated = last.saturating_sub(self.behind);
        match self.variadic {
            true if at + self.behind >= arguments => &self.params[last + 1 + at - arguments],
            true => &self.params[at.min(repeated)],
            false => &self.params[at],
        }
    }

    /// `NAME(a INT, b STRING...)`.
    pub fn text(&self, name: &str) -> String {
        let repeated = self.params.len().saturating_sub(1 + self.behind);
        let param = |(at, p): (usize, &Param)| {
            let dots = if self.variadic && at == repeated { "..." } else { "" };
            format!("{} {}{dots}", p.name, p.ty)
        };
        let params: Vec<String> = self.params.iter().enumerate().map(param).collect();
        format!("{name}({})", params.join(", "))
    }
}

impl Category {
    /// The form that SHOW FUNCTIONS prints.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mathematical => "MATHEMATICAL",
            Self::String => "STRING",
            Self::RegularExpression => "REGULAR EXPRESSION",
            Self::Json => "JSON",
            Self::Url => "URL",
            Self::Conditional => "CONDITIONAL",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Lambda => "LAMBDA",
            Self::DateTime => "DATE / TIME",
            Self::Other => "OTHER",
            Self::Table => "TABLE",
            Self::Aggregate => "AGGREGATE",
        }
    }
}

impl Type {
    /// The number of type variables in it.
    pub fn generics(&self) -> usize {
        match self {
            Self::Generic(_) | Self::Any => 1,
            Self::Array(item) => item.generics(),
            Self::Map(key, value) => key.generics() + value.generics(),
            Self::Lambda(params, result) => params.iter().map(Self::generics).sum::<usize>() + result.generics(),
            _ => 0,
        }
    }

    /// The type of the dialect, if this is a concrete type.
    pub fn plain(&self) -> Option<SqlType> {
        Some(match self {
            Self::Boolean => SqlType::Boolean,
            Self::Int => SqlType::Int,
            Self::BigInt => SqlType::BigInt,
            Self::Double => SqlType::Double,
            Self::String => SqlType::String,
            Self::Bytes => SqlType::Bytes,
            Self::Date => SqlType::Date,
            Self::Time => SqlType::Time,
            Self::Timestamp => SqlType::Timestamp,
            _ => return None,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int => f.write_str("INT"),
            Self::Decimal => f.write_str("DECIMAL"),
            Self::Generic(letter) => write!(f, "{letter}"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Struct(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
                write!(f, "STRUCT<{}>", fields.join(", "))
            }
            Self::Any => f.write_str("ANY"),
            Self::Unit => f.write_str("UNIT"),
            Self::Lambda(params, result) => {
                let params: Vec<String> = params.iter().map(ToString::to_string).collect();
                write!(f, "LAMBDA ({}) => {result}", params.join(", "))
            }
            plain => plain.plain().map_or(Ok(()), |ty| write!(f, "{ty}")),
        }
    }
}
