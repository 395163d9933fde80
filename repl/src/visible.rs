//! Text that a terminal would obey, made visible: what comes out of a topic must not move the cursor, recolour the
//! screen, clear it or turn the order of what is read around.

use std::borrow::Cow;

/// Whether a character is shown as what it is. Not so are controls, those that change the direction of text or take no room, and
/// the separators of lines and paragraphs; a line feed and a tab are up to who shows them.
pub fn is_visible(character: char) -> bool {
    let turns = matches!(character,
        '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !character.is_control() && !turns
}

/// A text of whole lines as a terminal may have it: line feeds and tabs stay, everything else that it would obey becomes
/// `\r` or `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let stays = |character: char| is_visible(character) || matches!(character, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match stays(character) {
            true => shown.push(character),
            // As JSON has it, where no control below is left that JSON would not have escaped itself.
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
    fn every_character_that_a_terminal_obeys_is_made_visible() {
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
    fn what_is_only_text_stays() {
        for text in ["", "a\tb\n", "日本 ä é 🎉", "e\u{301}", "👩\u{200d}🚀"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }
}
