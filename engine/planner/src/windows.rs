//! Named windows (WINDOW), expanded where they are used: `OVER w`, `OVER (w)` and `OVER (w ROWS …)`.
//!
//! DataFusion reads `(w)` as an empty window definition. Semantics: the SQL standard's, except that `(w)` on its own
//! may refer to a window with a frame.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::sql::{place, walk_mut};
use sqlparser::ast::{
    Expr, Function, Ident, NamedWindowDefinition, NamedWindowExpr, Query, SetExpr, VisitorMut, WindowSpec, WindowType,
};

/// Expands every named window of a query. Reports undefined names, and clauses that cannot be added to a window.
pub(super) fn settle(query: &mut Query, errors: &mut Vec<Diagnostic>) {
    let mut windows = Windows { scopes: Vec::new(), errors: Vec::new() };
    walk_mut(query, &mut windows);
    errors.append(&mut windows.errors);
}

struct Windows {
    /// The windows of each query that is being visited; a subquery does not see those of the outer query.
    scopes: Vec<BTreeMap<String, WindowSpec>>,
    errors: Vec<Diagnostic>,
}

impl VisitorMut for Windows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let named = match query.body.as_mut() {
            SetExpr::Select(select) => std::mem::take(&mut select.named_window),
            _ => Vec::new(),
        };
        self.scopes.push(BTreeMap::new());
        for NamedWindowDefinition(name, window) in named {
            let window = match window {
                NamedWindowExpr::NamedWindow(other) => self.named(&other),
                NamedWindowExpr::WindowSpec(spec) => Some(self.settled(spec)),
            };
            let (Some(window), Some(scope)) = (window, self.scopes.last_mut()) else { continue };
            if scope.insert(name.value.clone(), window).is_some() {
                self.refuse(&name, format!("window \"{}\" is defined twice", name.value));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { over: Some(over), .. }) = expr {
            match over {
                WindowType::NamedWindow(name) => {
                    if let Some(window) = self.named(name) {
                        *over = WindowType::WindowSpec(window);
                    }
                }
                WindowType::WindowSpec(spec) => *spec = self.settled(spec.clone()),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Windows {
    fn named(&mut self, name: &Ident) -> Option<WindowSpec> {
        let found = self.scopes.last().and_then(|scope| scope.get(&name.value)).cloned();
        if found.is_none() {
            self.refuse(name, format!("window \"{}\" does not exist", name.value));
        }
        found
    }

    /// Replaces the name of another window in a definition with that window's clauses.
    fn settled(&mut self, mut spec: WindowSpec) -> WindowSpec {
        let Some(name) = spec.window_name.take() else { return spec };
        let Some(base) = self.named(&name) else { return spec };
        let is_alone = spec.partition_by.is_empty() && spec.order_by.is_empty() && spec.window_frame.is_none();
        if is_alone {
            return base;
        }
        let refusal = if !spec.partition_by.is_empty() {
            Some(("add PARTITION BY to", ""))
        } else if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            Some(("add ORDER BY to", ": it already has one"))
        } else {
            base.window_frame.is_some().then_some(("extend", ": it has a frame"))
        };
        if let Some((change, why)) = refusal {
            self.refuse(&name, format!("cannot {change} window \"{}\"{why}", name.value));
        }
        WindowSpec {
            window_name: None,
            partition_by: base.partition_by,
            order_by: if spec.order_by.is_empty() { base.order_by } else { spec.order_by },
            window_frame: spec.window_frame,
        }
    }

    fn refuse(&mut self, name: &Ident, message: String) {
        self.errors.push(Diagnostic::new(PLAN, message).at_maybe(place(name.span)));
    }
}
