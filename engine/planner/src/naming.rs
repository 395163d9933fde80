//! Names for columns that have none, generated as in ksqlDB: the name of a struct's field, or a number, always unique.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::sql::{print, take, walk_mut};
use sqlparser::ast::{
    AccessExpr, Distinct, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value, VisitorMut,
};

/// Names the columns of a query and of all its subqueries, and rewrites what ORDER BY refers to.
pub(super) fn name_all(query: &mut Query, catalog: &Catalog) {
    walk_mut(query, &mut Naming(catalog));
}

struct Naming<'a>(&'a Catalog);

impl VisitorMut for Naming<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        order_by_name(query, self.0);
        name_apart(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_columns(select, self.0);
        ControlFlow::Continue(())
    }
}

/// Gives every column of a SELECT list the name that ksqlDB gives it: the field's name for a field, `KSQL_COL_n` for
/// other expressions, `ALIAS_COLUMN` if two sources have a column of the same name. A generated name differs from all
/// names in the list and from the columns of the sources.
pub(super) fn name_columns(select: &mut Select, catalog: &Catalog) {
    let mut names = FreeNames::beside(source_columns(select, catalog));
    select.projection.iter().filter_map(given_name).for_each(|name| names.taken.add(name));
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let Some(name) = new_name(expr, &mut names) else { continue };
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
    }
}

/// The names of columns, and how many columns have each.
#[derive(Default)]
struct Taken(HashMap<String, usize>);

impl Taken {
    fn add(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    fn times(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// SELECT DISTINCT returns only the columns that are listed, so expressions that ORDER BY repeats are replaced with
/// their names. Names and positions refer to columns of the result already.
fn order_by_name(query: &mut Query, catalog: &Catalog) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(OrderByKind::Expressions(expressions)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
        return;
    };
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return;
    }
    name_columns(select, catalog);
    for by in expressions.iter_mut().filter(|by| !matches!(by.expr, Expr::Identifier(_) | Expr::Value(_))) {
        let written = print::expr(&by.expr);
        let named = select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if print::expr(expr) == written => Some(alias.clone()),
            _ => None,
        });
        if let Some(alias) = named {
            by.expr = Expr::Identifier(alias);
        }
    }
}

/// In a set operation the first SELECT names the columns; in the others a name may occur twice, which DataFusion does
/// not support.
fn name_apart(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, right, .. } = body else { return };
    name_apart(left);
    let mut first = right.as_mut();
    let select = loop {
        first = match first {
            SetExpr::Select(select) => break select,
            SetExpr::SetOperation { left, .. } => left.as_mut(),
            SetExpr::Query(query) => query.body.as_mut(),
            _ => return,
        };
    };
    let mut taken: Vec<String> = Vec::new();
    for item in &mut select.projection {
        let Some(name) = given_name(item) else { continue };
        let free = free_name(&name, &taken);
        if free != name
            && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
        {
            *item = SelectItem::ExprWithAlias { expr: take(expr), alias: Ident::with_quote('`', free.clone()) };
        }
        taken.push(free);
    }
}

/// A name, with a number appended if it is taken.
fn free_name(name: &str, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    let numbered = (1..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(free).unwrap_or_else(|| name.to_owned())
}

/// The name that an item has without a generated name.
fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|n| n.value.clone()),
        _ => None,
    }
}

/// The columns of the sources in FROM.
fn source_columns(select: &Select, catalog: &Catalog) -> BTreeSet<String> {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation)));
    let source = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => {
            catalog.source(&name.0.last().and_then(|part| part.as_ident())?.value).cloned()
        }
        _ => None,
    };
    let mut columns = BTreeSet::new();
    for source in factors.filter_map(source) {
        columns.extend(source.columns.iter().map(|column| column.name.clone()));
    }
    columns
}

fn new_name(expr: &Expr, names: &mut FreeNames) -> Option<String> {
    let name = match expr {
        Expr::Identifier(_) | Expr::Wildcard(_) => return None,
        Expr::CompoundIdentifier(parts) => {
            let name = &parts.last()?.value;
            let clash = names.taken.times(name) > 1;
            let name = clash.then(|| parts.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join("_"))?;
            names.taken.add(name.clone());
            name
        }
        expr => names.name(expr),
    };
    Some(name)
}

/// Generates names for columns that have none.
pub(super) struct FreeNames {
    /// The names of columns of the result.
    taken: Taken,
    /// Names that are not used as generated names.
    reserved: BTreeSet<String>,
    numbers: std::ops::RangeFrom<usize>,
}

impl FreeNames {
    /// A generator for names that differ from all of these.
    pub(super) fn beside(reserved: BTreeSet<String>) -> Self {
        Self { taken: Taken::default(), reserved, numbers: 0.. }
    }

    /// The name for the column of an expression: that of the struct's field it reads, or a number.
    pub(super) fn name(&mut self, expr: &Expr) -> String {
        let field = match expr {
            Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
                Some(AccessExpr::Dot(Expr::Value(name))) => name.value.clone().into_string(),
                _ => None,
            },
            _ => None,
        };
        let is_free = |name: &String| self.taken.times(name) == 0 && !self.reserved.contains(name);
        let name = match field {
            Some(field) => std::iter::once(field.clone()).chain((1..).map(|n| format!("{field}_{n}"))).find(is_free),
            None => self.numbers.by_ref().map(|n| format!("KSQL_COL_{n}")).find(is_free),
        };
        let name = name.expect("there is always a next number");
        self.taken.add(name.clone());
        name
    }
}
