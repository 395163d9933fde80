//! The sources in FROM and the names of their columns.
//!
//! Expressions are kept as they are written. Two other forms can be derived: [`Scope::text`] for messages and
//! comparisons, and [`Scope::lowered`] for the steps of a topology.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use headwater_expression::errors::unknown_column_of;
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART};
use headwater_functions::is_unit_word;
use headwater_language::catalog::Catalog;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{AMBIGUOUS_COLUMN, Diagnostic, Span, UNKNOWN_COLUMN};
use headwater_language::sql::{each_own_expr, place, print, walk_mut};
use sqlparser::ast::{Expr, Ident, Select, Spanned as _, TableFactor, VisitorMut};

use crate::lambdas;

/// The sources that a query reads, in the order of FROM.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The sources.
    pub members: Vec<Member>,
}

/// A source in FROM.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name that qualifies its columns.
    pub alias: String,
    /// The definition of the source.
    pub source: Arc<SourceDef>,
}

/// A column of a source in FROM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnRef {
    /// Index of the source.
    pub member: usize,
    /// The column's name.
    pub name: String,
}

impl Scope {
    /// Reads the sources of a SELECT; none if FROM is empty or contains anything else.
    pub fn read(select: &Select, catalog: &Catalog) -> Option<Self> {
        let mut members = Vec::new();
        for from in &select.from {
            for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
                members.push(Member::read(factor, catalog)?);
            }
        }
        (!members.is_empty()).then_some(Self { members })
    }

    /// Whether one of the sources has a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.has(name))
    }

    /// The column that an expression is, if it is one.
    pub fn column(&self, expr: &Expr) -> Option<ColumnRef> {
        match expr {
            Expr::Identifier(name) => {
                let mut having = (0..self.members.len()).filter(|at| self.members[*at].has(&name.value));
                let member = having.next().filter(|_| having.next().is_none())?;
                Some(ColumnRef { member, name: name.value.clone() })
            }
            Expr::CompoundIdentifier(names) => {
                let [alias, name] = &names[..] else { return None };
                let member = self.members.iter().position(|m| m.alias == alias.value && m.has(&name.value))?;
                Some(ColumnRef { member, name: name.value.clone() })
            }
            Expr::Nested(inner) => self.column(inner),
            _ => None,
        }
    }

    /// All columns that an expression uses.
    pub fn columns_in(&self, expr: &Expr) -> BTreeSet<ColumnRef> {
        let mut found = BTreeSet::new();
        each_own_expr(expr, &mut |expr: &Expr| found.extend(self.column(expr)));
        found
    }

    /// Reports the names in an expression that no source has, or that several have. `clause` is the clause that
    /// contains the expression; `others` are additional names that are allowed. Lambda parameters and units of time are
    /// not reported.
    pub fn check(&self, clause: &str, expr: &Expr, others: &[&str], errors: &mut Vec<Diagnostic>) {
        let mut own: BTreeSet<String> = others.iter().map(|name| (*name).to_owned()).collect();
        each_own_expr(expr, &mut |expr: &Expr| {
            if let Expr::Lambda(lambda) = expr {
                own.extend(lambda.params.iter().map(|param| param.name.value.clone()));
            }
        });
        lambdas::check(expr, "a column", |name| self.has(name), errors);
        let mut reported = BTreeSet::new();
        each_own_expr(expr, &mut |expr: &Expr| {
            let error = match expr {
                Expr::Identifier(name) if !own.contains(&name.value) && !is_unit_word(&name.value) => {
                    self.unqualified(name)
                }
                Expr::CompoundIdentifier(names)
                    if names.len() == 2
                        && !own.contains(&names[0].value)
                        && !others.contains(&names[1].value.as_str()) =>
                {
                    self.qualified(&names[0], &names[1])
                }
                _ => None,
            };
            if let Some(error) = error
                && reported.insert(error.message.clone())
            {
                errors.push(named_in(clause, error.at_maybe(place(expr.span()))));
            }
        });
    }

    fn unqualified(&self, name: &Ident) -> Option<Diagnostic> {
        let having: Vec<&Member> = self.members.iter().filter(|m| m.has(&name.value)).collect();
        match having[..] {
            [_] => None,
            [] => Some(self.unknown(&name.value, &name.value)),
            [first, ..] => {
                let listed: Vec<_> = having.iter().map(|m| format!("{}.{}", m.alias, name.value)).collect();
                let message = format!("column \"{}\" exists in more than one source", name.value);
                let error =
                    Diagnostic::new(AMBIGUOUS_COLUMN, message).detail(format!("It could be {}.", listed.join(" or ")));
                Some(error.hint(format!("Qualify it, such as {}.{}.", first.alias, name.value)))
            }
        }
    }

    fn qualified(&self, alias: &Ident, name: &Ident) -> Option<Diagnostic> {
        match self.members.iter().find(|m| m.alias == alias.value) {
            Some(member) if member.has(&name.value) => None,
            Some(member) => {
                let text = format!("{}.{}", alias.value, name.value);
                let only = Self { members: vec![member.clone()] };
                Some(only.unknown(&text, &name.value))
            }
            None => {
                let listed: Vec<_> = self.members.iter().map(|m| format!("\"{}\"", m.alias)).collect();
                let message = format!("FROM has no relation \"{}\"", alias.value);
                Some(Diagnostic::new(UNKNOWN_COLUMN, message).detail(format!("FROM has {}.", listed.join(", "))))
            }
        }
    }

    fn unknown(&self, text: &str, name: &str) -> Diagnostic {
        let names: Vec<String> = self.members.iter().flat_map(Member::column_names).collect();
        let error = unknown_column_of(name, names.iter().map(String::as_str).collect());
        Diagnostic { message: format!("column \"{text}\" does not exist"), ..error }
    }

    /// An expression as text; columns are qualified if there is more than one source.
    pub fn text(&self, expr: &Expr) -> String {
        if let Expr::Nested(inner) = expr {
            return self.text(inner);
        }
        let mut expr = expr.clone();
        let joined = self.members.len() > 1;
        each_name_mut(&mut expr, &mut |name| {
            let Some(column) = self.column(name) else { return };
            let alias = &self.members[column.member].alias;
            *name = match joined {
                true => Expr::CompoundIdentifier(vec![ident(alias), ident(&column.name)]),
                false => Expr::Identifier(ident(&column.name)),
            };
        });
        print::expr(&expr)
    }

    /// Rewrites an expression over the columns of [`Self::schema`], so that every name is written in one form. Places
    /// are kept.
    pub fn lowered(&self, expr: &Expr) -> Expr {
        let mut expr = expr.clone();
        each_name_mut(&mut expr, &mut |name| {
            let (column, whole) = (self.column(name).map(|column| self.merged_name(&column)), name.span());
            *name = match (column, &*name) {
                (Some(column), Expr::Identifier(name)) => Expr::Identifier(Ident { span: name.span, ..ident(&column) }),
                (None, Expr::Identifier(name)) => Expr::Identifier(Ident { span: name.span, ..ident(&name.value) }),
                (column, Expr::CompoundIdentifier(names)) => {
                    let Some(last) = names.last().filter(|_| column.is_some() || self.is_of_only(names)) else {
                        return;
                    };
                    let span = if place(last.span).is_some() { whole } else { last.span };
                    Expr::Identifier(Ident { span, ..ident(&column.unwrap_or_else(|| last.value.clone())) })
                }
                _ => return,
            };
        });
        expr
    }

    /// Whether these names are a column of the only source.
    fn is_of_only(&self, names: &[Ident]) -> bool {
        matches!((&self.members[..], names), ([only], [alias, _]) if only.alias == alias.value)
    }

    /// The name of a column if there is more than one source: the name that `*` gives it.
    pub fn merged_name(&self, column: &ColumnRef) -> String {
        match &self.members[..] {
            [_] => column.name.clone(),
            members => format!("{}_{}", members[column.member].alias, column.name),
        }
    }

    /// The columns of all sources, under the names that `*` gives them.
    pub fn schema(&self) -> SchemaRef {
        if let [only] = &self.members[..] {
            return only.source.row_schema();
        }
        let fields = self.members.iter().enumerate().flat_map(|(member, m)| {
            m.source.row_schema().fields().iter().map(|field| self.merged_field(member, field)).collect::<Vec<_>>()
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn merged_field(&self, member: usize, field: &Field) -> Field {
        let column = ColumnRef { member, name: field.name().clone() };
        field.clone().with_name(self.merged_name(&column))
    }

    /// The names of the sources, as a phrase.
    pub fn listed(&self) -> String {
        self.members.iter().map(|m| format!("\"{}\"", m.source.name)).collect::<Vec<_>>().join(", ")
    }
}

impl Member {
    fn read(factor: &TableFactor, catalog: &Catalog) -> Option<Self> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
        let own = name.0.last().and_then(|part| part.as_ident())?;
        let source = catalog.source(&own.value)?.clone();
        Some(Self { alias: alias.as_ref().map_or_else(|| own.value.clone(), |a| a.name.value.clone()), source })
    }

    /// Whether it has a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.source.column(name).is_some() || self.pseudo().any(|pseudo| pseudo == name)
    }

    fn pseudo(&self) -> impl Iterator<Item = &'static str> {
        let bounds = [WINDOWSTART, WINDOWEND].into_iter().filter(|_| self.source.window.is_some());
        [ROWTIME, ROWPARTITION, ROWOFFSET].into_iter().chain(bounds)
    }

    fn column_names(&self) -> Vec<String> {
        let declared = self.source.columns.iter().map(|c| c.name.clone());
        declared.chain(self.pseudo().map(str::to_owned)).collect()
    }
}

/// A name as it is written: quoted if necessary. Each name is written in one form.
pub fn ident(name: &str) -> Ident {
    if print::name(name) == name { Ident::new(name) } else { Ident::with_quote('`', name) }
}

/// Adds the clause to an error.
fn named_in(clause: &str, error: Diagnostic) -> Diagnostic {
    let detail = match &error.detail {
        Some(detail) => format!("It is used in {clause}. {detail}"),
        None => format!("It is used in {clause}."),
    };
    error.detail(detail)
}

/// The location of an expression, or else of the whole query.
pub fn span_of(expr: &Expr, whole: Span) -> Span {
    place(expr.span()).unwrap_or(whole)
}

/// Calls `change` with every column name in an expression.
fn each_name_mut(expr: &mut Expr, change: &mut dyn FnMut(&mut Expr)) {
    walk_mut(expr, &mut EachName(change));
}

struct EachName<'a>(&'a mut dyn FnMut(&mut Expr));

impl VisitorMut for EachName<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            (self.0)(expr);
        }
        ControlFlow::Continue(())
    }
}
