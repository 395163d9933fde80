//! Relations whose name is also the name of a column in a subquery.
//!
//! In `SELECT (SELECT COUNT(*) FROM l AS s WHERE s.k = i.k) FROM r AS i`, DataFusion reads `i.k` as a field of the
//! column I of `l`. The dialect accesses fields with `->`, so it must be the outer relation; that is renamed to
//! something that is not a column.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::sql::{walk, walk_mut};
use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, Visitor, VisitorMut,
};

use super::relations::{Namer, Relation};

/// Renames such relations.
pub(super) fn rename(query: &mut Query, catalog: &Catalog) {
    let mut finder = Finder { scopes: Scopes::new(catalog), found: BTreeSet::new() };
    walk(query, &mut finder);
    if !finder.found.is_empty() {
        walk_mut(query, &mut Renamer { scopes: Scopes::new(catalog), names: finder.found });
    }
}

/// The relations of the queries that enclose a location in the statement.
struct Scopes<'a> {
    namer: Namer<'a>,
    /// For each enclosing query, how many names of WITH were known before it.
    named: Vec<usize>,
    relations: Vec<Vec<Relation>>,
}

impl<'a> Scopes<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self { namer: Namer { catalog, named: Vec::new() }, named: Vec::new(), relations: Vec::new() }
    }

    /// ORDER BY sees the relations of the SELECT before it.
    fn enter_query(&mut self, query: &Query) {
        self.named.push(self.namer.named.len());
        self.namer.name(query);
        match query.body.as_ref() {
            SetExpr::Select(select) => self.enter_select(select),
            _ => self.relations.push(Vec::new()),
        }
    }

    fn leave_query(&mut self) {
        self.relations.pop();
        if let Some(named) = self.named.pop() {
            self.namer.named.truncate(named);
        }
    }

    fn enter_select(&mut self, select: &Select) {
        self.relations.push(self.namer.relations(&select.from));
    }

    fn leave_select(&mut self) {
        self.relations.pop();
    }

    /// How many queries further out a relation of this name is.
    fn distance(&self, name: &str) -> Option<usize> {
        let is_named = |relation: &Relation| relation.alias.as_ref().is_some_and(|alias| alias.value == name);
        self.relations.iter().rev().position(|relations| relations.iter().any(is_named))
    }

    /// Whether a name is, or may be, that of a column between here and the query at that distance.
    fn is_hidden(&self, name: &str, distance: usize) -> bool {
        self.relations.iter().rev().take(distance).flatten().any(|relation| relation.has(name) != Some(false))
    }
}

struct Finder<'a> {
    scopes: Scopes<'a>,
    found: BTreeSet<String>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.scopes.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.scopes.enter_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.scopes.leave_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let [relation, _] = &names[..]
            && let Some(distance) = self.scopes.distance(&relation.value)
            && self.scopes.is_hidden(&relation.value, distance)
        {
            self.found.insert(relation.value.clone());
        }
        ControlFlow::Continue(())
    }
}

struct Renamer<'a> {
    scopes: Scopes<'a>,
    names: BTreeSet<String>,
}

impl Renamer<'_> {
    fn renamed(&self, name: &Ident) -> Option<Ident> {
        let renamed = || Ident::with_quote('`', format!("{}_1", name.value));
        self.names.contains(&name.value).then(renamed)
    }
}

impl VisitorMut for Renamer<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let [part] = &name.0[..]
                && let Some(renamed) = part.as_ident().and_then(|name| self.renamed(name))
            {
                *name = ObjectName::from(vec![renamed]);
            }
        }
        self.scopes.enter_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.leave_select();
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let (alias, own) = match factor {
            TableFactor::Table { name, alias, .. } => (alias, name.0.last().and_then(|part| part.as_ident())),
            TableFactor::Derived { alias, .. } => (alias, None),
            _ => return ControlFlow::Continue(()),
        };
        let name = alias.as_ref().map(|alias| &alias.name).or(own);
        if let Some(renamed) = name.and_then(|name| self.renamed(name)) {
            match alias {
                Some(alias) => alias.name = renamed,
                None => {
                    *alias = Some(TableAlias { explicit: true, name: renamed, columns: Vec::new(), at: None });
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let [relation, ..] = &mut names[..]
            && self.scopes.distance(&relation.value).is_some()
            && let Some(renamed) = self.renamed(relation)
        {
            *relation = renamed;
        }
        ControlFlow::Continue(())
    }
}
