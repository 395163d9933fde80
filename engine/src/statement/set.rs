//! SET: sets a property of the session.

use super::{Answered, Context};
use crate::answer::Answer;
use headwater_language::sql::ast;

/// Sets the property.
pub(crate) fn run(set: &ast::Assignment, context: &mut Context<'_>) -> Answered {
    let property = context.session.set(set)?;
    Ok(Answer::done(format!("Property \"{}\" set to \"{}\"", property.name, set.value.value)))
}
