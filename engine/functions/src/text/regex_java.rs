//! Translates Java's patterns for the crates that match them here.
//!
//! `regex` matches in linear time, so no text can block a query, but it does not support what requires backtracking
//! (look-around, back references, possessive quantifiers, atomic groups). So a pattern is translated first, and the
//! translation decides which crate it needs. Shorthands (`\d`, `\w`, `\s` and their negations), classes such as
//! `\p{Alpha}`, and `\Q…\E` get their meaning in Java, where they only match ASCII.

/// The description of a function, followed by what all of them say about patterns.
macro_rules! java_note {
    ($about:literal) => {
        concat!(
            $about,
            " The pattern has Java's syntax, except that `.` excludes only line feeds and `$` matches only at the end of the text. Look-around, back references, possessive quantifiers and atomic groups backtrack; if that takes too many steps, the row's result is NULL."
        )
    };
}

/// REGEXP_EXTRACT.
pub const EXTRACT: &str = java_note!("The first match of a pattern in a text; NULL if there is none.");
/// REGEXP_EXTRACT_ALL.
pub const EXTRACT_ALL: &str = java_note!("All matches of a pattern in a text.");
/// REGEXP_REPLACE.
pub const REPLACE: &str =
    java_note!("The text with each match of a pattern replaced; $1 in the replacement is the pattern's first group.");
/// REGEXP_SPLIT_TO_ARRAY.
pub const SPLIT: &str = java_note!(
    "The parts of a text between the matches of a pattern; an empty pattern splits it into single characters."
);

/// A pattern of Java in the syntax that both crates share.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// The pattern.
    pub text: String,
    /// Whether it requires backtracking.
    pub backtracks: bool,
}

/// Translates a pattern. Fails with the reason if it is not valid.
pub fn translate(pattern: &str) -> Result<Translated, String> {
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len()),
        groups: groups(pattern),
        classes: 0,
        last: Last::Nothing,
        backtracks: false,
    };
    while let Some(char) = translator.rest.chars().next() {
        translator.rest = &translator.rest[char.len_utf8()..];
        translator.one(char)?;
    }
    Ok(Translated { text: translator.out, backtracks: translator.backtracks })
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    /// Number of capturing groups in the whole pattern.
    groups: usize,
    /// The number of open character classes.
    classes: usize,
    last: Last,
    backtracks: bool,
}

/// What a quantifier at this position would follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Atom,
    Quantifier,
    /// A quantifier with its `?` or `+`.
    Marked,
}

