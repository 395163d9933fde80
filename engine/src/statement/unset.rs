//! UNSET: a property of the session gets its default again.

use super::{Answered, Context};
use crate::answer::Answer;
use headwater_language::sql::ast;

/// Takes the session's value away.
pub(crate) fn run(name: &ast::Spanned<String>, context: &mut Context<'_>) -> Answered {
    let property = context.session.unset(name)?;
    Ok(Answer::done(format!("Property \"{}\" has its default again", property.name)))
}
