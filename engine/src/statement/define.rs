//! DEFINE: defines a variable, which later statements use as `${name}`.

use headwater_language::sql::ast;

use super::{Answered, Context};
use crate::answer::Answer;

/// Defines the variable.
pub(crate) fn run(define: &ast::Assignment, context: &mut Context<'_>) -> Answered {
    context.session.define_variable(&define.name, &define.value);
    Ok(Answer::done(format!("Variable \"{}\" defined", define.name.to_uppercase())))
}
