//! The names that WITH defines, at each place of a visit of a query.
//!
//! The queries in a WITH are visited before the query that contains it, each with the names defined before it: in `WITH
//! p AS (SELECT * FROM p) …` the inner P is not the outer one.

use headwater_language::catalog::Catalog;
use headwater_language::sql::walk_mut;
use sqlparser::ast::{Query, VisitorMut, With};

use super::relations::Namer;

/// What a visitor needs in order to know the names.
pub(super) struct Scope<'a> {
    pub namer: Namer<'a>,
    /// WITH clauses taken out while the query that contains them is visited, and how many names to keep afterwards.
    withs: Vec<(Option<With>, usize)>,
}

impl<'a> Scope<'a> {
    pub fn new(catalog: &'a Catalog) -> Self {
        Self { namer: Namer { catalog, named: Vec::new() }, withs: Vec::new() }
    }
}

/// A visitor that knows the names. It calls [`enter`] before a query and [`leave`] after it.
pub(super) trait Scoped<'a>: VisitorMut<Break = ()> + Sized {
    fn scope(&mut self) -> &mut Scope<'a>;
}

/// Visits the queries in the WITH of a query, and adds their names.
pub(super) fn enter<'a>(visitor: &mut impl Scoped<'a>, query: &mut Query) {
    let before = visitor.scope().namer.named.len();
    let mut with = query.with.take();
    let is_recursive = with.as_ref().is_some_and(|with| with.recursive);
    for cte in with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        if is_recursive {
            visitor.scope().namer.name_one(cte);
        }
        walk_mut(&mut cte.query, visitor);
        visitor.scope().namer.name_one(cte);
    }
    visitor.scope().withs.push((with, before));
}

/// Restores the WITH of a query, and removes its names.
pub(super) fn leave<'a>(visitor: &mut impl Scoped<'a>, query: &mut Query) {
    if let Some((with, names)) = visitor.scope().withs.pop() {
        query.with = with;
        visitor.scope().namer.named.truncate(names);
    }
}
