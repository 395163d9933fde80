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
  Write the statements, run `headwater test --accept FILE`, and read what it wrote. A line ---- without
  an answer below is filled in; in a file without any ----, every statement gets its answer.
  A statement without ---- must succeed; its answer does not matter.
  Errors, plans (EXPLAIN), PRINT, SHOW and DESCRIBE are answers, too. EMIT CHANGES needs a LIMIT that
  is reached. Answers are kept without empty lines and without blanks at the ends of lines.
  A line ---- inside a string, a quoted name or a comment is part of it.

Directives, which end with ; like statements:
  \topic NAME [partitions N];      a topic that is there before it is declared
  \produce TOPIC record, record;   records as any client would write them; a record is
      [key BYTES] value BYTES [timestamp MS] [partition N] [headers (NAME = BYTES, ...)]
      where BYTES is 'text', x'hex' or null: value null is a tombstone
  \run 'service.sql';              the statements of a file, beside the test file

What makes files stable:
  Records without a time have the time 0, 1970-01-01. The order of rows of several partitions is
  not settled: say ORDER BY. Queries are driven in every mode (--modes), so that their answers hold
  however input is cut and whoever crashes; the offsets of what a query writes (ROWOFFSET) do not.

Exit codes:
  0  all is as it says    1  something is not    2  wrong usage, or a path that cannot be read"#;
