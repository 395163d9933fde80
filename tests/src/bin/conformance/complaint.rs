//! Whether an error names the same objects as ksqlDB's: every quoted or upper-case identifier and type of its message.
//! The wording may differ, the objects may not.

use headwater_engine::diagnostic::Diagnostic;

/// The objects that ksqlDB's message names and ours does not.
pub fn unnamed(expected: &str, errors: &[Diagnostic]) -> Vec<String> {
    let said: Vec<String> = errors
        .iter()
        .flat_map(|d| [Some(&d.message), d.detail.as_ref(), d.hint.as_ref()])
        .flatten()
        .map(|text| plain(text))
        .collect();
    let said = said.join(" ");
    let words: Vec<String> = words(&said).collect();
    let mut missing: Vec<String> = objects(expected)
        .into_iter()
        .filter(|object| {
            let object = plain(object);
            let is_word = object.chars().all(|c| c.is_alphanumeric() || c == '_');
            if is_word { !words.contains(&object) } else { !squeezed(&said).contains(&squeezed(&object)) }
        })
        .collect();
    missing.dedup();
    missing
}

/// The objects that a message names: quoted parts, and words in upper case outside of them.
fn objects(message: &str) -> Vec<String> {
    let without_links: Vec<&str> = message.split_whitespace().filter(|word| !word.contains("://")).collect();
    let message = without_links.join(" ");
    let (mut objects, mut rest) = (Vec::new(), String::new());
    let mut chars = message.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = chars.next() {
        let opens = matches!(c, '\'' | '"' | '`') && !before.is_alphanumeric();
        let closes = |end: &usize| !message[end + 1..].starts_with(char::is_alphanumeric);
        let end = message[at + 1..].match_indices(c).map(|(i, _)| at + 1 + i).find(closes).filter(|_| opens);
        before = c;
        match end {
            Some(end) => {
                objects.push(message[at + 1..end].to_owned());
                rest.push(' ');
                while chars.next_if(|(i, _)| *i <= end).is_some() {}
            }
            None => rest.push(c),
        }
    }
    objects.extend(words(&rest).filter(|word| is_upper(word)));
    objects.retain(|object| !object.trim().is_empty());
    objects
}

/// Words of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(str::to_owned)
}

/// A word of at least two letters without a lower-case letter.
fn is_upper(word: &str) -> bool {
    word.chars().filter(char::is_ascii_uppercase).count() > 1 && !word.chars().any(char::is_lowercase)
}

/// The text without quotes, in upper case, and with one name for each type.
fn plain(text: &str) -> String {
    let unquoted: String = text.chars().filter(|c| !matches!(c, '\'' | '"' | '`')).collect();
    let mut out = String::new();
    let mut word = String::new();
    for c in unquoted.to_uppercase().chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        out.push_str(match word.as_str() {
            "INT" => "INTEGER",
            "VARCHAR" => "STRING",
            other => other,
        });
        word.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_engine::diagnostic::PLAN;

    fn missing(expected: &str, message: &str) -> Vec<String> {
        unnamed(expected, &[Diagnostic::new(PLAN, message)])
    }

    #[test]
    fn quoted_and_upper_case_words_are_objects() {
        assert_eq!(
            objects("Can't cast `F` from 'a b' to MAP<STRING, INTEGER>. See https://X.Y"),
            ["F", "a b", "MAP", "STRING", "INTEGER"]
        );
        assert_eq!(objects("I am A fact"), Vec::<String>::new());
    }

    #[test]
    fn quotes_space_and_names_of_types_do_not_count() {
        assert!(missing("column `F` is VARCHAR(INT)", "\"F\": STRING( INTEGER )").is_empty());
        assert_eq!(missing("column 'F' of TEST", "column \"FF\" of \"TEST\""), ["F"]);
    }
}
