//! Escapes control characters: the contents of a topic must not move the cursor, change the colors, clear the screen or
//! reverse the direction of text.

use std::borrow::Cow;

/// Whether a character is shown as it is. Not shown are control characters, characters that change the direction of
/// text or take no space, and separators of lines and paragraphs; the caller decides about line feeds and tabs.
pub fn is_visible(character: char) -> bool {
    let turns = matches!(character,
        '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !character.is_control() && !turns
}

/// Whole lines for a terminal: line feeds and tabs stay, other control characters become `\r` or `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let stays = |character: char| is_visible(character) || matches!(character, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match stays(character) {
            true => shown.push(character),
            // In the form of JSON, which itself escapes only the control characters below.
            false if character >= '\u{7f}' => shown.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => shown.extend(character.escape_default()),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_escaped() {
        let controls = (0..=0x1f_u32).chain(0x7f..=0x9f).chain([0x61c, 0x200b, 0x200e, 0x200f, 0xfeff]);
        let controls = controls.chain(0x2028..=0x202e).chain(0x2066..=0x2069).filter_map(char::from_u32);
        for character in controls.filter(|c| !matches!(c, '\n' | '\t')) {
            let shown = visible(&format!("a{character}b")).into_owned();
            let is_json = serde_json::from_str::<String>(&format!("\"{shown}\"")).ok();
            assert!(character < '\u{7f}' || is_json == Some(format!("a{character}b")), "{shown}");
            assert!(shown.len() > 3 && shown.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }

    #[test]
    fn plain_text_is_unchanged() {
        for text in ["", "a\tb\n", "日本 ä é 🎉", "e\u{301}", "👩\u{200d}🚀"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }
}
