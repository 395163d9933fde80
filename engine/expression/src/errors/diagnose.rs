//! Converts DataFusion's errors to our diagnostics: its notes become details, its helps become hints.

use std::collections::BTreeSet;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use headwater_formats::format::FormatError;
use headwater_functions::is_unit_word;
use headwater_language::diagnostic::{
    AMBIGUOUS_COLUMN, Diagnostic, INTERNAL, MEMORY, PLAN, RUNTIME, Span, UNKNOWN_COLUMN, format_refusal, nearest,
    other_case,
};

use super::our_types::with_our_types;
use super::{foreign, wording};

/// Converts an error of planning or running a query to diagnostics for the user. `whole` is the location of the whole
/// query, used for errors without a location.
pub fn diagnose(error: &DataFusionError, whole: Option<Span>) -> Vec<Diagnostic> {
    read(error, whole).into_iter().map(Draft::settled).collect()
}

/// A diagnostic made from an error, whose wording may still be DataFusion's.
pub(super) struct Draft {
    pub diagnostic: Diagnostic,
    /// Whether the wording is DataFusion's and has not been checked to be fit for users.
    pub is_foreign: bool,
}

impl Draft {
    fn ours(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, is_foreign: false }
    }

    fn foreign(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, is_foreign: true }
    }

    /// Accepts DataFusion's wording if it reveals no internals.
    fn plain(diagnostic: Diagnostic) -> Self {
        let texts = [Some(&diagnostic.message), diagnostic.detail.as_ref(), diagnostic.hint.as_ref()];
        let is_foreign = texts.into_iter().flatten().any(|text| foreign::is_inside(text));
        Self { diagnostic, is_foreign }
    }

    /// The diagnostic in our wording.
    pub fn settled(self) -> Diagnostic {
        if self.is_foreign { foreign::settle(&self.diagnostic) } else { self.diagnostic }
    }
}

/// Converts an error to diagnostics, before DataFusion's wording is replaced.
pub(super) fn read(error: &DataFusionError, whole: Option<Span>) -> Vec<Draft> {
    match error {
        DataFusionError::Collection(errors) => errors.iter().flat_map(|e| read(e, whole)).collect(),
        DataFusionError::Diagnostic(diagnostic, inner) => vec![with_notes(diagnostic, inner, whole)],
        DataFusionError::Context(_, inner) => read(inner, whole),
        DataFusionError::Shared(inner) => read(inner, whole),
        other => match carried(other) {
            Some(ours) => vec![Draft::ours(Diagnostic { span: ours.span.or(whole), ..ours.clone() })],
            None => vec![one(other, whole)],
        },
    }
}

/// The reason why an expression has no value for a row, in one line.
pub fn reason(error: &DataFusionError) -> String {
    diagnose(error, None).into_iter().next().map_or_else(|| "it could not be computed".to_owned(), |d| d.message)
}

fn one(error: &DataFusionError, whole: Option<Span>) -> Draft {
    match error {
        DataFusionError::SchemaError(error, _) => Draft::ours(schema(error).at_maybe(whole)),
        DataFusionError::Plan(message) => plan(message, whole),
        DataFusionError::NotImplemented(message) => {
            let diagnostic =
                Diagnostic::new(headwater_language::diagnostic::NOT_SUPPORTED, plain(message)).at_maybe(whole);
            match foreign::is_ours(&diagnostic.message) {
                true => Draft::ours(Diagnostic { message: format!("{message} (not supported yet)"), ..diagnostic }),
                false => Draft::foreign(diagnostic),
            }
        }
        DataFusionError::ResourcesExhausted(message) => Draft::ours(exhausted(message)),
        DataFusionError::External(error) => external(error.as_ref(), whole),
        DataFusionError::ArrowError(error, _) => {
            Draft::plain(Diagnostic::new(RUNTIME, plain(&error.to_string())).at_maybe(whole))
        }
        DataFusionError::Execution(message) => {
            let message = plain(message);
            match wording::known_failure(&message) {
                Some(known) => Draft::ours(known.at_maybe(whole)),
                None => Draft::plain(Diagnostic::new(RUNTIME, message).at_maybe(whole)),
            }
        }
        other => {
            let text = other.strip_backtrace();
            let first = text.lines().next().unwrap_or_default();
            Draft::foreign(Diagnostic::new(INTERNAL, plain(first)).at_maybe(whole))
        }
    }
}

