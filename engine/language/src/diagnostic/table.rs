//! The documentation of every error code. The page `engine/CODES.md` is generated from it, and its examples are run for it.

use super::Code;
use super::codes::*;

/// The documentation of a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeEntry {
    /// The code.
    pub code: Code,
    /// What it means, as a heading.
    pub title: &'static str,
    /// When the error occurs, in full sentences.
    pub when: &'static str,
    /// What can be done, in full sentences.
    pub remedy: &'static str,
    /// A statement that is refused with it.
    pub example: Example,
}

/// A statement that is refused with a code.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// A statement that is run after [`PRELUDE`].
    Run {
        /// Statements that come before it.
        before: &'static [&'static str],
        /// The statement.
        statement: &'static str,
    },
    /// There is no example; this is the reason.
    None(&'static str),
}

/// The statement that is run before every example.
pub const PRELUDE: &str = "CREATE STREAM orders (id INT KEY, item STRING, qty INT, price DECIMAL(9, 2)) WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";

/// Every code, in order.
pub const CODES: &[CodeEntry] = &[
    entry(
        UNKNOWN_SOURCE,
        "a stream or table that does not exist",
        "A statement names a stream or table that was never declared, or that was dropped. A topic does not become a stream until it is declared as one.",
        "SHOW STREAMS and SHOW TABLES list those that exist. CREATE STREAM declares a stream over a topic. Names in backticks keep their case; all others are converted to upper case.",
        run("SELECT * FROM nowhere;"),
    ),
    entry(
        UNKNOWN_COLUMN,
        "a column that does not exist",
        "An expression names a column that no source in FROM has, or the expression of a function names something that is not an argument of the function.",
        "DESCRIBE lists the columns of a stream or table. Write texts in single quotes.",
        run("SELECT pric FROM orders;"),
    ),
    entry(
        UNKNOWN_TYPE,
        "a type that does not exist",
        "The type is not built in and was not created by CREATE TYPE.",
        "SHOW TYPES lists the types created by CREATE TYPE.",
        run("CREATE TYPE parcel AS STRUCT<home ADRESS>;"),
    ),
    entry(
        AMBIGUOUS_COLUMN,
        "an ambiguous column name",
        "More than one source of a join has a column of this name, or two columns of a result would have the same name.",
        "Qualify the column with its source, as in a.item, or rename one of the columns with AS.",
        run("SELECT item FROM orders AS a JOIN orders AS b ON a.id = b.id;"),
    ),
    entry(
        EXISTS,
        "a name that is already taken",
        "Something of that name already exists, is built in, or was just created by another process; or OR REPLACE would change something that it cannot change.",
        "Choose another name, use IF NOT EXISTS or OR REPLACE, or DROP what has the name.",
        run("CREATE STREAM orders (v INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        DUPLICATE_COLUMN,
        "a duplicate column",
        "Two columns, fields or arguments of a declaration have the same name, or a result contains a column twice.",
        "Remove one of them, or rename it.",
        run("CREATE STREAM s (id INT, id INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        RESERVED_NAME,
        "a reserved name",
        "The name is reserved for the address columns of every record (ROWTIME, ROWPARTITION, ROWOFFSET), for windows, or by the language; or a lambda parameter has the same name as a column.",
        "Choose another name. To use a column as the time of the records, declare WITH (TIMESTAMP = 'column').",
        run("CREATE STREAM s (rowtime BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        COLUMN_ROLE,
        "a column with the wrong role",
        "Streams have KEY columns and tables have PRIMARY KEY columns; columns declared as HEADERS or HEADER('name') must have the corresponding type.",
        "Declare the column as the message says.",
        run("CREATE STREAM s (id INT PRIMARY KEY) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISSING_KEY,
        "a source without the columns it needs",
        "A table has no PRIMARY KEY column, or a declaration has no columns and they cannot be inferred.",
        "Declare them.",
        run("CREATE TABLE t (v INT) WITH (KAFKA_TOPIC = 't', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        INSERT,
        "a row that cannot be written",
        "VALUES has too many or too few values, a value cannot be converted to the type of its column, or rows cannot be written to the target.",
        "Give each column a value of its type, with CAST if necessary. Nothing was written.",
        run("INSERT INTO orders (id, qty) VALUES (1, 'many');"),
    ),
    entry(
        PLAN,
        "an invalid expression or query",
        "An operator or function does not accept these types, a condition is not a BOOLEAN, or two clauses cannot be combined.",
        "The caret is under the operator or function. DESCRIBE FUNCTION shows how to call a function; CAST converts a value to another type.",
        run("SELECT id + TRUE FROM orders;"),
    ),
    entry(
        RUNTIME,
        "a query that failed while running",
        "A bounded query encountered an error that does not belong to a single row. An expression that fails for a single row is NULL in that row and does not end the query.",
        "The message gives the reason; the query can be run again.",
        run_after(
            &["INSERT INTO orders (id, qty) VALUES (1, 5), (2, 7);"],
            "SELECT * FROM orders WHERE id = (SELECT id FROM orders);",
        ),
    ),
    entry(
        MEMORY,
        "a query that exceeds its memory limit",
        "A bounded query needs more memory at once than 'query.memory.max'. Sorts, joins and groups spill to disk before that; a single value, such as an array of all rows, cannot.",
        "Raise the limit, or change the query so that it keeps fewer rows.",
        Example::None("the message depends on the machine, as does the memory that a query needs"),
    ),
    entry(
        COPY,
        "a file that cannot be written",
        "COPY cannot create the file, or the file name does not end in the name of a format that COPY writes.",
        "Name a file in a folder that exists and is writable. The previous contents of the file are unchanged.",
        run("COPY (SELECT 1 AS one) TO '/no/such/place.csv';"),
    ),
    entry(
        UNKNOWN_FUNCTION,
        "a function that does not exist",
        "The function is not built in and was not created by CREATE FUNCTION. Continuous queries support fewer functions than bounded ones.",
        "SHOW FUNCTIONS lists them.",
        run("SELECT COUNTT(*) FROM orders;"),
    ),
    entry(
        UNKNOWN_QUERY,
        "a persistent query that does not exist",
        "A statement names a query that was never created, or that was terminated.",
        "SHOW QUERIES lists them.",
        run("TERMINATE csas_paid_7;"),
    ),
    entry(
        IN_USE,
        "a stream, table or topic that is in use",
        "A stream or table cannot be dropped while a persistent query reads or writes it. DELETE TOPIC is refused while another stream, table or query uses the topic.",
        "TERMINATE the queries first, or omit DELETE TOPIC.",
        run_after(&["CREATE STREAM dear AS SELECT * FROM orders WHERE price > 10;"], "DROP STREAM orders;"),
    ),
    entry(
        READ_ONLY,
        "a read-only stream or table",
        "It was declared with SOURCE, so it only reads a topic that belongs to someone else.",
        "DROP it and declare it again; its topic is not touched.",
        run_after(
            &[
                "CREATE SOURCE TABLE t (id INT PRIMARY KEY, v INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');",
            ],
            "ALTER TABLE t ADD COLUMN w INT;",
        ),
    ),
    entry(
        SYNTAX,
        "a syntax error",
        "The text is not a valid statement.",
        "The caret is under the first word or symbol that is not valid there; the detail says what was expected.",
        run("SELECT id FORM orders;"),
    ),
    entry(
        UNCLOSED,
        "an unclosed string, quoted name or comment",
        "A quote or a comment is opened and never closed.",
        "Close it. To include a quote in a text, write it twice: 'it''s'.",
        run("SELECT 'abc FROM orders;"),
    ),
    entry(
        UNKNOWN_STATEMENT,
        "an unknown statement",
        "No statement begins with this word.",
        "See `help` in the shell.",
        run("SELCT id FROM orders;"),
    ),
    entry(
        TOO_LARGE,
        "a statement that is too large or too deeply nested",
        "A statement has too many bytes, nested parentheses or consecutive operators, or a function is nested in too many others.",
        "Split it into several statements.",
        run(
            "SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))));",
        ),
    ),
    entry(
        LITERAL,
        "an invalid literal",
        "A number is out of range for BIGINT, a DECIMAL has too many digits, a text that is compared with a time is not a valid time, or the constant pattern of a REGEXP function is not a valid pattern.",
        "A number with an exponent is a DOUBLE, one with only a decimal point a DECIMAL.",
        run("SELECT 9223372036854775808;"),
    ),
    entry(
        BAD_TYPE,
        "an invalid type",
        "The parameters of a type are missing or wrong.",
        "Write it as the hint says.",
        run("CREATE STREAM s (price DECIMAL) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISPLACED,
        "a misplaced clause",
        "EMIT, WINDOW, PARTITION BY and WITHIN are only allowed in the outermost SELECT; some commands are only allowed in the shell.",
        "Move it, or remove it.",
        run("SELECT * FROM (SELECT * FROM orders EMIT CHANGES);"),
    ),
    entry(
        UNDEFINED_VARIABLE,
        "an undefined variable",
        "The text contains ${name}, but no variable of that name is defined in this session.",
        "DEFINE it first. To write the text ${name} itself, use $${name}.",
        run("SELECT * FROM ${source};"),
    ),
    entry(
        NOT_SUPPORTED,
        "a statement or clause that is not supported yet",
        "The statement is part of the language, but Headwater does not support it yet. Nothing was changed.",
        "The hint names an alternative if there is one.",
        run("SHOW CONNECTORS;"),
    ),
    entry(
        STREAMING,
        "a query that cannot run continuously",
        "A continuous query never ends, so it cannot sort, use subqueries or wait for a final result; and its output must match its target.",
        "Follow the message, or remove EMIT CHANGES: the query then reads what is in the topics now, and all of SQL is allowed.",
        run("SELECT * FROM orders EMIT FINAL;"),
    ),
    entry(
        PROJECTION_KEY,
        "a key that SELECT omits or contains twice",
        "A query that writes to a topic must select each key column exactly once.",
        "Select the key. AS_VALUE(key) copies a key column into the value; PARTITION BY chooses a different key.",
        run("CREATE STREAM s AS SELECT item FROM orders;"),
    ),
    entry(
        TRANSPORT,
        "the cluster did not carry out a request",
        "A broker is unreachable, refuses the request, or does not respond in time.",
        "Check the cluster, its address and the permissions of the user, then try again.",
        Example::None("it requires a broken cluster"),
    ),
    entry(
        UNKNOWN_TOPIC,
        "a topic that does not exist",
        "A statement names a topic that the cluster does not have.",
        "SHOW TOPICS lists the topics; their names are case-sensitive. With PARTITIONS in WITH, CREATE STREAM and CREATE TABLE create the topic.",
        run("PRINT nothing;"),
    ),
    entry(
        TOPIC_MISMATCH,
        "a topic that differs from its declaration",
        "WITH specifies a different number of partitions or replicas than the topic has.",
        "Omit PARTITIONS and REPLICAS if the topic already exists.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 9, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        UNKNOWN_PROPERTY,
        "a property that does not exist",
        "SET or a WITH clause names a property that does not exist.",
        "SHOW PROPERTIES lists the properties for SET.",
        run("SET 'auto.ofset.reset' = 'earliest';"),
    ),
    entry(
        DUPLICATE_PROPERTY,
        "a property given twice",
        "A WITH clause contains a property twice.",
        "Remove one of them.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 'a', KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        PROPERTY_CONFLICT,
        "conflicting properties",
        "Two properties of a WITH clause set the same thing, or one of them requires another.",
        "Remove one of them, or add the missing one.",
        run(
            "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, FORMAT = 'JSON', VALUE_FORMAT = 'JSON');",
        ),
    ),
    entry(
        PROPERTY_VALUE,
        "an invalid property value",
        "A value has the wrong type, or is not one of those that the property accepts.",
        "Use a value that the detail describes.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 'many', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISSING_PROPERTY,
        "a missing property",
        "A WITH clause omits a property that has no default.",
        "Add it.",
        run("CREATE STREAM s (v INT) WITH (VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        FORMAT,
        "a format that does not support the columns",
        "The key or value cannot be written in this format: some formats hold only one column, some support only certain types.",
        "Choose another format, or other columns.",
        run("CREATE STREAM s (a INT, b INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'KAFKA');"),
    ),
    entry(
        TIMESTAMP_COLUMN,
        "a column that cannot be the event time",
        "WITH (TIMESTAMP = …) names a column that is neither a BIGINT or TIMESTAMP nor a STRING with a TIMESTAMP_FORMAT.",
        "Name another column, or specify TIMESTAMP_FORMAT.",
        run("CREATE STREAM s (item STRING) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'item');"),
    ),
    entry(
        LOST,
        "lost records, or a lost position in a log",
        "Records were deleted before a query read them (by retention or an operator), or their topic was truncated or deleted and \
         recreated, so that a query cannot continue where it was.",
        "With SET 'query.lost.records' = 'note', a bounded query answers from the remaining records. A persistent query continues after RESUME q \
         FROM EARLIEST or FROM LATEST, which start at the beginning or the end of the topic. One that keeps state continues FROM LATEST, or is created again.",
        Example::None("it requires a topic that loses records"),
    ),
    entry(
        COMMAND_TOPIC,
        "a damaged command topic",
        "The command topic of the service id stores all definitions. It was deleted, recreated, or lost its first or last commands, so processes would no longer agree on what exists. Running queries continue, but nothing can be started or changed.",
        "Restart the process to accept the topic as it is now, or stop all processes, delete the topic, and define everything again. Keep the topic's retention.ms and retention.bytes at -1.",
        Example::None("it requires a topic that is damaged while it is read"),
    ),
    entry(
        NEWER_COMMAND,
        "a command topic written by a newer version",
        "A newer version of Headwater uses the same service id and wrote a command that this version does not understand. Running queries continue, but nothing can be started or changed.",
        "Upgrade this process.",
        Example::None("it requires a version that does not exist yet"),
    ),
    entry(
        OWNED_TOPIC,
        "a topic that belongs to Headwater or Kafka",
        "Topics whose names begin with _headwater- store Headwater's state, and those that begin with __ store Kafka's. Writing to such a topic or deleting it would destroy that state.",
        "Use another topic, or declare a read-only stream with CREATE SOURCE STREAM.",
        run("CREATE STREAM s (v STRING) WITH (KAFKA_TOPIC = '__consumer_offsets', VALUE_FORMAT = 'KAFKA');"),
    ),
    entry(
        STATE_DISK,
        "a disk that fails while state is kept on it",
        "The state of a query needs more memory than 'query.state.memory.max', and the folder for the rest is full, not writable, \
         or was damaged. The query restores its state from its changelog and tries again; nothing is lost, and other queries continue.",
        "Free space in the folder, or restart the process with another folder or with more memory.",
        Example::None("it requires a disk that fails"),
    ),
    entry(
        INTERNAL,
        "an internal error",
        "Headwater has a bug, or it read data that a newer version of Headwater wrote.",
        "Please report it, together with the statement.",
        Example::None("there should be none"),
    ),
];

const fn entry(
    code: Code,
    title: &'static str,
    when: &'static str,
    remedy: &'static str,
    example: Example,
) -> CodeEntry {
    CodeEntry { code, title, when, remedy, example }
}

const fn run(statement: &'static str) -> Example {
    run_after(&[], statement)
}

const fn run_after(before: &'static [&'static str], statement: &'static str) -> Example {
    Example::Run { before, statement }
}
