//! Completion at the prompt: the names that fit at the cursor.
//!
//! It uses the tokens before the cursor and not the grammar, so it works on half-typed statements; it offers too much
//! rather than too little.

use crate::ask::{SourceName, Vocabulary};
use crate::command::COMMANDS;
use crate::lexeme::{Kind, Lexeme, lexemes};

/// The candidates for the word that ends at the end of `text` (everything of the statement up to
/// the cursor), and the byte at which that word begins. Candidates are sorted and whole words.
pub fn complete(text: &str, names: &Vocabulary) -> (usize, Vec<String>) {
    let pieces = lexemes(text);
    let (start, expected) = expected_at(text, &pieces);
    let typed = &text[start..];
    let mut found: Vec<String> = match expected {
        Expected::Word => words(text, &pieces, typed, names),
        Expected::Begin => with_commands(typed, names),
        Expected::ColumnOf(source) => spelled(columns_of(&source, text, names), typed),
        Expected::WithProperty => spelled(&names.with_properties, typed),
        Expected::SessionProperty => names.session_properties.clone(),
        Expected::Topic => names.topics.clone(),
        Expected::Variable => names.variables.clone(),
        Expected::Nothing => Vec::new(),
    };
    found.retain(|candidate| begins_with(candidate, typed));
    found.sort();
    found.dedup();
    (start, found)
}

/// What is expected at the cursor.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// The first word of a statement.
    Begin,
    /// Any other word.
    Word,
    /// A column, after `source.`.
    ColumnOf(String),
    /// A property in the parentheses of WITH.
    WithProperty,
    /// A property in the quotes of SET or UNSET.
    SessionProperty,
    /// A topic.
    Topic,
    /// A variable, after `${`.
    Variable,
    /// Nothing, in a comment or any other string.
    Nothing,
}

fn expected_at(text: &str, pieces: &[Lexeme]) -> (usize, Expected) {
    if let Some(open) = open_variable(text) {
        return (open, Expected::Variable);
    }
    let solid: Vec<&Lexeme> =
        pieces.iter().filter(|piece| !matches!(piece.kind, Kind::Space | Kind::Comment)).collect();
    let word = |piece: &Lexeme| text[piece.range.clone()].to_ascii_uppercase();
    match pieces.last() {
        Some(last) if last.kind == Kind::Comment => (text.len(), Expected::Nothing),
        Some(last) if last.kind == Kind::Text && !last.closed => (
            last.range.start + 1,
            expected_in_text(&solid[..solid.len() - 1].iter().map(|piece| word(piece)).collect::<Vec<_>>()),
        ),
        Some(last) if last.kind == Kind::Word => {
            let before: Vec<String> = solid[..solid.len() - 1].iter().map(|piece| word(piece)).collect();
            (last.range.start, expected_word(&before))
        }
        _ => (text.len(), expected_word(&solid.iter().map(|piece| word(piece)).collect::<Vec<_>>())),
    }
}

/// The byte after a `${` that is not closed.
fn open_variable(text: &str) -> Option<usize> {
    let open = text.rfind("${")? + 2;
    text[open..].chars().all(|c| c.is_alphanumeric() || c == '_').then_some(open)
}

/// What a string is expected to contain, from the tokens before it.
fn expected_in_text(before: &[String]) -> Expected {
    let words: Vec<&str> = before.iter().map(String::as_str).collect();
    match words.as_slice() {
        [.., "SET" | "UNSET"] => Expected::SessionProperty,
        [.., "PRINT"] | [.., "KAFKA_TOPIC", "="] => Expected::Topic,
        _ => Expected::Nothing,
    }
}

fn expected_word(before: &[String]) -> Expected {
    let words: Vec<&str> = before.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | [.., ";"] => Expected::Begin,
        [.., "PRINT"] => Expected::Topic,
        [.., source, "."] => Expected::ColumnOf((*source).to_string()),
        [.., "=" | ">" | "-"] => Expected::Word,
        words if in_with(words) => Expected::WithProperty,
        _ => Expected::Word,
    }
}

/// Whether the innermost open parenthesis is that of `WITH (`.
fn in_with(words: &[&str]) -> bool {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate().rev() {
        match *word {
            ")" => depth += 1,
            "(" if depth == 0 => return at > 0 && words[at - 1] == "WITH",
            "(" => depth -= 1,
            _ => {}
        }
    }
    false
}

fn words(text: &str, pieces: &[Lexeme], typed: &str, names: &Vocabulary) -> Vec<String> {
    let mentioned = mentioned(text, pieces, names);
    // If no source is named, offer the columns of all sources, but only once something is typed.
    let sources: Vec<&SourceName> =
        if mentioned.is_empty() && !typed.is_empty() { names.sources.iter().collect() } else { mentioned };
    let columns: Vec<String> = sources.iter().flat_map(|source| source.columns.iter().cloned()).collect();
    let stored: Vec<String> = names.sources.iter().map(|source| source.name.clone()).collect();
    let lists = [&columns, &stored, &names.keywords, &names.functions, &names.types];
    lists.into_iter().flat_map(|list| spelled(list, typed)).collect()
}

fn with_commands(typed: &str, names: &Vocabulary) -> Vec<String> {
    let commands = COMMANDS.iter().map(|(name, ..)| (*name).to_string());
    spelled(&names.keywords, typed).into_iter().chain(commands).collect()
}

