//! What `headwater test --help` teaches: the format of a test file, by an example that a test of ours runs.

/// How test files are written.
pub const GUIDE: &str = r#"A test file is statements, each followed by a line ---- and what it answers. An empty line ends an
answer. Everything runs in memory, on topics that are new for each file:

  -- Orders above 2 go on.
  CREATE STREAM orders (id INT KEY, total DOUBLE)
    WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 1, VALUE_FORMAT = 'JSON');
  CREATE STREAM dear AS SELECT * FROM orders WHERE total > 2;
  INSERT INTO orders VALUES (1, 1.5), (2, 3e0);

  SELECT * FROM dear;
  ----
  +----+-------+
  | ID | TOTAL |
  +----+-------+
  | 2  | 3.0   |
  +----+-------+

  SELECT nothing FROM dear;
  ----
  K0102: column "NOTHING" does not exist
    line 1, column 8
      1 | SELECT nothing FROM dear;
        |        ^^^^^^^
    detail: The columns here are "ID", "TOTAL", "ROWTIME", "ROWPARTITION", "ROWOFFSET".

Answers:
  Write the statements, run `headwater test --accept FILE`, and read what it wrote. A line ----
  without an answer below is filled in; in a file without any ----, every statement gets its answer.
  A statement without ---- must succeed; its answer does not matter.
  Errors, plans (EXPLAIN), PRINT, SHOW and DESCRIBE are answers, too. EMIT CHANGES needs a LIMIT
  that is reached. Answers are kept without empty lines and without blanks at the ends of lines.
  A line ---- inside a string, a quoted name or a comment is part of it.

Directives, which end with ; like statements:
  \topic NAME [partitions N];      a topic that is there before it is declared
  \produce TOPIC record, record;   records as any client would write them; a record is
      [key BYTES] value BYTES [timestamp MS] [partition N] [headers (NAME = BYTES, ...)]
      where BYTES is 'text', x'hex' or null: value null is a tombstone
  \run 'service.sql';              the statements of a file, beside the test file

What makes files stable:
  Records without a time have the time 0, 1970-01-01; NOW() and UNIX_TIMESTAMP() are of the present.
  The order of rows of several partitions is not settled: say ORDER BY. Plans are those of one
  processor ('query.partitions' is 1). Queries are driven in every mode (--modes), so that their
  answers hold however input is cut and whoever crashes; the offsets of what a query writes
  (ROWOFFSET) do not.

Exit codes:
  0  all is as it says    1  something is not    2  wrong usage, or a path that cannot be read"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Reporter, Rules, check};

    /// Goal: the example of the help is true. Method: it is cut out and checked like a user's file.
    #[test]
    fn the_example_gives_what_it_says() {
        let example = GUIDE.lines().skip(2).take_while(|line| *line != "Answers:");
        let example: String = example.map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("guide.test");
        std::fs::write(&file, example).unwrap();
        let mut told = Vec::new();
        let mut reporter = Reporter { out: &mut told, colored: false };
        let rules = Rules { judge: true, ..Rules::default() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let tally = runtime.block_on(check(&[file], &rules, &mut reporter)).unwrap();
        assert_eq!((tally.passed, tally.failed), (5, 0), "{}", String::from_utf8_lossy(&told));
    }

    #[test]
    fn every_line_fits_a_terminal() {
        assert!(GUIDE.lines().all(|line| line.chars().count() <= 100));
    }
}
