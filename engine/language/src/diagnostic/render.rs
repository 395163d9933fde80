//! The rendered form of diagnostics, with the line that is wrong and carets under the wrong part.
//!
//! ```text
//! K0102: column "PRIC" does not exist
//!   line 3, column 8
//!     3 | SELECT pric * qty AS total
//!       |        ^^^^
//!   detail: Stream "ORDERS" has the columns "ID", "PRICE", "QTY".
//!   hint: Did you mean "PRICE"?
//! ```

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{Diagnostic, Span};

/// Columns of the source line that are shown; a longer line is clipped around the piece.
const COLUMNS_MAX: usize = 100;
/// Columns shown before the piece when a line is clipped.
const COLUMNS_BEFORE: usize = 40;
/// The number of spaces that replace a tab.
const TAB: &str = "    ";
/// Replaces the clipped part of a line.
const CLIPPED: &str = "…";

/// Renders diagnostics about `text` in order of position, those without a position last, separated by blank lines.
/// Spans outside the text are drawn at its end.
pub fn render(diagnostics: &[Diagnostic], text: &str) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|it| it.span.map_or((usize::MAX, 0), |span| (span.start, span.end)));
    let rendered: Vec<String> = sorted.into_iter().map(|it| one(it, text)).collect();
    rendered.join("\n")
}

fn one(diagnostic: &Diagnostic, text: &str) -> String {
    let mut out = format!("{diagnostic}\n");
    if let Some(span) = diagnostic.span {
        out += &excerpt(span, text);
    }
    for (label, words) in [("detail", &diagnostic.detail), ("hint", &diagnostic.hint)] {
        if let Some(words) = words {
            // Align further lines with the first word.
            let indent = format!("\n{}", " ".repeat(label.len() + 4));
            let _ = writeln!(out, "  {label}: {}", words.lines().collect::<Vec<_>>().join(&indent));
        }
    }
    out
}

/// The position of the wrong part: line and column, the line itself, and carets.
fn excerpt(span: Span, text: &str) -> String {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
    let line = text[line_start..line_end].trim_end_matches('\r');
    let number = text[..line_start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count() + 1;
    let (shown, carets) = draw(line, start - line_start, end.min(line_end) - line_start);
    let gutter = " ".repeat(number.to_string().len());
    format!("  line {number}, column {column}\n    {number} | {shown}\n    {gutter} | {carets}\n")
}

/// The nearest character boundary in the text.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|&byte| text.is_char_boundary(byte)).unwrap_or(0)
}

/// The line as it is shown, and the carets under the part given by its bytes in the line.
fn draw(line: &str, start: usize, end: usize) -> (String, String) {
    let (start, end) = (start.min(line.len()), end.min(line.len()));
    let before = cells(&line[..start]);
    let piece = cells(&line[start..end]);
    let after = cells(&line[end..]);
    let (before, piece, after) = match before.len() + piece.len() + after.len() <= COLUMNS_MAX {
        true => (before, piece, after),
        false => clip(before, piece, after),
    };
    let carets = " ".repeat(before.width()) + &"^".repeat(piece.width().max(1));
    (before + &piece + &after, carets)
}

/// Clips a long line to some text before the wrong part, the part itself, and as much text after it as fits.
fn clip(before: String, piece: String, after: String) -> (String, String, String) {
    let skipped = before.width().saturating_sub(COLUMNS_BEFORE);
    let before = match skipped {
        0 => before,
        _ => format!("{CLIPPED}{}", take(&before, skipped, COLUMNS_BEFORE)),
    };
    let room = COLUMNS_MAX.saturating_sub(before.width()).max(1);
    if piece.width() > room {
        return (before, take(&piece, 0, room), CLIPPED.to_owned());
    }
    let room = room - piece.width();
    let after = if after.width() > room { format!("{}{CLIPPED}", take(&after, 0, room)) } else { after };
    (before, piece, after)
}

/// The text in printable form: tabs expanded, other control characters replaced.
fn cells(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str(TAB),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

fn take(text: &str, skip: usize, count: usize) -> String {
    text.chars().skip(skip).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Diagnostic, SYNTAX, UNKNOWN_COLUMN};
    use super::*;

    /// A diagnostic about the first `piece` in `text`, rendered.
    fn rendered(text: &str, piece: &str) -> String {
        let start = text.find(piece).expect("the piece is in the text");
        render(&[Diagnostic::new(SYNTAX, "wrong").at(Span { start, end: start + piece.len() })], text)
    }

    #[test]
    fn a_diagnostic_is_drawn_as_the_style_says() {
        let text = "CREATE STREAM s AS\nSELECT id,\nSELECT pric * qty AS total\nFROM orders;";
        let start = text.find("pric").expect("there");
        let error = Diagnostic::new(UNKNOWN_COLUMN, "column \"PRIC\" does not exist")
            .at(Span { start, end: start + 4 })
            .detail("Stream \"ORDERS\" has the columns \"ID\", \"PRICE\", \"QTY\".")
            .hint("Did you mean \"PRICE\"?");
        let expected = "\
K0102: column \"PRIC\" does not exist
  line 3, column 8
    3 | SELECT pric * qty AS total
      |        ^^^^
  detail: Stream \"ORDERS\" has the columns \"ID\", \"PRICE\", \"QTY\".
  hint: Did you mean \"PRICE\"?
";
        assert_eq!(render(&[error], text), expected);
    }

    #[test]
    fn carets_stand_right_behind_tabs_and_wide_characters() {
        assert!(rendered("\té日本 x", "x").contains("    1 |     é日本 x\n      |           ^\n"));
        assert!(rendered("SELECT\r\n  '日本', y", "'日本'").contains("    2 |   '日本', y\n      |   ^^^^^^\n"));
    }

    #[test]
    fn several_are_drawn_in_order_of_position() {
        let at = |start, message: &str| Diagnostic::new(SYNTAX, message).at(Span { start, end: start + 1 });
        let all = [Diagnostic::new(Code("K0901"), "last"), at(4, "second"), at(0, "first")];
        let drawn = render(&all, "a b c");
        let places: Vec<_> = ["first", "second", "last"].iter().map(|it| drawn.find(it).expect("drawn")).collect();
        assert!(places.is_sorted(), "{drawn}");
    }

    #[test]
    fn a_long_line_is_clipped_around_the_piece() {
        let text = format!("{}, wrong, {}", "x".repeat(500), "y".repeat(500));
        let drawn = rendered(&text, "wrong");
        let lines: Vec<_> = drawn.lines().collect();
        assert!(lines[2].chars().count() <= COLUMNS_MAX + 12, "{drawn}");
        let column = lines[3].find('^').expect("carets");
        assert_eq!(lines[2].chars().skip(column).take(5).collect::<String>(), "wrong");
        assert!(lines[1].ends_with("line 1, column 503"));
    }

    #[test]
    fn any_span_can_be_drawn() {
        let text = "é\nß";
        for start in 0..8 {
            for end in 0..8 {
                render(&[Diagnostic::new(SYNTAX, "wrong").at(Span { start, end })], text);
            }
        }
        assert!(
            render(&[Diagnostic::new(SYNTAX, "wrong").at(Span { start: 5, end: 5 })], text)
                .contains("2 | ß\n      |  ^")
        );
        assert!(
            render(&[Diagnostic::new(SYNTAX, "wrong").at(Span { start: 0, end: 0 })], "").contains("line 1, column 1")
        );
    }

    #[test]
    fn a_piece_over_several_lines_is_marked_on_its_first() {
        assert!(rendered("a (b\nc) d", "(b\nc)").contains("    1 | a (b\n      |   ^^\n"));
    }
}
