//! A function as a statement defined it: plain data that definitions of queries carry along.

use serde::{Deserialize, Serialize};

use crate::types::SqlType;

/// A function that is defined by an expression over its arguments.
///
/// It holds the functions that it calls as they were when it was made, so it means the same whatever becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDef {
    /// Its name, in capitals: names of functions have no case.
    pub name: String,
    /// What it takes.
    pub arguments: Vec<ArgumentDef>,
    /// The type of what it gives; custom types are resolved.
    #[serde(with = "super::type_text")]
    pub returns: SqlType,
    /// Its expression over the arguments, custom types resolved.
    pub body: String,
    /// The functions of other statements that the expression calls.
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

    /// Whether it is, or calls, a function of this name.
    pub fn involves(&self, name: &str) -> bool {
        self.name == name || self.functions.iter().any(|inner| inner.involves(name))
    }

    /// Number of definitions in it, with its own.
    pub fn definitions(&self) -> usize {
        1 + self.functions.iter().map(Self::definitions).sum::<usize>()
    }

    /// How many functions stand inside each other in it, with its own.
    pub fn depth(&self) -> usize {
        1 + self.functions.iter().map(Self::depth).max().unwrap_or(0)
    }

    /// The same, whatever the words of the statement were.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let alike = |a: &[Self], b: &[Self]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.means_the_same(b));
        self.name == other.name
            && self.arguments == other.arguments
            && self.returns == other.returns
            && self.body == other.body
            && alike(&self.functions, &other.functions)
    }
}
