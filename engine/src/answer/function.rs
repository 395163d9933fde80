//! DESCRIBE FUNCTION.

/// The description of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDescription {
    /// Its name, in capitals.
    pub name: String,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// Its kind.
    pub kind: FunctionKind,
    /// The family it is listed under; `None` for functions of DataFusion.
    pub category: Option<&'static str>,
    /// The statement that defined it; `None` for built-in functions.
    pub statement: Option<String>,
    /// The statements that define the functions it calls.
    pub calls: Vec<String>,
    /// The ways to call it; empty for functions of DataFusion, whose documentation lists them.
    pub variants: Vec<CalledAs>,
    /// Calls with constants, each with its result as a query would show it.
    pub examples: Vec<(&'static str, &'static str)>,
}

/// The kind of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// It turns a row into a value.
    Scalar,
    /// It turns a row into several rows.
    Table,
    /// It turns several rows into a value.
    Aggregate,
    /// A function of DataFusion that only bounded queries can call, by the family it is listed under.
    OfBounded(&'static str),
}

/// One way to call a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledAs {
    /// The call with the types of its arguments, such as `ABS(n INT)`.
    pub call: String,
    /// The type of the result.
    pub returns: String,
    /// What this variant does, or the body of a function that a statement defined.
    pub about: String,
}
