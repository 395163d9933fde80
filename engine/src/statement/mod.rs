//! What each kind of statement does: one file per kind, all with the same structure.
//!
//! Every file has `run(statement, context) -> Answered`. [`Context`] has the process, the session and the text of the
//! statement. [`crate::engine`] calls these functions. A statement that changes the catalog plans with
//! [`headwater_planner`] and publishes with [`Context::publish`]; the others use a snapshot of the catalog. A statement
//! that contains another one calls its file (COPY and EXPLAIN plan a SELECT, SHOW … EXTENDED describes, the first query
//! declares the processing log). Everything else that several statements share has a file of its own, listed last.

// Queries.
pub(crate) mod copy;
pub(crate) mod explain;
pub(crate) mod select;

// Definitions.
pub(crate) mod alter_source;
pub(crate) mod create_as;
pub(crate) mod create_function;
pub(crate) mod create_source;
pub(crate) mod create_type;
pub(crate) mod drop_function;
pub(crate) mod drop_source;
pub(crate) mod drop_type;
pub(crate) mod insert_select;
pub(crate) mod pause;
pub(crate) mod resume;
pub(crate) mod terminate;

// Records of topics.
pub(crate) mod insert_values;
pub(crate) mod print;

// Inspection.
pub(crate) mod assert;
pub(crate) mod describe;
pub(crate) mod show;

// The session.
pub(crate) mod define;
pub(crate) mod set;
pub(crate) mod undefine;
pub(crate) mod unset;

// Statements that are refused.
pub(crate) mod unsupported;

// Shared by several statements.
mod assert_schema;
mod choice;
mod cleanup;
mod context;
mod describe_function;
mod joined;
mod persist;
mod query_facts;
mod schema_file;
mod schemas;
mod topic;
mod wording;

use headwater_language::sql::ast;

pub(crate) use context::{Answered, Context};

/// Whether a statement changes the catalog and so becomes a command.
pub(crate) fn is_definition(kind: &ast::StatementKind) -> bool {
    use ast::StatementKind as S;
    matches!(
        kind,
        S::AlterSource(_)
            | S::CreateAs(_)
            | S::CreateFunction(_)
            | S::CreateSource(_)
            | S::CreateType(_)
            | S::DropFunction(_)
            | S::DropSource(_)
            | S::DropType(_)
            | S::InsertSelect(_)
            | S::Pause(_)
            | S::Resume(_)
            | S::Terminate(_)
    )
}
