//! UNDEFINE: removes a variable.

use headwater_language::sql::ast;

use super::{Answered, Context};
use crate::answer::Answer;

/// Removes the variable.
pub(crate) fn run(name: &ast::Name, context: &mut Context<'_>) -> Answered {
    Ok(match context.session.undefine_variable(name) {
        true => Answer::done(format!("Variable \"{}\" undefined", name.value)),
        false => Answer::warning(format!("variable \"{}\" was not defined", name.value)),
    })
}
