//! UNSET: resets a property of the session to its default.

use headwater_language::sql::ast;

use super::{Answered, Context};
use crate::answer::Answer;

/// Removes the session's value.
pub(crate) fn run(name: &ast::Spanned<String>, context: &mut Context<'_>) -> Answered {
    let property = context.session.unset(name)?;
    Ok(Answer::done(format!("Property \"{}\" reset to its default", property.name)))
}
