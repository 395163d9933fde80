//! The difference between two texts, line by line, as `diff -u` shows it: with a few lines around each change.

/// Number of lines shown around a change.
const CONTEXT: usize = 3;
/// Maximum number of line pairs that are compared to find the shortest difference; longer texts are shown as one
/// replaced block.
const PAIRS_MAX: usize = 4_000_000;

/// A line of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A run of lines begins, at this line of the old text, counted from 0.
    From(usize),
    /// In both texts.
    Same(&'a str),
    /// Only in the old text.
    Gone(&'a str),
    /// Only in the new text.
    New(&'a str),
}

/// The lines that differ, with some lines around them; empty if the texts are the same.
pub fn difference<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let all = edits(old, new);
    let changes: Vec<usize> = (0..all.len()).filter(|at| !matches!(all[*at], Line::Same(_))).collect();
    let is_near = |at: usize| {
        let behind = changes.partition_point(|change| *change < at.saturating_sub(CONTEXT));
        changes.get(behind).is_some_and(|change| *change <= at + CONTEXT)
    };
    let mut shown = Vec::new();
    let (mut old_line, mut follows) = (0, false);
    for (at, line) in all.iter().enumerate() {
        let near = is_near(at);
        if near && !follows {
            shown.push(Line::From(old_line));
        }
        if near {
            shown.push(*line);
        }
        follows = near;
        old_line += usize::from(!matches!(line, Line::New(_)));
    }
    shown
}

/// Every line of both texts, in order.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_left, new_left) = (&old[before..], &new[before..]);
    let behind = old_left.iter().rev().zip(new_left.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old_left[..old_left.len() - behind], &new_left[..new_left.len() - behind]);
    let same = |lines: &[&'a str]| lines.iter().map(|line| Line::Same(line)).collect::<Vec<_>>();
    let mut all = same(&old[..before]);
    all.extend(middle(old_middle, new_middle));
    all.extend(same(&old_left[old_left.len() - behind..]));
    all
}

/// The edits between texts that differ in their first and in their last line.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (mut i, mut j) = (0, 0);
    let mut all = Vec::with_capacity(old.len() + new.len());
    if old.len().saturating_mul(new.len()) <= PAIRS_MAX {
        let width = new.len() + 1;
        let common = common_lengths(old, new);
        while i < old.len() && j < new.len() {
            if old[i] == new[j] {
                all.push(Line::Same(old[i]));
                (i, j) = (i + 1, j + 1);
            } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
                all.push(Line::Gone(old[i]));
                i += 1;
            } else {
                all.push(Line::New(new[j]));
                j += 1;
            }
        }
    }
    all.extend(old[i..].iter().map(|line| Line::Gone(line)));
    all.extend(new[j..].iter().map(|line| Line::New(line)));
    all
}

/// Length of the longest common subsequence of the remaining lines, for each pair of positions.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut common = vec![0; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = match old[i] == new[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares texts of one character per line; the difference has one word per line.
    fn check(old: &'static str, new: &'static str, expected: &str) {
        let lines = |text: &'static str| text.split_terminator(' ').collect::<Vec<_>>();
        let (old, new) = (lines(old), lines(new));
        let word = |line: Line<'_>| match line {
            Line::From(at) => format!("@{at}"),
            Line::Same(text) => text.to_owned(),
            Line::Gone(text) => format!("-{text}"),
            Line::New(text) => format!("+{text}"),
        };
        assert_eq!(difference(&old, &new).into_iter().map(word).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn changes_are_shown_with_their_context() {
        check("a b c", "a b c", "");
        check("a b c", "a x c", "@0 a -b +x c");
        check("", "a b", "@0 +a +b");
        check("a b", "", "@0 -a -b");
        check("a b c d e f", "a b c d e x", "@2 c d e -f +x");
        check("a b c", "a c b", "@0 a -b c +b");
    }

    #[test]
    fn distant_changes_have_separate_runs() {
        check("1 2 3 4 5 6 7 8 9", "x 2 3 4 5 6 7 8 9 y", "@0 -1 +x 2 3 4 @6 7 8 9 +y");
        check("1 2 3 4 5 6 7", "1 x 2 3 4 5 6", "@0 1 +x 2 3 4 5 6 -7");
    }

    #[test]
    fn texts_too_long_to_compare_are_replaced() {
        let old: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
        let new: Vec<String> = (0..3_000).map(|n| (n + 1).to_string()).collect();
        let text = |lines: &'static [String]| lines.iter().map(String::as_str).collect::<Vec<_>>();
        let found = difference(&text(old.leak()), &text(new.leak()));
        assert_eq!(found.len(), 6_001);
    }
}
