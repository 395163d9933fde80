//! `*` and names of sources, settled before DataFusion sees the query.
//!
//! Every source has the address columns ROWTIME, ROWPARTITION and ROWOFFSET, which `SELECT *` leaves
//! out; DataFusion knows no such columns, so `*` over a source becomes the list of its visible
//! columns here. In a join they are called `ALIAS_COLUMN`, as ksqlDB calls them. A `*` over a
//! subquery stays: its columns are what it selects. NATURAL joins become USING for the same reason.
//!
//! Relations that are neither in the catalog nor a common table expression are reported here, with
//! their place in the text.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Join, JoinConstraint,
    JoinOperator, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins,
    VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};

use crate::catalog::{Catalog, SourceDef};
use crate::diagnostic::nearest;
use crate::diagnostic::{Diagnostic, NOT_SUPPORTED, UNKNOWN_SOURCE};

/// Settles every `*` and every relation of a query. Reports what does not exist.
pub fn expand(query: &mut Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut expander = Expander { catalog, ctes: Vec::new(), withs: Vec::new(), errors: Vec::new() };
    let _: ControlFlow<()> = query.visit(&mut expander);
    expander.errors
}

struct Expander<'a> {
    catalog: &'a Catalog,
    /// Names of the common table expressions in scope.
    ctes: Vec<String>,
    /// WITH clauses taken out while the query they belong to is visited, and how many names to keep after it.
    withs: Vec<(Option<With>, usize)>,
    errors: Vec<Diagnostic>,
}

/// A relation in FROM.
struct Relation {
    /// What its columns are qualified with.
    alias: Option<Ident>,
    /// What it is, when it is a source.
    source: Option<Arc<SourceDef>>,
    /// Columns that a USING merged into the relation before it.
    merged: Vec<String>,
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let scope = self.ctes.len();
        let mut with = query.with.take();
        for cte in with.iter_mut().flat_map(|w| &mut w.cte_tables) {
            cte.query.visit(self)?;
            self.ctes.push(cte.alias.name.value.clone());
        }
        self.withs.push((with, scope));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some((with, scope)) = self.withs.pop() {
            query.with = with;
            self.ctes.truncate(scope);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut relations = Vec::new();
        for from in &mut select.from {
            self.relations(from, &mut relations);
        }
        let items = std::mem::take(&mut select.projection);
        select.projection = items.into_iter().flat_map(|item| self.item(item, &relations)).collect();
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    fn relations(&mut self, from: &mut TableWithJoins, out: &mut Vec<Relation>) {
        let first = self.relation(&mut from.relation);
        out.push(first);
        for join in &mut from.joins {
            let mut relation = self.relation(&mut join.relation);
            settle_natural(join, out.last(), &relation);
            relation.merged = using_columns(join);
            out.push(relation);
        }
    }

    fn relation(&mut self, factor: &mut TableFactor) -> Relation {
        let named = |alias: Option<Ident>| Relation { alias, source: None, merged: Vec::new() };
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let source = self.source(name);
                let own = name.0.last().and_then(|part| part.as_ident().cloned());
                let alias = alias.as_ref().map(|a| a.name.clone()).or(own);
                Relation { alias, source, merged: Vec::new() }
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. } => named(alias.as_ref().map(|a| a.name.clone())),
            _ => named(None),
        }
    }

    fn source(&mut self, name: &ObjectName) -> Option<Arc<SourceDef>> {
        let [part] = &name.0[..] else {
            self.unknown(name);
            return None;
        };
        let ident = part.as_ident()?;
        if self.ctes.contains(&ident.value) {
            return None;
        }
        let found = self.catalog.source(&ident.value).cloned();
        if found.is_none() {
            self.unknown(name);
        }
        found
    }

    fn unknown(&mut self, name: &ObjectName) {
        let text = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect::<Vec<_>>().join(".");
        let span = name.0.first().and_then(|p| p.as_ident()).and_then(|i| crate::sql::place(i.span));
        let error = Diagnostic {
            span,
            ..Diagnostic::new(UNKNOWN_SOURCE, format!("stream or table \"{text}\" does not exist"))
        };
        let near = nearest(&text, self.catalog.sources().map(|s| s.name.as_str()));
        self.errors.push(match near {
            Some(near) if near.eq_ignore_ascii_case(&text) => {
                error.hint(format!("Did you mean `{near}`? Its name must be quoted."))
            }
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => error.hint(
                "SHOW STREAMS; and SHOW TABLES; list what there is, SHOW TOPICS; the topics to declare one over.",
            ),
        });
    }

    fn item(&mut self, item: SelectItem, relations: &[Relation]) -> Vec<SelectItem> {
        match item {
            SelectItem::Wildcard(options) => {
                let prefixed = relations.len() > 1;
                let excluded = self.excluded(&options);
                relations.iter().flat_map(|r| columns(r, prefixed, &excluded, &options)).collect()
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let alias = name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone());
                let excluded = self.excluded(&options);
                let relation = relations.iter().find(|r| r.alias.as_ref().map(|a| &a.value) == alias.as_ref());
                match relation.filter(|r| r.source.is_some()) {
                    Some(relation) => columns(relation, relations.len() > 1, &excluded, &options),
                    None => {
                        vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)]
                    }
                }
            }
            other => vec![other],
        }
    }

    fn excluded(&mut self, options: &WildcardAdditionalOptions) -> Vec<String> {
        use sqlparser::ast::ExcludeSelectItem::{Multiple, Single};
        let unsupported = options.opt_ilike.is_some() || options.opt_replace.is_some() || options.opt_rename.is_some();
        if unsupported {
            let message = "ILIKE, REPLACE and RENAME after \"*\" are not supported yet";
            self.errors.push(
                Diagnostic::new(NOT_SUPPORTED, message).at_maybe(crate::sql::place(options.wildcard_token.0.span)),
            );
        }
        let last = |name: &ObjectName| name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone());
        let excluded = match &options.opt_exclude {
            Some(Single(name)) => last(name).into_iter().collect(),
            Some(Multiple(names)) => names.iter().filter_map(last).collect(),
            None => Vec::new(),
        };
        let except =
            options.opt_except.iter().flat_map(|e| std::iter::once(&e.first_element).chain(&e.additional_elements));
        excluded.into_iter().chain(except.map(|i| i.value.clone())).collect()
    }
}

