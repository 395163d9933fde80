//! Visitors over sqlparser's trees.
//!
//! sqlparser's traversal, with its thousands of functions, is compiled again for every type of visitor, and in every
//! crate that starts one; with twenty visitors, that was two thirds of the engine's code. So all visitors share the two
//! instances here, one that reads and one that changes the tree, and this crate alone has them: [`Tree`] is implemented
//! without a type parameter where sqlparser's traversal begins.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, ObjectName, OrderBy, OrderByExpr, Query, Select, SelectItem, Statement,
    TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// What can be walked: nodes of sqlparser's trees, and lists of them.
pub trait Tree {
    /// Visits every node. Returns false if the visitor stopped the walk.
    fn look(&self, visitor: &mut dyn Visitor<Break = ()>) -> bool;

    /// Visits every node mutably. Returns false if the visitor stopped the walk.
    fn change(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> bool;
}

/// Makes trees of nodes. Not inlined, so that other crates call the traversal instead of compiling their own.
macro_rules! trees {
    ($($node:ty),*) => {
        $(impl Tree for $node {
            #[inline(never)]
            fn look(&self, visitor: &mut dyn Visitor<Break = ()>) -> bool {
                self.visit(&mut Looking(visitor)).is_continue()
            }

            #[inline(never)]
            fn change(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
                VisitMut::visit(self, &mut Changing(visitor)).is_continue()
            }
        })*
    };
}

trees!(Expr, OrderBy, OrderByExpr, Query, Select, SelectItem);

impl<T: Tree> Tree for Box<T> {
    fn look(&self, visitor: &mut dyn Visitor<Break = ()>) -> bool {
        self.as_ref().look(visitor)
    }

    fn change(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
        self.as_mut().change(visitor)
    }
}

impl<T: Tree> Tree for Option<T> {
    fn look(&self, visitor: &mut dyn Visitor<Break = ()>) -> bool {
        self.iter().all(|tree| tree.look(visitor))
    }

    fn change(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
        self.iter_mut().all(|tree| tree.change(visitor))
    }
}

impl<T: Tree> Tree for Vec<T> {
    fn look(&self, visitor: &mut dyn Visitor<Break = ()>) -> bool {
        self.iter().all(|tree| tree.look(visitor))
    }

    fn change(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
        self.iter_mut().all(|tree| tree.change(visitor))
    }
}

/// Visits every node of a tree. Returns false if the visitor stopped the walk.
pub fn walk(tree: &impl Tree, visitor: &mut dyn Visitor<Break = ()>) -> bool {
    tree.look(visitor)
}

/// Visits every node of a tree mutably. Returns false if the visitor stopped the walk.
pub fn walk_mut(tree: &mut impl Tree, visitor: &mut dyn VisitorMut<Break = ()>) -> bool {
    tree.change(visitor)
}

/// Calls a function for every expression of a tree, outer expressions first.
pub fn each_expr(tree: &impl Tree, tell: &mut dyn FnMut(&Expr)) {
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
pub fn each_own_expr(tree: &impl Tree, tell: &mut dyn FnMut(&Expr)) {
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
