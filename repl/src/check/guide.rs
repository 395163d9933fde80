//! The text of `headwater test --help`: the format of a test file, with an example that a test runs.

/// Describes the format of test files.
pub const GUIDE: &str = r#"A test file contains statements, each followed by a line ---- and the expected answer. An empty line
ends an answer. Everything runs in memory, and every file starts without topics:

  -- Keep orders above 2.
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
  Write the statements, run `headwater test --accept FILE`, and review the answers that it added:
  below each line ---- or, in a file without any ----, below every statement.
  A statement without ---- must succeed; its answer is not checked.
  Errors, plans (EXPLAIN), PRINT, SHOW and DESCRIBE are answers, too. EMIT CHANGES needs a LIMIT
  that is reached. Answers are written without empty lines and without trailing white space.
  A line ---- inside a string, a quoted name or a comment does not count.

Directives, which end with ; like statements:
  \topic NAME [partitions N];      creates a topic before it is declared
  \produce TOPIC record, record;   writes records as any client would; a record is
      [key BYTES] value BYTES [timestamp MS] [partition N] [headers (NAME = BYTES, ...)]
      where BYTES is 'text', x'hex' or null; value null makes a tombstone
  \schema SUBJECT KIND 'TEXT';     registers a schema; KIND is AVRO, PROTOBUF or JSON
  \run 'service.sql';              runs the statements of a file in the same folder

Repeatable answers:
  Records without a timestamp get 0, 1970-01-01; NOW() and UNIX_TIMESTAMP() return the current time.
  The order of rows from several partitions is not defined: use ORDER BY. Plans are those of one
  processor ('query.partitions' is 1). Queries run in every mode (--modes), so their answers must
  not depend on how input is divided or on which process crashes; the offsets of their output
  records (ROWOFFSET) do depend on it.

Exit codes:
  0  all answers match    1  some do not    2  invalid usage, or a path that cannot be read"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Reporter, Rules, check};

    /// Goal: the example in the help is correct. Method: it is extracted and run like a user's file.
    #[test]
    fn the_example_is_correct() {
        let example = GUIDE.lines().skip(2).take_while(|line| *line != "Answers:");
        let example: String = example.map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("guide.test");
        std::fs::write(&file, example).unwrap();
        let mut printed = Vec::new();
        let mut reporter = Reporter { out: &mut printed, colored: false };
        let rules = Rules { judge: true, ..Rules::default() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let tally = runtime.block_on(check(&[file], &rules, &mut reporter)).unwrap();
        assert_eq!((tally.passed, tally.failed), (5, 0), "{}", String::from_utf8_lossy(&printed));
    }

    #[test]
    fn every_line_fits_a_terminal() {
        assert!(GUIDE.lines().all(|line| line.chars().count() <= 100));
    }
}
