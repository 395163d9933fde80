//! The operator whose stores have the result of a query.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use headwater_language::sql::parse_expr;
use headwater_language::topology::{Action, Join, JoinKind, Node, NodeId, ResultColumn};
use headwater_state::{Scanned, Snapshot};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::chunk::Chunk;
use super::operator::Operator;

/// An operator whose stores have the rows that it has emitted and that are still valid.
pub trait Keeper: fmt::Debug {
    /// The indices of its stores.
    fn stores(&self) -> Range<usize>;

    /// Those of its stores that have the key of each row between them, by their places among [`Self::stores`].
    fn scanned(&self) -> Range<usize> {
        0..1
    }

    /// The rows for some keys. Keys that have no row are left out. Fails if they are damaged.
    fn rows(&self, found: Found<'_>) -> Result<Chunk, ArrowError>;

    /// The types of the columns that make a key.
    fn key_types(&self) -> Vec<DataType>;

    /// Whether equal keys have the same bytes, whatever their types: 0.0 and -0.0 may differ otherwise.
    fn has_canonical_keys(&self) -> bool {
        false
    }

    /// The keys that these columns make, none of them null.
    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError>;

    /// The end of the window of the store with this start, in ms; `None` if its windows are not those of the rows.
    fn window_end(&self, _start_ms: i64) -> Option<i64> {
        None
    }

    /// Windows that start before this have expired at a stream time; `i64::MIN` without windows.
    fn kept_from(&self, _stream_time_ms: i64) -> i64 {
        i64::MIN
    }
}

/// Keys of a keeper's stores.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// All of its stores at one commit, in their order.
    pub stores: &'a [Snapshot],
    /// The place of the one that has the keys.
    pub place: usize,
    /// The keys, with their values there.
    pub keys: &'a Scanned,
}

/// The operator of a stage that keeps the result.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its index. Only operators follow that compute each row from one row.
    pub operator: usize,
    /// The columns of the result that are those of its key, in their order; `None` if one of them is missing.
    pub keys: Option<Vec<String>>,
}

impl Kept {
    /// The operator that keeps the result, or the reason why none does. `operators` are those of the last stage in their order,
    /// and `nodes` are its nodes.
    pub fn of(operators: &[(&NodeId, Arc<dyn Operator>)], nodes: &[&Node]) -> Result<Self, &'static str> {
        let is_keeper = |(_, operator): &(&NodeId, Arc<dyn Operator>)| operator.keeper().is_some();
        let at = operators.iter().rposition(is_keeper).ok_or("the query keeps no state of its result")?;
        if !operators[at + 1..].iter().all(|(_, later)| later.repeats()) {
            return Err("a step after the state gives another result each time");
        }
        let node = |id: &NodeId| nodes.iter().find(|node| node.id == *id);
        let follows = |pair: &[(&NodeId, Arc<dyn Operator>)]| {
            node(pair[1].0).is_some_and(|node| node.inputs.as_slice() == std::slice::from_ref(pair[0].0))
        };
        let columns = nodes.iter().rev().find_map(|node| match &node.action {
            Action::Project(projection) => Some(&projection.columns),
            _ => None,
        });
        let (Some(columns), Some(action), true) =
            (columns, node(operators[at].0).map(|node| &node.action), operators[at..].windows(2).all(follows))
        else {
            return Err("the steps after the state are not in a line");
        };
        let names = |key: Vec<&str>| {
            columns.iter().find(|column| column.key && named(column) == key).map(|column| column.name.clone())
        };
        Ok(Self { operator: at, keys: keys_of(action).into_iter().map(names).collect() })
    }
}

/// The columns of an operator's key, each as the names in the expression for it.
fn keys_of(action: &Action) -> Vec<Vec<&str>> {
    let names: &[String] = match action {
        Action::Aggregate(aggregation) => &aggregation.groups,
        Action::Table(table) => &table.key,
        Action::Latest(latest) => &latest.key,
        Action::Join(Join { kind, left, right, .. }) => {
            return vec![match kind {
                JoinKind::Inner | JoinKind::Left => vec![left.key.as_str()],
                JoinKind::Right => vec![right.key.as_str()],
                JoinKind::Full => vec![left.key.as_str(), right.key.as_str()],
            }];
        }
        _ => &[],
    };
    names.iter().map(|name| vec![name.as_str()]).collect()
}

/// The names of the columns that the expression for a column takes its value from: one, or those of COALESCE.
fn named(column: &ResultColumn) -> Vec<String> {
    let name = |expr: &Expr| if let Expr::Identifier(name) = expr { Some(name.value.clone()) } else { None };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => name(expr),
        _ => None,
    };
    match parse_expr(&column.expr) {
        Ok(Expr::Function(call)) if call.name.to_string().eq_ignore_ascii_case("COALESCE") => match call.args {
            FunctionArguments::List(list) => list.args.iter().map(argument).collect::<Option<_>>().unwrap_or_default(),
            _ => Vec::new(),
        },
        Ok(expr) => name(&expr).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}
