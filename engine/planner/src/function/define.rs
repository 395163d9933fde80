//! CREATE FUNCTION: converts the statement to a definition, and reports all errors in it.

use datafusion::execution::session_state::SessionState;
use headwater_expression::{errors, session, with_body};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::definition::{ArgumentDef, FunctionDef};
use headwater_language::diagnostic::{DUPLICATE_COLUMN, Diagnostic, EXISTS, RESERVED_NAME, Span, TOO_LARGE};
use headwater_language::sql::{self, ast, print};
use headwater_language::types::SqlType;
use sqlparser::ast::Expr;

use super::super::callee::Callee;
use super::super::{star, types};
use super::{body, called};

/// The maximum number of definitions in one function, including those of the functions it calls.
const DEFINITIONS_MAX: usize = 200;

/// The maximum nesting depth of functions: they are planned, and read from JSON, recursively.
const DEPTH_MAX: usize = 16;

/// The definition that a statement creates. `text` is the statement. Returns all errors that can be found at once.
pub fn define(create: &ast::CreateFunction, text: &str, catalog: &Catalog) -> Result<FunctionDef, Vec<Diagnostic>> {
    let state = session(&Settings::default());
    let name = create.name.to_uppercase();
    let mut errors: Vec<Diagnostic> = taken(&name, create.name.span, &state).into_iter().collect();
    let arguments = arguments(create, catalog, &mut errors);
    let returns = types::resolve(&create.returns, catalog).map_err(|error| errors.push(*error)).ok();
    let in_text = |error: Diagnostic| in_statement(error, &create.body);
    let parsed = sql::parse_expr(&create.body).map_err(|error| errors.push(in_text(error)));
    let Ok(mut expr) = parsed else { return Err(errors) };
    let mut found = Vec::new();
    star::resolve_types(&mut expr, catalog, &mut found);
    found.extend(body::check(&name, &arguments, &expr, catalog, &state));
    errors.extend(found.into_iter().map(in_text));
    let (Some(returns), true) = (returns, errors.is_empty()) else { return Err(errors) };
    let functions = called([&expr], catalog);
    let def = FunctionDef { name, arguments, returns, body: print::expr(&expr), functions, statement: text.to_owned() };
    check_size(&def, create.body.span)?;
    let located = |error: Diagnostic| in_text(errors::in_expression(error, &expr));
    match with_body(&def, &expr, &state) {
        Ok(_) => Ok(def),
        Err(errors) => Err(errors.into_iter().map(located).collect()),
    }
}

fn arguments(create: &ast::CreateFunction, catalog: &Catalog, errors: &mut Vec<Diagnostic>) -> Vec<ArgumentDef> {
    let mut arguments: Vec<ArgumentDef> = Vec::new();
    for (name, ty) in &create.arguments {
        if arguments.iter().any(|known| known.name == name.value) {
            let message = format!("argument \"{}\" is declared twice", name.value);
            errors.push(Diagnostic::new(DUPLICATE_COLUMN, message).at(name.span));
        }
        // The expression is checked even if a type is unknown.
        let ty = types::resolve(ty, catalog).unwrap_or_else(|error| {
            errors.push(*error);
            SqlType::String
        });
        arguments.push(ArgumentDef { name: name.value.clone(), ty });
    }
    arguments
}

/// Rejects names that are built in or that cannot be called.
fn taken(name: &str, span: Span, state: &SessionState) -> Option<Diagnostic> {
    let hint = format!("Choose another name, such as MY_{name}.");
    let words = [Callee::Constructor, Callee::Grouping];
    if Callee::of(name, state).is_some_and(|callee| !words.contains(&callee)) {
        return Some(Diagnostic::new(EXISTS, format!("function \"{name}\" is built in")).at(span).hint(hint));
    }
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let written = if plain { name.to_owned() } else { print::name(name) };
    let parsed = sql::parse_expr(&format!("{written}(1)"));
    let own = |call: &Expr| matches!(call, Expr::Function(call) if call.name.to_string() == written);
    let reserved = ["MAP", "STRUCT", "ARRAY"].contains(&name) || name.starts_with("HEADWATER_");
    let callable = !reserved && parsed.is_ok_and(|call| own(&call));
    let message = format!("\"{name}\" is a reserved word and cannot name a function");
    (!callable).then(|| Diagnostic::new(RESERVED_NAME, message).at(span).hint(hint))
}

