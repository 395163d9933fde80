//! A foreign-key join: each row of the left table is sent to the partition of the right row that it refers to, and the joined
//! row back to the partition of its own key.
//!
//! ```text
//! SELECT l.id, t.w FROM l JOIN t ON l.ref = t.id
//!
//! source L   project   exchange by L_ID   table   subscribe   project   exchange by L_REF ─┐
//! source T   project                                                    exchange by T_ID  ─┴─ foreign-join
//! foreign-join   project   exchange by L_ID   latest
//! ```

use headwater_language::definition::ColumnDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{
    Action, ForeignJoin, Latest, NodeId, Projection, ResultColumn, Subscribe, TableStore,
};
use headwater_language::types::SqlType;

use super::super::{add, exchange};
use super::{Joining, column_expr};
use crate::continuous::joins::JoinOn;
use crate::continuous::scope::{ColumnRef, Scope, ident};

/// The store of the left table.
const TABLE: &str = "join-1-table";

impl Joining<'_> {
    /// Adds both sources and the steps of a foreign-key join, which is the first join of a query. Returns its last node and the
    /// columns of its key.
    pub fn foreign(&mut self, join: &JoinOn) -> Result<(NodeId, Vec<String>), Vec<Diagnostic>> {
        let store = |name: &str| format!("join-1-{name}");
        let [version, request, has_row] = ["VERSION", "REQUEST", "HAS ROW"].map(|name| self.free(name));
        let key = self.left_key(join);
        let foreign_key = self.key_name(&join.left.0, join.left.1, 0);
        let left = self.left_table(join, &key, &foreign_key)?;
        let left_columns = self.exchange_columns(&left);
        let table = Action::Table(TableStore { store: TABLE.to_owned(), key: key.clone(), is_result: false });
        let table = add(&mut self.builder, table, &[&left]);
        let subscribe = Action::Subscribe(Subscribe {
            kind: join.kind,
            store: store("requests"),
            foreign_key: foreign_key.clone(),
            version: version.clone(),
            request: request.clone(),
        });
        let subscribe = add(&mut self.builder, subscribe, &[&table]);
        let own = [(version.clone(), SqlType::BigInt), (request.clone(), SqlType::Int)];
        let columns = left_columns.iter().cloned().chain(own).collect();
        let requests = self.sent(&subscribe, columns, std::slice::from_ref(&foreign_key));
        let (right, right_key) = self.source(&join.right, 0)?;
        let right_columns = self.exchange_columns(&right);
        let joined = Action::ForeignJoin(ForeignJoin {
            kind: join.kind,
            left_store: store("left"),
            right_store: store("right"),
            foreign_key,
            left_key: key.clone(),
            right_key,
            version: version.clone(),
            request,
            has_row: has_row.clone(),
        });
        let joined = add(&mut self.builder, joined, &[&requests, &right]);
        let own = [(version.clone(), SqlType::BigInt), (has_row.clone(), SqlType::Boolean)];
        let columns = left_columns.into_iter().chain(right_columns).chain(own).collect();
        let answers = self.sent(&joined, columns, &key);
        let (version_store, store) = (store("versions"), store("latest"));
        let latest = Action::Latest(Latest { version_store, store, key: key.clone(), version, has_row });
        Ok((add(&mut self.builder, latest, &[&answers]), key))
    }

    /// The columns of the left table's key.
    fn left_key(&self, join: &JoinOn) -> Vec<String> {
        let member = join.left.1;
        let name = |name: &str| self.query.scope.merged_name(&ColumnRef { member, name: name.to_owned() });
        self.query.key_columns(member).map(name).collect()
    }

    /// Adds the left table, sent to the partitions of its key: the columns that are used, and that which refers to a right row.
    fn left_table(&mut self, join: &JoinOn, key: &[String], foreign_key: &str) -> Result<NodeId, Vec<Diagnostic>> {
        let (on, member) = &join.left;
        let scope = Scope { members: vec![self.query.scope.members[*member].clone()] };
        let keys = key.iter().cloned().zip(self.query.key_columns(*member).map(column_expr)).collect();
        let mut columns = self.columns_of(*member);
        if columns.iter().all(|(name, _)| name != foreign_key) {
            columns.push((foreign_key.to_owned(), scope.lowered(on)));
        }
        let source = self.read(&scope.members[0].source);
        self.exchanged(&source, &scope.schema(), keys, columns, false)
    }

    /// Adds a projection to the same columns, and an exchange of them by a key.
    fn sent(&mut self, rows: &NodeId, columns: Vec<(String, SqlType)>, key: &[String]) -> NodeId {
        let column = |(name, ty): (String, SqlType)| {
            let (expr, key) = (ident(&name).to_string(), key.contains(&name));
            ResultColumn { name, expr, ty, key }
        };
        let mut columns: Vec<ResultColumn> = columns.into_iter().map(column).collect();
        columns.sort_by_key(|column| !column.key);
        let exchange = exchange(&columns);
        let project = Action::Project(Projection { columns, headers: None, rekeyed: true, window: None });
        let project = add(&mut self.builder, project, &[rows]);
        add(&mut self.builder, exchange, &[&project])
    }

    /// The columns of an exchange.
    fn exchange_columns(&self, id: &NodeId) -> Vec<(String, SqlType)> {
        let column = |column: &ColumnDef| (column.name.clone(), column.ty.clone());
        let node = self.builder.nodes().iter().find(|node| node.id == *id);
        match node.map(|node| &node.action) {
            Some(Action::Exchange(exchange)) => exchange.columns.iter().map(column).collect(),
            _ => Vec::new(),
        }
    }

    /// A name like this one that no column has.
    fn free(&self, name: &str) -> String {
        let schema = self.query.scope.schema();
        let names = (0..).map(|n| format!("{name}{}", "_".repeat(n)));
        let mut names = names.filter(|name| schema.field_with_name(name).is_err());
        names.next().expect("a name that is long enough is free")
    }
}
