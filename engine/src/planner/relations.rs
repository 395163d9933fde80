//! What the relations in FROM are called, and which columns they have, as far as the text says it.

use headwater_connectors::table::{ROWOFFSET, ROWPARTITION, ROWTIME};
use sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins};

use crate::catalog::Catalog;

/// Names that WITH gives, and the columns of what they name; none where they cannot be told.
pub(super) type Named = Vec<(String, Option<Vec<String>>)>;

/// A relation in FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// What its columns are qualified with; none where they cannot be.
    pub alias: Option<Ident>,
    /// Its columns, where the text says them.
    pub columns: Option<Vec<String>>,
}

impl Relation {
    /// Whether it has a column of this name; none where that cannot be told.
    pub fn has(&self, column: &str) -> Option<bool> {
        self.columns.as_ref().map(|columns| columns.iter().any(|name| name == column))
    }
}

/// Names what relations are, among those that WITH named.
pub(super) struct Namer<'a> {
    pub catalog: &'a Catalog,
    pub named: Named,
}

impl Namer<'_> {
    /// Takes up the names that a query gives by WITH.
    pub fn name(&mut self, query: &Query) {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = match cte.alias.columns.is_empty() {
                true => self.columns_of(&cte.query),
                false => Some(cte.alias.columns.iter().map(|column| column.name.value.clone()).collect()),
            };
            self.named.push((cte.alias.name.value.clone(), columns));
        }
    }

    /// The relations of a FROM.
    pub fn relations(&self, from: &[TableWithJoins]) -> Vec<Relation> {
        let factors = from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        factors.flat_map(|factor| self.factor(factor)).collect()
    }

    /// The relations of one item: one, or those of a join in parentheses.
    pub fn factor(&self, factor: &TableFactor) -> Vec<Relation> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.relations(std::slice::from_ref(table_with_joins))
            }
            TableFactor::Table { name, alias, args: None, .. } => {
                let own = name.0.last().and_then(|part| part.as_ident());
                let columns = own.and_then(|own| self.columns_of_name(&own.value));
                let columns = renamed(columns, alias.as_ref());
                vec![Relation { alias: alias.as_ref().map(|alias| alias.name.clone()).or(own.cloned()), columns }]
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = renamed(self.columns_of(subquery), alias.as_ref());
                vec![Relation { alias: alias.as_ref().map(|alias| alias.name.clone()), columns }]
            }
            TableFactor::Table { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. } => {
                vec![Relation { alias: alias.as_ref().map(|alias| alias.name.clone()), columns: None }]
            }
            _ => vec![Relation { alias: None, columns: None }],
        }
    }

    fn columns_of_name(&self, name: &str) -> Option<Vec<String>> {
        if let Some((_, columns)) = self.named.iter().rev().find(|(named, _)| named == name) {
            return columns.clone();
        }
        let source = self.catalog.source(name)?;
        let visible = source.visible_columns().into_iter().chain([ROWTIME, ROWPARTITION, ROWOFFSET]);
        Some(visible.map(str::to_owned).collect())
    }

    /// The columns of a query, where its text says them.
    pub fn columns_of(&self, query: &Query) -> Option<Vec<String>> {
        if query.with.is_some() {
            return None;
        }
        let mut body = query.body.as_ref();
        loop {
            body = match body {
                SetExpr::Select(select) => return listed(select),
                SetExpr::Query(query) => return self.columns_of(query),
                SetExpr::SetOperation { left, .. } => left.as_ref(),
                _ => return None,
            };
        }
    }
}

fn renamed(columns: Option<Vec<String>>, alias: Option<&sqlparser::ast::TableAlias>) -> Option<Vec<String>> {
    match alias {
        Some(alias) if !alias.columns.is_empty() => {
            Some(alias.columns.iter().map(|column| column.name.value.clone()).collect())
        }
        _ => columns,
    }
}

/// The names of a SELECT list; none where one of them is a `*`. An expression without a name gets one that nobody writes.
pub(super) fn listed(select: &Select) -> Option<Vec<String>> {
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|name| name.value.clone()),
        SelectItem::UnnamedExpr(_) => Some(String::new()),
        _ => None,
    };
    select.projection.iter().map(name).collect()
}