/// The sources that the statement names before the cursor.
fn mentioned<'a>(text: &str, pieces: &[Lexeme], names: &'a Vocabulary) -> Vec<&'a SourceName> {
    let said: Vec<String> = pieces.iter().filter_map(|piece| stored_name(piece, text)).collect();
    names.sources.iter().filter(|source| said.contains(&source.name)).collect()
}

/// The columns of a source, or of the source with an alias (`orders o`, `orders AS o`).
fn columns_of<'a>(said: &str, text: &str, names: &'a Vocabulary) -> &'a [String] {
    let words: Vec<String> = lexemes(text).iter().filter_map(|piece| stored_name(piece, text)).collect();
    let behind_alias = words.windows(2).find(|pair| pair[1] == said && is_source(&pair[0], names)).map(|pair| &pair[0]);
    let behind_as = words.windows(3).find(|words| words[2] == said && words[1] == "AS").map(|words| &words[0]);
    let unquoted = said.trim_matches(['`', '"']);
    let matches = |source: &&SourceName| {
        source.name == unquoted || Some(&source.name) == behind_alias || Some(&source.name) == behind_as
    };
    names.sources.iter().find(matches).map_or(&[], |source| source.columns.as_slice())
}

fn is_source(name: &str, names: &Vocabulary) -> bool {
    names.sources.iter().any(|source| source.name == name)
}

/// The name of a token as the catalog stores it.
fn stored_name(piece: &Lexeme, text: &str) -> Option<String> {
    let text = &text[piece.range.clone()];
    match piece.kind {
        Kind::Word => Some(text.to_ascii_uppercase()),
        Kind::QuotedName => Some(text.trim_matches(['`', '"']).to_string()),
        _ => None,
    }
}

/// Names as they would be typed: in lower case if the user types lower case, in backticks if the name needs them.
fn spelled(names: &[String], typed: &str) -> Vec<String> {
    let small = typed.chars().next().is_some_and(char::is_lowercase);
    let spell = |name: &String| match name {
        plain if is_plain(plain) && small => plain.to_ascii_lowercase(),
        plain if is_plain(plain) => plain.clone(),
        special => format!("`{special}`"),
    };
    names.iter().map(spell).collect()
}

/// Whether a name can be typed without backticks, that is, whether upper-casing does not change it. Keywords of several
/// words also pass.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | ' ' | '.'))
}

fn begins_with(candidate: &str, typed: &str) -> bool {
    let candidate = candidate.trim_start_matches('`');
    candidate.get(..typed.len()).is_some_and(|head| head.eq_ignore_ascii_case(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vocabulary {
        let list = |words: &[&str]| words.iter().map(|word| word.to_string()).collect();
        let source = |name: &str, columns: &[&str]| SourceName { name: name.into(), columns: list(columns) };
        Vocabulary {
            keywords: list(&["SELECT", "FROM", "WITH", "PRINT", "SET"]),
            sources: vec![source("ORDERS", &["ID", "AMOUNT", "odd name"]), source("CUSTOMERS", &["ID", "NAME"])],
            functions: list(&["SUBSTRING", "SUM"]),
            with_properties: list(&["KAFKA_TOPIC", "KEY_FORMAT"]),
            session_properties: list(&["auto.offset.reset"]),
            topics: list(&["orders", "other"]),
            types: list(&["STRING"]),
            variables: list(&["topic"]),
        }
    }

    /// Checks the candidates; `|` marks where the word begins.
    fn check(text: &str, expected: &[&str]) {
        let at = text.find('|').expect("a mark");
        let (start, found) = complete(&text.replace('|', ""), &names());
        assert_eq!(start, at, "{text}");
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn candidates_fit_their_position() {
        check("|se", &["select", "set", "set cli"]);
        check("|sp", &["spool"]);
        check("SELECT 1; |SE", &["SELECT", "SET", "set cli"]);
        check("SELECT |SU", &["SUBSTRING", "SUM"]);
        check("select id from |or", &["orders"]);
        check("SELECT id FROM orders WHERE |A", &["AMOUNT"]);
        check("SELECT |am", &["amount"]);
        check("SELECT id FROM orders WHERE |od", &["`odd name`"]);
    }

    #[test]
    fn columns_of_a_source_or_its_alias() {
        check("SELECT id FROM customers WHERE customers.|", &["ID", "NAME"]);
        check("SELECT id FROM customers c JOIN orders o ON o.|a", &["amount"]);
        check("SELECT id FROM customers AS c WHERE c.|n", &["name"]);
        check("SELECT x.|n", &[]);
    }

    #[test]
    fn properties_topics_and_variables() {
        check("CREATE STREAM s (a INT) WITH (|k", &["kafka_topic", "key_format"]);
        check("CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='orders', |KE", &["KEY_FORMAT"]);
        check("CREATE STREAM s WITH (kafka_topic = '|o", &["orders", "other"]);
        check("SET '|auto", &["auto.offset.reset"]);
        check("PRINT |ot", &["other"]);
        check("PRINT '|", &["orders", "other"]);
        check("SELECT '${|t", &["topic"]);
    }

    #[test]
    fn nothing_inside_comments_and_other_strings() {
        check("SELECT 1 -- sel|", &[]);
        check("SELECT '|sel", &[]);
    }

    #[test]
    fn any_text_is_accepted() {
        for text in ["", "é", "'", "`", "${", ".", "a.", "日本", "(((", "-- ", "SELECT ..", "WITH ("] {
            let found = complete(text, &names());
            assert!(text.is_char_boundary(found.0), "{text}: candidates replace the text from {}", found.0);
        }
    }
}
