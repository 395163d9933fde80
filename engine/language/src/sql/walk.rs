//! Visitors over sqlparser's trees.
//!
//! sqlparser's traversal, with its thousands of functions, is compiled again for every type of visitor; with twenty
//! of them, that was two thirds of the engine's code. So all visitors of the engine share the two instances here: one
//! that reads and one that changes the tree.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};

/// Visits every node of a tree. Returns false if the visitor stopped the walk.
pub fn walk(tree: &impl Visit, visitor: &mut dyn Visitor<Break = ()>) -> bool {
    tree.visit(&mut Looking(visitor)).is_continue()
}

/// Visits every node of a tree mutably. Returns false if the visitor stopped the walk.
pub fn walk_mut(tree: &mut impl VisitMut, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
    tree.visit(&mut Changing(visitor)).is_continue()
}

/// Calls a function for every expression of a tree, outer expressions first.
pub fn each_expr(tree: &impl Visit, tell: &mut dyn FnMut(&Expr)) {
    walk(tree, &mut Telling(tell));
}

struct Telling<'a>(&'a mut dyn FnMut(&Expr));

impl Visitor for Telling<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        (self.0)(expr);
        ControlFlow::Continue(())
    }
}

/// Calls a function for every expression of a tree, outer expressions first, except for those in subqueries.
pub fn each_own_expr(tree: &impl Visit, tell: &mut dyn FnMut(&Expr)) {
    walk(tree, &mut TellingOwn { tell, depth: 0 });
}

struct TellingOwn<'a> {
    tell: &'a mut dyn FnMut(&Expr),
    /// The number of subqueries around the current node.
    depth: usize,
}

impl Visitor for TellingOwn<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.tell)(expr);
        }
        ControlFlow::Continue(())
    }
}

/// Forwards the calls to a visitor, with one method for each kind of node, before and after its children. If an
/// upgrade of sqlparser adds methods, add them here: calls that are not forwarded are lost.
macro_rules! hand_on {
    ($($method:ident($node:ty);)*) => {
        type Break = ();

        $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
            self.0.$method(node)
        })*
    };
}

struct Looking<'a>(&'a mut dyn Visitor<Break = ()>);

impl Visitor for Looking<'_> {
    hand_on! {
        pre_visit_query(&Query);
        post_visit_query(&Query);
        pre_visit_select(&Select);
        post_visit_select(&Select);
        pre_visit_relation(&ObjectName);
        post_visit_relation(&ObjectName);
        pre_visit_table_factor(&TableFactor);
        post_visit_table_factor(&TableFactor);
        pre_visit_expr(&Expr);
        post_visit_expr(&Expr);
        pre_visit_statement(&Statement);
        post_visit_statement(&Statement);
        pre_visit_value(&ValueWithSpan);
        post_visit_value(&ValueWithSpan);
    }
}

struct Changing<'a>(&'a mut dyn VisitorMut<Break = ()>);

impl VisitorMut for Changing<'_> {
    hand_on! {
        pre_visit_query(&mut Query);
        post_visit_query(&mut Query);
        pre_visit_select(&mut Select);
        post_visit_select(&mut Select);
        pre_visit_relation(&mut ObjectName);
        post_visit_relation(&mut ObjectName);
        pre_visit_table_factor(&mut TableFactor);
        post_visit_table_factor(&mut TableFactor);
        pre_visit_expr(&mut Expr);
        post_visit_expr(&mut Expr);
        pre_visit_statement(&mut Statement);
        post_visit_statement(&mut Statement);
        pre_visit_value(&mut ValueWithSpan);
        post_visit_value(&mut ValueWithSpan);
    }
}

/// The constraint of a join of any kind; none for joins that have no constraint.
pub fn join_condition(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{
        Anti, CrossJoin, FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightAnti, RightOuter,
        RightSemi, Semi, StraightJoin,
    };
    match operator {
        Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) | CrossJoin(c)
        | Semi(c) | LeftSemi(c) | RightSemi(c) | Anti(c) | LeftAnti(c) | RightAnti(c) | StraightJoin(c) => Some(c),
        _ => None,
    }
}
