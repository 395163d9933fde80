//! SET: sets a property of the session.

use headwater_language::sql::ast;

use super::{Answered, Context};
use crate::answer::Answer;

/// Sets the property.
pub(crate) fn run(set: &ast::Assignment, context: &mut Context<'_>) -> Answered {
    let property = context.session.set(set)?;
    Ok(Answer::done(format!("Property \"{}\" set to \"{}\"", property.name, set.value.value)))
}
