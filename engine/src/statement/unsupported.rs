//! Statements that are parsed but not executed: ALTER SYSTEM, connectors, and RUN SCRIPT, which the shell handles.

use headwater_language::diagnostic::{Diagnostic, MISPLACED};
use headwater_language::sql::ast::StatementKind;

use super::wording::not_supported;
use super::{Answered, Context};

/// Refuses the statement.
pub(crate) fn run(kind: &StatementKind, context: &Context<'_>) -> Answered {
    let what = match kind {
        StatementKind::RunScript(_) => return Err(vec![run_script().at(context.span)]),
        StatementKind::AlterSystem(_) => "ALTER SYSTEM is",
        StatementKind::CreateConnector(_) | StatementKind::DropConnector(_) => "connectors is",
        _ => "this statement is",
    };
    Err(vec![not_supported(what, context.span)])
}

fn run_script() -> Diagnostic {
    let message = "RUN SCRIPT is a command of the shell, which reads the file";
    Diagnostic::new(MISPLACED, message).hint("Send the statements of the file, or run headwater -f FILE.")
}
