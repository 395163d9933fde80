//! DESCRIBE FUNCTION.

/// What there is to say about a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDescription {
    /// Its name, in capitals.
    pub name: String,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// What it is.
    pub kind: FunctionKind,
    /// The family it is listed under; none for functions of DataFusion.
    pub category: Option<&'static str>,
    /// The statement that defined it; none for a function that is built in.
    pub statement: Option<String>,
    /// The statements of the functions of statements that it calls.
    pub calls: Vec<String>,
    /// The ways to call it; empty for functions of DataFusion, whose documentation lists them.
    pub variants: Vec<CalledAs>,
    /// Calls with constants, each with its result as a query would show it.
    pub examples: Vec<(&'static str, &'static str)>,
}

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A row becomes a value.
    Scalar,
    /// A row becomes several.
    Table,
    /// Several rows become a value.
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
    /// What this way does; the body of a function that a statement defined.
    pub about: String,
}
