//! Text for the parser, from a seed: statements that must be read, statements damaged a little, and
//! words in no order. The tests and the `fuzz_parser` example share it.

pub mod grammar;

use headwater_language::sql::{ast::Statement, is_complete, parse};

/// A small generator of random numbers (splitmix64), the same on every machine.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of some.
    pub fn pick<'a, T: ?Sized>(&mut self, some: &[&'a T]) -> &'a T {
        some[self.below(some.len())]
    }
}

/// Words and symbols of which soup is made.
const SOUP: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "EMIT",
    "CHANGES",
    "FINAL",
    "WINDOW",
    "TUMBLING",
    "HOPPING",
    "SESSION",
    "SIZE",
    "ADVANCE",
    "5",
    "MINUTES",
    "GRACE",
    "PERIOD",
    "PARTITION",
    "WITHIN",
    "JOIN",
    "LEFT",
    "FULL",
    "OUTER",
    "ON",
    "USING",
    "AS",
    "WITH",
    "CREATE",
    "STREAM",
    "TABLE",
    "TYPE",
    "INSERT",
    "INTO",
    "VALUES",
    "DROP",
    "IF",
    "NOT",
    "EXISTS",
    "SHOW",
    "LIST",
    "TOPICS",
    "DESCRIBE",
    "PRINT",
    "EXPLAIN",
    "ANALYZE",
    "SET",
    "DEFINE",
    "ASSERT",
    "COPY",
    "TO",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "TRY_CAST",
    "ARRAY",
    "MAP",
    "STRUCT",
    "DECIMAL",
    "INT",
    "STRING",
    "INTERVAL",
    "DATE",
    "EXTRACT",
    "TRIM",
    "SUBSTRING",
    "POSITION",
    "UNION",
    "ALL",
    "EXCEPT",
    "AND",
    "OR",
    "IS",
    "NULL",
    "DISTINCT",
    "IN",
    "BETWEEN",
    "LIKE",
    "ESCAPE",
    "OVER",
    "ROWS",
    "LATERAL",
    "UNNEST",
    "EXCLUDE",
    "REPLACE",
    "FILTER",
    "GROUPING",
    "SETS",
    "ROLLUP",
    "AT",
    "TIME",
    "ZONE",
    "KEY",
    "PRIMARY",
    "HEADER",
    "HEADERS",
    "a",
    "b",
    "`c d`",
    "\"e\"",
    "'f'",
    "''",
    "1",
    ".5",
    "5.",
    "1e9",
    "9223372036854775808",
    "x@y",
    "1st",
    "é",
    "日",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ">>",
    "<>",
    ",",
    ".",
    ";",
    "->",
    "=>",
    ":=",
    "::",
    ":",
    "||",
    "=",
    "!=",
    "<=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "@",
    "$",
    "${v}",
    "?",
    "{",
    "}",
    "--",
    "/*",
    "*/",
    "'",
    "`",
    "\"",
    "\n",
    "\t",
    "\\",
    "~",
    "&",
    "|",
    "^",
    "#",
    "!",
    "N'x'",
    "X'00'",
    "$$",
    "U&'x'",
];

/// Words in no order.
pub fn soup(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..1 + rng.below(40) {
        text.push_str(rng.pick(SOUP));
        if !rng.once_in(6) {
            text.push(' ');
        }
    }
    text
}

/// A text with some damage: pieces removed, doubled, swapped, or soup put in.
pub fn damage(rng: &mut Rng, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..1 + rng.below(4) {
        let (from, to) = (boundary(rng, &text), boundary(rng, &text));
        let (from, to) = (from.min(to), from.max(to));
        match rng.below(5) {
            0 => drop(text.drain(from..text.floor_char_boundary(to.min(from + 8)))),
            1 => text.insert_str(from, rng.pick(SOUP)),
            2 => text.insert_str(to, &text[from..to].chars().take(30).collect::<String>()),
            3 => text.replace_range(from..to, rng.pick(SOUP)),
            _ => text.truncate(to),
        }
    }
    text
}

/// A place between two characters.
fn boundary(rng: &mut Rng, text: &str) -> usize {
    let at = rng.below(text.len() + 1);
    (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// One input of the fuzz: a statement, damaged or not, or soup.
pub fn input(rng: &mut Rng) -> String {
    match rng.below(10) {
        0..=1 => soup(rng),
        2..=3 => grammar::statement(rng),
        4 => format!("{};{}", grammar::statement(rng), soup(rng)),
        _ => {
            let text = grammar::statement(rng);
            damage(rng, &text)
        }
    }
}

/// What must hold for any text: every place is inside it and between characters, and every statement
/// read prints as text that reads as the same statement. Gives the number of statements read.
pub fn check(text: &str) -> usize {
    let _ = is_complete(text);
    let parsed = parse(text);
    for error in &parsed.errors {
        let span = error.span.unwrap_or_default();
        assert!(text.get(span.start..span.end).is_some(), "{span:?} is no place in {text:?}");
    }
    parsed.statements.iter().for_each(check_print);
    parsed.statements.len()
}

/// A statement prints as text that reads as the same statement.
pub fn check_print(statement: &Statement) {
    let printed = statement.to_string();
    let again = parse(&printed);
    assert!(again.errors.is_empty(), "{}\n  prints as {printed}\n  which gives {:?}", statement.text, again.errors);
    assert_eq!(again.statements.len(), 1, "{}\n  prints as {printed}", statement.text);
    assert_eq!(again.statements[0], *statement, "{}\n  prints as {printed}", statement.text);
}