fn check_size(def: &FunctionDef, span: Span) -> Result<(), Vec<Diagnostic>> {
    let (held, depth) = (def.definitions(), def.depth());
    let message = match () {
        () if depth > DEPTH_MAX => {
            format!("function \"{}\" nests {depth} functions, but the maximum is {DEPTH_MAX}", def.name)
        }
        () if held > DEFINITIONS_MAX => {
            format!("function \"{}\" consists of {held} functions, but the maximum is {DEFINITIONS_MAX}", def.name)
        }
        () => return Ok(()),
    };
    let detail = "A function contains all functions that it calls, directly or indirectly.";
    Err(vec![Diagnostic::new(TOO_LARGE, message).at(span).detail(detail)])
}

/// Moves an error from the text of the expression to the statement, in which a quote is doubled.
fn in_statement(error: Diagnostic, body: &ast::Spanned<String>) -> Diagnostic {
    let first = body.span.start + 1;
    let byte = |at: usize| {
        let at = at.min(body.value.len());
        let quotes = body.value.as_bytes()[..at].iter().filter(|byte| **byte == b'\'').count();
        first + at + quotes
    };
    let span = match error.span {
        Some(span) if span.start < body.value.len() => Span { start: byte(span.start), end: byte(span.end) },
        // An error at the end of the expression is placed before the closing quote.
        Some(_) => Span { start: body.span.end.saturating_sub(1), end: body.span.end },
        None => body.span,
    };
    Diagnostic { span: Some(span), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_language::catalog::CatalogChange;
    use headwater_language::sql::ast::StatementKind;

    fn defined(catalog: &Catalog, text: &str) -> Result<FunctionDef, Vec<Diagnostic>> {
        let parsed = sql::parse(text);
        let Some(StatementKind::CreateFunction(create)) = parsed.statements.first().map(|s| &s.kind) else {
            panic!("{text} defines a function")
        };
        define(create, text, catalog)
    }

    /// Goal: every definition that is accepted can be read back, and one that is too large is rejected. Method:
    /// functions that call the previous one, and functions that call the previous two, until one is rejected; each
    /// accepted one goes through JSON as in the command topic.
    #[test]
    fn functions_of_functions_have_an_end() {
        for (calls, expected) in [(1, "nests 17 functions"), (2, "consists of 232 functions")] {
            let mut catalog = Catalog::default();
            let refused = (0..100).find_map(|n: usize| {
                let called: Vec<String> = (n.saturating_sub(calls)..n).map(|n| format!("f{n}(x)")).collect();
                let body = if called.is_empty() { "x".to_owned() } else { called.join(" + ") };
                match defined(&catalog, &format!("CREATE FUNCTION f{n} (x INT) RETURNS INT AS '{body}';")) {
                    Ok(function) => {
                        let change = CatalogChange::DefineFunction { function: Box::new(function), replace: false };
                        let json = serde_json::to_string(&change).expect("plain data");
                        assert_eq!(serde_json::from_str::<CatalogChange>(&json).expect("the same"), change);
                        catalog = catalog.apply(&change).expect("a new name");
                        None
                    }
                    Err(errors) => Some(errors[0].message.clone()),
                }
            });
            assert!(refused.as_ref().is_some_and(|told| told.contains(expected)), "{refused:?}");
        }
    }

    /// Goal: locations refer to the statement, whatever quotes precede them. Method: the text at the location.
    #[test]
    fn places_are_in_the_statement() {
        for (text, pieces) in [
            ("CREATE FUNCTION f (x INT) RETURNS INT AS 'x + y';", vec!["y"]),
            ("CREATE FUNCTION f (x INT) RETURNS STRING AS 'CONCAT(''é''''s'', no(x), '''''''', z)';", vec!["no", "z"]),
            ("CREATE FUNCTION f (x INT) RETURNS INT AS '''a'' + x';", vec!["x"]),
        ] {
            let errors = defined(&Catalog::default(), text).expect_err(text);
            let found: Vec<&str> =
                errors.iter().map(|e| e.span.map_or("", |span| &text[span.start..span.end])).collect();
            let same = found.len() == pieces.len() && found.iter().zip(&pieces).all(|(a, b)| a.ends_with(b));
            assert!(same, "{text}: {found:?}");
        }
    }
}