impl Translator<'_> {
    fn one(&mut self, char: char) -> Result<(), String> {
        match char {
            '\\' => return self.escape(),
            '[' => self.open_class(),
            _ if self.classes > 0 => {
                self.classes -= usize::from(char == ']');
                self.out.push(char);
            }
            '(' => return self.open_group(),
            '|' => self.push(char, Last::Nothing),
            '*' | '+' | '?' => return self.quantifier(char),
            '{' if self.bound().is_some() => {
                let bound = self.bound().unwrap_or(0);
                let (text, rest) = self.rest.split_at(bound);
                self.rest = rest;
                if matches!(self.last, Last::Quantifier | Last::Marked) {
                    return Err(format!("quantifier {{{text} follows another"));
                }
                self.out.push('{');
                self.out.push_str(text);
                self.last = Last::Quantifier;
            }
            other => self.push(other, Last::Atom),
        }
        Ok(())
    }

    fn push(&mut self, char: char, last: Last) {
        self.out.push(char);
        self.last = last;
    }

    /// A `]` directly after the opening bracket is one of the characters.
    fn open_class(&mut self) {
        self.out.push('[');
        self.classes += 1;
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        if let Some(rest) = self.rest.strip_prefix(']') {
            self.out.push_str("\\]");
            self.rest = rest;
        }
        self.last = Last::Atom;
    }

    fn open_group(&mut self) -> Result<(), String> {
        self.push('(', Last::Nothing);
        let Some(kind) = self.rest.strip_prefix('?') else { return Ok(()) };
        let around = ["=", "!", "<=", "<!", ">"];
        if let Some(sign) = around.iter().rev().find(|sign| kind.starts_with(**sign)) {
            self.backtracks = true;
            return self.take("?", sign);
        }
        let flags = kind.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(kind.len());
        if kind[..flags].contains('U') {
            return Err("the flag U (all of Unicode in \\w and its like) is not supported".to_owned());
        }
        let named = kind.starts_with('<');
        if !named && !kind[flags..].starts_with([':', ')']) {
            return Err("unknown kind of group after (?".to_owned());
        }
        // Only line feeds end lines anyway.
        let kept: String = kind[..flags].chars().filter(|flag| *flag != 'd').collect();
        if kept.is_empty() && kind[flags..].starts_with(')') {
            self.out.pop();
            self.rest = &kind[flags + 1..];
            return Ok(());
        }
        self.out.push('?');
        self.out.push_str(&kept);
        self.rest = &kind[flags..];
        if let Some(rest) = self.rest.strip_prefix(':') {
            self.out.push(':');
            self.rest = rest;
        }
        Ok(())
    }

    /// Copies this prefix of the rest unchanged.
    fn take(&mut self, first: &str, second: &str) -> Result<(), String> {
        let length = first.len() + second.len();
        self.out.push_str(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Ok(())
    }

    /// `?`, `*` and `+`; after another quantifier, `?` makes it lazy and `+` possessive.
    fn quantifier(&mut self, char: char) -> Result<(), String> {
        let last = match (self.last, char) {
            (Last::Atom, _) => Last::Quantifier,
            (Last::Quantifier, '?') => Last::Marked,
            (Last::Quantifier, '+') => {
                self.backtracks = true;
                Last::Marked
            }
            _ => return Err(format!("quantifier {char} has nothing to repeat")),
        };
        self.push(char, last);
        Ok(())
    }

    /// The length of a counted repetition after its brace, if it is one.
    fn bound(&self) -> Option<usize> {
        let end = self.rest.find('}')?;
        let (least, most) = self.rest[..end].split_once(',').unwrap_or((&self.rest[..end], ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(escaped) = self.rest.chars().next() else {
            return Err("the pattern ends with a backslash".to_owned());
        };
        self.rest = &self.rest[escaped.len_utf8()..];
        let class = self.classes > 0;
        match escaped {
            'Q' => {
                let (literal, behind) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.out.push_str(&regex::escape(literal));
                self.rest = behind;
                if literal.is_empty() {
                    return Ok(());
                }
            }
            '1'..='9' if !class => self.back_reference(escaped)?,
            'k' if !class => {
                self.backtracks = true;
                self.out.push_str("\\k");
            }
            'G' if !class => {
                self.backtracks = true;
                self.out.push_str("\\G");
            }
            'Z' if !class => {
                self.backtracks = true;
                self.out.push_str(r"(?=\n?\z)");
            }
            'R' if !class => self.out.push_str(r"(?:\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])"),
            '0' => self.octal()?,
            'c' => self.control()?,
            'u' => self.unit()?,
            'p' | 'P' => self.property(escaped == 'P')?,
            'A' | 'b' | 'B' | 'z' if !class => self.plain(escaped),
            'a' | 'f' | 'n' | 'r' | 't' | 'x' => self.plain(escaped),
            '<' | '>' => self.out.push(escaped),
            letter => match shorthand(letter) {
                Some(set) => self.out.push_str(set),
                None if letter.is_ascii_alphanumeric() => return Err(format!("\\{letter} has no meaning here")),
                None => self.plain(letter),
            },
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn plain(&mut self, escaped: char) {
        self.out.push('\\');
        self.out.push(escaped);
    }

    /// As many digits as still name a group.
    fn back_reference(&mut self, first: char) -> Result<(), String> {
        let mut group = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(10)) {
            let more = group * 10 + digit as usize;
            if more > self.groups {
                break;
            }
            group = more;
            self.rest = &self.rest[1..];
        }
        if group > self.groups {
            return Err(format!("\\{group} refers to a group that the pattern does not have"));
        }
        self.backtracks = true;
        self.out.push_str(&format!("(?:\\{group})"));
        Ok(())
    }

    /// `\0` and up to three octal digits, at most `\0377`.
    fn octal(&mut self) -> Result<(), String> {
        let digits = self.rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        let value = |length: usize| u32::from_str_radix(&self.rest[..length], 8).ok().filter(|value| *value <= 0o377);
        let length = (1..=digits).rev().find(|length| value(*length).is_some());
        let Some(length) = length else { return Err("\\0 must be followed by an octal number up to 377".to_owned()) };
        let code = value(length).unwrap_or(0);
        self.rest = &self.rest[length..];
        self.code(code);
        Ok(())
    }

    fn control(&mut self) -> Result<(), String> {
        let Some(char) = self.rest.chars().next().filter(char::is_ascii) else {
            return Err("\\c must be followed by a character".to_owned());
        };
        self.rest = &self.rest[1..];
        self.code(u32::from(char) ^ 64);
        Ok(())
    }

    /// `\uhhhh`, of which two may be one character.
    fn unit(&mut self) -> Result<(), String> {
        let mut code = self.four_digits()?;
        if (0xD800..0xDC00).contains(&code)
            && let Some(rest) = self.rest.strip_prefix("\\u")
        {
            self.rest = rest;
            let low = self.four_digits()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err("\\u names half a character".to_owned());
            }
            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        self.code(code);
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(digits) = digits else { return Err("\\u must be followed by four hexadecimal digits".to_owned()) };
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).map_err(|error| error.to_string())
    }

    fn code(&mut self, code: u32) {
        self.out.push_str(&format!("\\x{{{code:X}}}"));
    }

    /// `\p{…}`: POSIX classes only match ASCII, and Unicode classes may have the prefix `Is`.
    fn property(&mut self, negated: bool) -> Result<(), String> {
        let named = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, rest)) = named else {
            self.plain(if negated { 'P' } else { 'p' });
            return Ok(());
        };
        self.rest = rest;
        if let Some(set) = posix(name) {
            self.out.push_str(if negated { "[^" } else { "[" });
            self.out.push_str(set);
            self.out.push(']');
            return Ok(());
        }
        let name = name.strip_prefix("Is").unwrap_or(name);
        self.out.push_str(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        Ok(())
    }
}

fn shorthand(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[a-zA-Z0-9_]",
        'W' => "[^a-zA-Z0-9_]",
        's' => r"[ \t\n\x0B\x0C\r]",
        'S' => r"[^ \t\n\x0B\x0C\r]",
        'h' => r"[ \t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]",
        'H' => r"[^ \t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]",
        'v' => r"[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}]",
        'V' => r"[^\n\x0B\x0C\r\u{85}\u{2028}\u{2029}]",
        'e' => r"\x1B",
        _ => return None,
    })
}

fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`{-\x7E",
        "Graph" => r"!-\x7E",
        "Print" => r"\x20-\x7E",
        "Blank" => r"\x20\t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => r"\x20\t\n\x0B\x0C\r",
        _ => return None,
    })
}

/// Number of capturing groups.
fn groups(pattern: &str) -> usize {
    let (mut count, mut classes, mut rest) = (0, 0_usize, pattern);
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            '\\' if rest.starts_with('Q') => rest = rest.split_once("\\E").map_or("", |(_, behind)| behind),
            '\\' => rest = rest.chars().next().map_or("", |escaped| &rest[escaped.len_utf8()..]),
            '[' => {
                classes += 1;
                rest = rest.strip_prefix('^').unwrap_or(rest);
                rest = rest.strip_prefix(']').unwrap_or(rest);
            }
            ']' => classes = classes.saturating_sub(1),
            '(' if classes == 0 => {
                let named = rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!");
                count += usize::from(named || !rest.starts_with('?'));
            }
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> String {
        translate(pattern).map_or_else(|why| format!("error: {why}"), |translated| translated.text)
    }

    #[test]
    fn forms_of_java_are_written_out() {
        for (java, ours) in [
            (r"\d+[\w.]", "[0-9]+[[a-zA-Z0-9_].]"),
            (r"\Qa.b\E+", r"a\.b+"),
            (r"\p{Alpha}\P{Digit}\p{IsGreek}", r"[a-zA-Z][^0-9]\p{Greek}"),
            (r"\u0041\ud83d\ude00\0101\cA", r"\x{41}\x{1F600}\x{41}\x{1}"),
            (r"(?d)a(?i:b)(?<n>c)", r"a(?i:b)(?<n>c)"),
            (r"[]a][^]]", r"[\]a][^\]]"),
            (r"a{2,3}{", r"a{2,3}{"),
        ] {
            assert_eq!(text(java), ours, "{java}");
        }
    }

    #[test]
    fn what_must_backtrack_is_known() {
        for (java, backtracks) in [
            ("a+?(b|c)*", false),
            ("(?:a)(?i)b", false),
            ("[(?=]", false),
            (r"\(?=", false),
            ("a++", true),
            ("a{2}+", true),
            (r"(a)\1", true),
            (r"(?<n>a)\k<n>", true),
            ("(?=a)", true),
            ("(?!a)", true),
            ("(?<=a)", true),
            ("(?<!a)", true),
            ("(?>a)", true),
        ] {
            assert_eq!(translate(java).map(|found| found.backtracks), Ok(backtracks), "{java}");
        }
    }

    #[test]
    fn a_back_reference_takes_the_digits_that_name_a_group() {
        assert_eq!(text(r"(a)\11"), r"(a)(?:\1)1");
        assert_eq!(text(r"\Q(\E[(](a)\2"), r"error: \2 refers to a group that the pattern does not have");
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for pattern in ["*a", "a**", "a+*", "a{2}{3}", r"\y", r"\K", "a\\", r"\0", r"\u12", "(?U)a", "(?~a)", "(?(1)a)"]
        {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