/// The columns that `*` shows of a relation.
fn columns(
    relation: &Relation,
    prefixed: bool,
    excluded: &[String],
    options: &WildcardAdditionalOptions,
) -> Vec<SelectItem> {
    let (Some(source), Some(alias)) = (&relation.source, &relation.alias) else {
        let kind =
            relation.alias.clone().map(|a| SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![a])));
        return vec![match kind {
            Some(kind) => SelectItem::QualifiedWildcard(kind, options.clone()),
            None => SelectItem::Wildcard(options.clone()),
        }];
    };
    let shown = source.visible_columns();
    let shown =
        shown.into_iter().filter(|c| !excluded.iter().any(|e| e == c) && !relation.merged.iter().any(|m| m == c));
    shown.map(|column| column_item(alias, column, prefixed)).collect()
}

fn column_item(alias: &Ident, column: &str, prefixed: bool) -> SelectItem {
    let expr = Expr::CompoundIdentifier(vec![alias.clone(), Ident::new(column)]);
    match prefixed {
        true => SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("{}_{column}", alias.value)) },
        false => SelectItem::UnnamedExpr(expr),
    }
}

fn constraint(join: &mut Join) -> Option<&mut JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match &mut join.join_operator {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}

/// A NATURAL join of two sources is one USING their common visible columns.
fn settle_natural(join: &mut Join, left: Option<&Relation>, right: &Relation) {
    let (Some(left), Some(right)) = (left.and_then(|l| l.source.as_ref()), &right.source) else { return };
    let Some(constraint) = constraint(join).filter(|c| **c == JoinConstraint::Natural) else { return };
    let others = right.visible_columns();
    let common = left.visible_columns().into_iter().filter(|c| others.contains(c));
    *constraint = JoinConstraint::Using(common.map(|c| ObjectName::from(vec![Ident::new(c)])).collect());
}

fn using_columns(join: &mut Join) -> Vec<String> {
    match constraint(join) {
        Some(JoinConstraint::Using(names)) => {
            names.iter().filter_map(|n| n.0.last()).filter_map(|p| p.as_ident()).map(|i| i.value.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// A call of a function of DataFusion.
pub fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