/// A diagnostic of ours inside an error that passed through someone else's reader or writer.
fn carried<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Diagnostic> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<Diagnostic>() {
            return Some(ours);
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The error for a query that ran out of memory. The detail comes from the memory pool, whose message ends with the
/// amount that may be enough.
fn exhausted(message: &str) -> Diagnostic {
    let error = Diagnostic::new(MEMORY, "the query exceeds its memory limit");
    let line = message.lines().find_map(|line| line.split_once("; ").filter(|(_, end)| end.ends_with("MB may do")));
    let (detail, enough) = match line {
        Some((detail, end)) => (Some(detail), end.trim_end_matches(" may do")),
        None => (None, "1GB"),
    };
    let error = match detail {
        Some(detail) => error.detail(format!("{}{}.", detail[..1].to_uppercase(), &detail[1..])),
        None => error,
    };
    error.hint(format!("Raise the limit with SET 'query.memory.max' = '{enough}'; or make the query keep fewer rows."))
}

fn plan(message: &str, whole: Option<Span>) -> Draft {
    if let Some(error) = wrong_arguments(message).or_else(|| wrong_lambda(message)) {
        return Draft::ours(error.at_maybe(whole));
    }
    let field = message.split_once("ield ").and_then(|(_, rest)| rest.strip_suffix(" not found in struct"));
    let message = plain(message);
    match field {
        Some(field) => {
            Draft::ours(Diagnostic::new(PLAN, format!("the struct has no field \"{field}\"")).at_maybe(whole))
        }
        None if foreign::is_ours(&message) => Draft::ours(Diagnostic::new(PLAN, message).at_maybe(whole)),
        None => Draft::foreign(Diagnostic::new(PLAN, message).at_maybe(whole)),
    }
}

/// Types in the signatures of DataFusion's functions that do not exist in the dialect.
const FOREIGN: &[&str] = &["UInt64", "Duration", "Interval", "Float)"];

/// Reads `… No function matches the given name and argument types 'f(Int64)'. … Candidate functions:`, followed by one
/// line for each candidate.
fn wrong_arguments(message: &str) -> Option<Diagnostic> {
    let (_, rest) = message.split_once("No function matches the given name and argument types '")?;
    let (call, rest) = rest.split_once("'.")?;
    let (name, types) = call.split_once('(')?;
    let (_, candidates) = rest.split_once("Candidate functions:")?;
    let ours = |line: &&str| !line.is_empty() && !FOREIGN.iter().any(|ty| line.contains(ty));
    let candidates = candidates.lines().map(str::trim).filter(ours);
    let candidates: Vec<String> = candidates.map(|line| with_our_types(line).replace("Decimal", "DECIMAL")).collect();
    let types = with_our_types(types.strip_suffix(')').unwrap_or(types));
    let taken = if types.is_empty() { "no arguments".to_owned() } else { types };
    let error = Diagnostic::new(PLAN, format!("function \"{}\" does not take {taken}", name.to_uppercase()));
    match candidates.is_empty() {
        true => Some(error),
        false => Some(error.detail(format!("It takes {}.", candidates.join(" or ")))),
    }
}

/// Reads `lambda defined 2 params but UDF support only 1`.
fn wrong_lambda(message: &str) -> Option<Diagnostic> {
    let (_, rest) = message.split_once("lambda defined ")?;
    let (given, taken) = rest.split_once(" params but UDF support only ")?;
    Some(Diagnostic::new(PLAN, format!("the lambda has {given} parameters, but only {taken} can be passed to it")))
}

fn external(error: &(dyn std::error::Error + Send + Sync + 'static), whole: Option<Span>) -> Draft {
    if let Some(refused) = error.downcast_ref::<Diagnostic>() {
        return Draft::ours(Diagnostic { span: refused.span.or(whole), ..refused.clone() });
    }
    if let Some(error) = error.downcast_ref::<FormatError>() {
        return Draft::ours(format_refusal(error).at_maybe(whole));
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        let mut drafts = read(error, whole);
        if !drafts.is_empty() {
            return drafts.swap_remove(0);
        }
    }
    Draft::plain(Diagnostic::new(RUNTIME, plain(&error.to_string())).at_maybe(whole))
}

/// The end of DataFusion's message about a column or expression that is neither grouped nor aggregated.
const UNGROUPED: &str = " must appear in GROUP BY clause because it's not an aggregate expression";

fn with_notes(diagnostic: &datafusion::common::Diagnostic, inner: &DataFusionError, whole: Option<Span>) -> Draft {
    let span = diagnostic.span.and_then(place).or(whole);
    if let DataFusionError::SchemaError(error, _) = root(inner) {
        return Draft::ours(schema(error).at_maybe(span));
    }
    if let Some(name) = diagnostic.message.strip_prefix("Invalid function '").and_then(|m| m.strip_suffix('\'')) {
        return Draft::ours(headwater_functions::unknown(name, []).at_maybe(span));
    }
    if let Some(column) = diagnostic.message.strip_suffix(UNGROUPED) {
        return Draft::ours(wording::ungrouped(column.trim_matches('\''), &inner.to_string()).at_maybe(span));
    }
    let join = |messages: Vec<&str>| (!messages.is_empty()).then(|| with_our_types(&messages.join(" ")));
    Draft::plain(Diagnostic {
        code: PLAN,
        message: plain(&diagnostic.message),
        span,
        detail: join(diagnostic.notes.iter().map(|n| n.message.as_str()).collect()),
        hint: join(diagnostic.helps.iter().map(|h| h.message.as_str()).collect()),
        unreachable: false,
    })
}

/// Converts a location of sqlparser's to ours. Our parser stores 1-based byte positions in the column of sqlparser's
/// locations.
pub fn place(span: datafusion::common::Span) -> Option<Span> {
    let byte = |column: u64| usize::try_from(column).ok()?.checked_sub(1);
    Some(Span { start: byte(span.start.column)?, end: byte(span.end.column)? })
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        other => other,
    }
}

fn schema(error: &SchemaError) -> Diagnostic {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            Diagnostic::new(AMBIGUOUS_COLUMN, format!("column \"{}\" exists in more than one source", field.name))
                .hint(format!("Qualify it, such as \"a.{}\".", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Diagnostic::new(AMBIGUOUS_COLUMN, format!("column \"{name}\" appears twice in the result"))
                .hint("Give one of them another name with AS.")
        }
    }
}

fn unknown_column(field: &Column, valid: &[Column]) -> Diagnostic {
    let is_of_a_join = field.relation.as_ref().is_some_and(|relation| relation.table().starts_with("__"));
    if is_of_a_join || is_inside(&field.name) {
        return wording::unplanned();
    }
    unknown_column_of(&field.name, valid.iter().map(|c| c.name.as_str()).collect())
}

/// Whether a column's name was generated from the expression that computes it.
fn is_inside(name: &str) -> bool {
    name.contains('(') || name.starts_with("headwater_") || name.starts_with("__")
}

/// The error for a column that is not one of `names`.
pub fn unknown_column_of(name: &str, mut names: Vec<&str>) -> Diagnostic {
    names.retain(|name| !is_inside(name));
    let error = Diagnostic::new(UNKNOWN_COLUMN, format!("column \"{name}\" does not exist"));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let listed: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
    let error =
        if names.is_empty() { error } else { error.detail(format!("The columns here are {}.", listed.join(", "))) };
    match nearest(name, names) {
        Some(near) if near.eq_ignore_ascii_case(name) => error.hint(other_case(near)),
        Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
        None if is_unit_word(name) => error.hint("Units of time are MILLISECONDS, SECONDS, MINUTES, HOURS and DAYS."),
        None => error,
    }
}

/// Rewords a message of DataFusion in our style: no prefix of the engine, lower case at the start, no full stop, the
/// dialect's types.
fn plain(message: &str) -> String {
    let message = with_our_types(message);
    let mut text = message.trim();
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "Schema error: ",
        "SQL error: ",
        "Internal error: ",
        "Cast error: ",
        "Compute error: ",
        "Invalid argument error: ",
        "Parser error: ",
        "Arithmetic overflow: ",
        "Divide by zero error",
        "Not yet implemented: ",
        "External error: ",
        "Io error: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let second_is_lower = text.chars().nth(1).is_some_and(char::is_lowercase);
    match chars.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
