//! A function as defined by a statement: plain data, of which the definitions of queries keep a copy.

use serde::{Deserialize, Serialize};

use crate::types::SqlType;

/// A function that is defined by an expression over its arguments.
///
/// It contains copies of the functions that it calls, made when it was created, so its meaning does not change if
/// they are replaced or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDef {
    /// Its name, in upper case: function names are not case-sensitive.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<ArgumentDef>,
    /// Its return type; custom types are resolved.
    #[serde(with = "super::type_text")]
    pub returns: SqlType,
    /// Its expression over the arguments, custom types resolved.
    pub body: String,
    /// The user-defined functions that the expression calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionDef>,
    /// The statement that defined it.
    pub statement: String,
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentDef {
    /// Its name.
    pub name: String,
    /// Its type; custom types are resolved.
    #[serde(with = "super::type_text")]
    pub ty: SqlType,
}

impl FunctionDef {
    /// Name and arguments: `TAXED(PRICE DOUBLE)`.
    pub fn signature(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|a| format!("{} {}", a.name, a.ty)).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }

    /// Whether it is a function of this name, or calls one.
    pub fn involves(&self, name: &str) -> bool {
        self.name == name || self.functions.iter().any(|inner| inner.involves(name))
    }

    /// The number of definitions that it contains, including its own.
    pub fn definitions(&self) -> usize {
        1 + self.functions.iter().map(Self::definitions).sum::<usize>()
    }

    /// How deeply functions are nested in it, including itself.
    pub fn depth(&self) -> usize {
        1 + self.functions.iter().map(Self::depth).max().unwrap_or(0)
    }

    /// Whether two functions are the same, regardless of how their statements were written.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let alike = |a: &[Self], b: &[Self]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.means_the_same(b));
        self.name == other.name
            && self.arguments == other.arguments
            && self.returns == other.returns
            && self.body == other.body
            && alike(&self.functions, &other.functions)
    }
}
