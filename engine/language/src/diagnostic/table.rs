//! What there is to say of every code: the page `engine/CODES.md` is made of it, and its examples are run for it.

use super::Code;
use super::codes::*;

/// What the page says of a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeEntry {
    /// The code.
    pub code: Code,
    /// What it means, as a heading.
    pub title: &'static str,
    /// When it comes, in full sentences.
    pub when: &'static str,
    /// What can be done, in full sentences.
    pub remedy: &'static str,
    /// A statement that is refused with it.
    pub example: Example,
}

/// A statement that is refused with a code.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// One that is run where [`PRELUDE`] stands.
    Run {
        /// Statements that come before it.
        before: &'static [&'static str],
        /// The statement.
        statement: &'static str,
    },
    /// Why there is none.
    None(&'static str),
}

/// What stands before every example.
pub const PRELUDE: &str = "CREATE STREAM orders (id INT KEY, item STRING, qty INT, price DECIMAL(9, 2)) WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";

/// Every code, in order.
pub const CODES: &[CodeEntry] = &[
    entry(
        UNKNOWN_SOURCE,
        "a stream or table that does not exist",
        "A statement names a stream or table that nobody declared, or one that was dropped. A topic is not a stream by itself.",
        "SHOW STREAMS and SHOW TABLES list what there is. CREATE STREAM declares one over a topic. A name in backticks keeps its case; any other is in capitals.",
        run("SELECT * FROM nowhere;"),
    ),
    entry(
        UNKNOWN_COLUMN,
        "a column that does not exist",
        "An expression names a column that no source in FROM has, or a function's expression something that is no argument of it.",
        "DESCRIBE the stream: it lists its columns. A text is written in single quotes.",
        run("SELECT pric FROM orders;"),
    ),
    entry(
        UNKNOWN_TYPE,
        "a type that does not exist",
        "A type is none of the language's and was not made by CREATE TYPE.",
        "SHOW TYPES lists those that were made.",
        run("CREATE TYPE parcel AS STRUCT<home ADRESS>;"),
    ),
    entry(
        AMBIGUOUS_COLUMN,
        "a column that could be of more than one source",
        "Two sources of a join have a column of this name, or two columns of a result would have one name.",
        "Put the source before the column, as in a.item, or give one of two columns another name with AS.",
        run("SELECT item FROM orders AS a JOIN orders AS b ON a.id = b.id;"),
    ),
    entry(
        EXISTS,
        "a name that is taken",
        "Something of that name exists, is built in, or was made by another process a moment earlier; or OR REPLACE would change more than it may.",
        "Take another name, say IF NOT EXISTS or OR REPLACE, or DROP what has the name.",
        run("CREATE STREAM orders (v INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        DUPLICATE_COLUMN,
        "a column declared twice",
        "Two columns, fields or arguments of one declaration have one name, or a result gives one column twice.",
        "Leave one out, or give it another name.",
        run("CREATE STREAM s (id INT, id INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        RESERVED_NAME,
        "a name that cannot be taken",
        "The name belongs to the address columns of every record (ROWTIME, ROWPARTITION, ROWOFFSET), to windows, or to the language; or a parameter of a lambda is called like a column.",
        "Take another name. WITH (TIMESTAMP = 'column') makes a column the time of its records.",
        run("CREATE STREAM s (rowtime BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        COLUMN_ROLE,
        "a column that cannot be what it is declared to be",
        "KEY is for streams and PRIMARY KEY for tables; HEADERS and HEADER('name') have types of their own.",
        "Declare the column as the message says.",
        run("CREATE STREAM s (id INT PRIMARY KEY) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISSING_KEY,
        "a source without the columns it needs",
        "A table has no PRIMARY KEY column, or a declaration no columns where none can be inferred.",
        "Declare them.",
        run("CREATE TABLE t (v INT) WITH (KAFKA_TOPIC = 't', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        INSERT,
        "a row that cannot be written",
        "VALUES has too many or too few values, a value does not become one of its column's type, or the target takes no rows.",
        "Give each column a value of its type; CAST converts. Nothing was written.",
        run("INSERT INTO orders (id, qty) VALUES (1, 'many');"),
    ),
    entry(
        PLAN,
        "an expression or query that has no meaning",
        "An operator or function does not take these types, a condition is no BOOLEAN, or a clause does not go with another.",
        "The caret is under the operator or the function. DESCRIBE FUNCTION tells how one is called; CAST converts.",
        run("SELECT id + TRUE FROM orders;"),
    ),
    entry(
        RUNTIME,
        "a query that failed while it ran",
        "A bounded query met something that has no value: what fails for a row alone is NULL there and ends no query.",
        "The message says what it was; the query can be asked again.",
        run_after(
            &["INSERT INTO orders (id, qty) VALUES (1, 5), (2, 7);"],
            "SELECT * FROM orders WHERE id = (SELECT id FROM orders);",
        ),
    ),
    entry(
        MEMORY,
        "a query that needs more memory than it may have",
        "A bounded query has to keep more than 'query.memory.max' at once. Sorts, joins and groups write to disk before that; one value, such as an array of all rows, cannot.",
        "Raise the limit, or let the query keep fewer rows.",
        Example::None("how much a query keeps is different on every machine, so the message is, too"),
    ),
    entry(
        COPY,
        "a file that cannot be written",
        "COPY cannot make the file, or it ends in no name of a format that COPY writes.",
        "Name a file in a folder that exists and that may be written to. What stood in the file before is still there.",
        run("COPY (SELECT 1 AS one) TO '/no/such/place.csv';"),
    ),
    entry(
        UNKNOWN_FUNCTION,
        "a function that does not exist",
        "A call names no function of the language, and none made by CREATE FUNCTION. Continuous queries know fewer than bounded ones.",
        "SHOW FUNCTIONS lists them.",
        run("SELECT COUNTT(*) FROM orders;"),
    ),
    entry(
        UNKNOWN_QUERY,
        "a persistent query that does not exist",
        "A statement names a query that was never made, or that is terminated.",
        "SHOW QUERIES lists them.",
        run("TERMINATE csas_paid_7;"),
    ),
    entry(
        IN_USE,
        "a stream, table or topic that others need",
        "A stream or table cannot go while a persistent query reads or writes it. DELETE TOPIC is refused while another stream, table or query uses the topic.",
        "TERMINATE the queries first, or leave DELETE TOPIC out.",
        run_after(&["CREATE STREAM dear AS SELECT * FROM orders WHERE price > 10;"], "DROP STREAM orders;"),
    ),
    entry(
        READ_ONLY,
        "a stream or table that may not be changed",
        "It was declared with SOURCE: it only reads a topic that belongs to someone else.",
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
        "a word, number or symbol where another was expected",
        "The text is no statement of the language.",
        "The caret is under the first piece that does not fit; the detail says what could stand there.",
        run("SELECT id FORM orders;"),
    ),
    entry(
        UNCLOSED,
        "a string, quoted name or comment without an end",
        "A quote or a comment opens and never closes.",
        "Close it. A quote in a text is written twice: 'it''s'.",
        run("SELECT 'abc FROM orders;"),
    ),
    entry(
        UNKNOWN_STATEMENT,
        "a statement that begins with no known word",
        "The first word begins no statement.",
        "See `help` in the shell.",
        run("SELCT id FROM orders;"),
    ),
    entry(
        TOO_LARGE,
        "a statement too large or too deep to read",
        "A statement has more bytes, parentheses inside each other or operators in a row than can be read, or a function is made of too many others.",
        "Cut it into several.",
        run(
            "SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))));",
        ),
    ),
    entry(
        LITERAL,
        "a literal that is no value",
        "A number is out of the range of BIGINT, a DECIMAL has too many digits, a text compared with a time is no time, or the constant pattern of a REGEXP function is none.",
        "With an exponent a number is a DOUBLE, with a point a DECIMAL.",
        run("SELECT 9223372036854775808;"),
    ),
    entry(
        BAD_TYPE,
        "a type that does not exist in this form",
        "A type has too few or wrong parameters.",
        "Write it as the hint says.",
        run("CREATE STREAM s (price DECIMAL) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISPLACED,
        "a clause where it cannot stand",
        "EMIT, WINDOW, PARTITION BY and WITHIN belong to the outermost SELECT; some commands belong to the shell.",
        "Move it, or leave it out.",
        run("SELECT * FROM (SELECT * FROM orders EMIT CHANGES);"),
    ),
    entry(
        UNDEFINED_VARIABLE,
        "a variable without a value",
        "The text has ${name}, and nothing of that name is defined in this session.",
        "DEFINE it first. $${name} stands for the text itself.",
        run("SELECT * FROM ${source};"),
    ),
    entry(
        NOT_SUPPORTED,
        "a statement or clause that is not built yet",
        "What is asked for belongs to the language, and Headwater cannot do it yet. Nothing happened.",
        "The hint names another way where there is one.",
        run("SHOW CONNECTORS;"),
    ),
    entry(
        STREAMING,
        "a query that cannot be continuous as it is",
        "A query that goes on for ever has no order, no end and no subqueries; what it writes has to fit its target.",
        "Do as the message says, or leave EMIT CHANGES out: then the query reads what is in the topics now, and all of SQL is allowed.",
        run("SELECT * FROM orders EMIT FINAL;"),
    ),
    entry(
        PROJECTION_KEY,
        "a key that SELECT leaves out or has twice",
        "What is written to a topic has its key among its columns, each part once.",
        "Select it. AS_VALUE(key) copies a key into the value; PARTITION BY makes another key.",
        run("CREATE STREAM s AS SELECT item FROM orders;"),
    ),
    entry(
        TRANSPORT,
        "the cluster could not do what was asked",
        "A broker cannot be reached, refuses what is asked, or does not answer in time.",
        "See to the cluster, its address and the rights of the user; then ask again.",
        Example::None("it takes a cluster that is broken"),
    ),
    entry(
        UNKNOWN_TOPIC,
        "a topic that does not exist",
        "A statement names a topic that the cluster does not have.",
        "SHOW TOPICS lists them; their names have a case. PARTITIONS in WITH makes one.",
        run("PRINT nothing;"),
    ),
    entry(
        TOPIC_MISMATCH,
        "a topic that exists otherwise than declared",
        "WITH says another number of partitions or replicas than the topic has.",
        "Leave PARTITIONS and REPLICAS out where the topic exists.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 9, VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        UNKNOWN_PROPERTY,
        "a property that does not exist",
        "SET or a WITH clause names no property.",
        "SHOW PROPERTIES lists those of SET.",
        run("SET 'auto.ofset.reset' = 'earliest';"),
    ),
    entry(
        DUPLICATE_PROPERTY,
        "a property given twice",
        "A WITH clause says one property twice.",
        "Leave one out.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 'a', KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        PROPERTY_CONFLICT,
        "properties that do not go together",
        "Two properties of a WITH clause say one thing in two ways, or one needs another.",
        "Leave one out, or add what is missing.",
        run(
            "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, FORMAT = 'JSON', VALUE_FORMAT = 'JSON');",
        ),
    ),
    entry(
        PROPERTY_VALUE,
        "a property with a value it does not take",
        "A value has the wrong kind, or is none of those that the property knows.",
        "Give it one that the detail names.",
        run("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 'many', VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        MISSING_PROPERTY,
        "a property that is missing",
        "A WITH clause does not say what has no default.",
        "Add it.",
        run("CREATE STREAM s (v INT) WITH (VALUE_FORMAT = 'JSON');"),
    ),
    entry(
        FORMAT,
        "a format that cannot do what it shall",
        "Some formats hold one column, some only some types; a key or value cannot be written in it.",
        "Take another format, or other columns.",
        run("CREATE STREAM s (a INT, b INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'KAFKA');"),
    ),
    entry(
        TIMESTAMP_COLUMN,
        "a column that cannot be the event time",
        "WITH (TIMESTAMP = …) names a column that is no BIGINT or TIMESTAMP, and no STRING with a TIMESTAMP_FORMAT.",
        "Name another column, or say its format.",
        run("CREATE STREAM s (item STRING) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'item');"),
    ),
    entry(
        LOST,
        "records, or a place in a log, that are gone",
        "Records were deleted before a query read them (by retention or an operator), or their topic was truncated or deleted and \
         created again, so that a query cannot go on where it was.",
        "A bounded query answers from what is left with SET 'query.lost.records' = 'note'. A persistent one goes on with RESUME q \
         FROM EARLIEST or FROM LATEST, which read what is there from its beginning or from its end.",
        Example::None("it takes a topic that loses records"),
    ),
    entry(
        COMMAND_TOPIC,
        "a command topic that is damaged",
        "Definitions live in the command topic of the service id. It was deleted, created again, or lost its first or last commands, so processes would not agree on what exists. Queries that run go on; nothing is started or changed.",
        "Restart the process to take the topic as it is now, or stop all processes, delete the topic, and define everything again. Keep retention.ms and retention.bytes of the topic at -1.",
        Example::None("it takes a topic that is damaged while it is read"),
    ),
    entry(
        NEWER_COMMAND,
        "a command topic that a newer version has written to",
        "A newer version of Headwater works under the same service id and wrote a command that this one does not understand. Queries that run go on; nothing is started or changed.",
        "Upgrade this process.",
        Example::None("it takes a version that does not exist yet"),
    ),
    entry(
        OWNED_TOPIC,
        "a topic that belongs to Headwater or Kafka",
        "Topics whose names begin with _headwater- hold the state of Headwater, those with __ that of Kafka. A record that anybody else writes there, or a topic that is deleted, destroys it.",
        "Take another topic. CREATE SOURCE STREAM declares a stream that only reads.",
        run("CREATE STREAM s (v STRING) WITH (KAFKA_TOPIC = '__consumer_offsets', VALUE_FORMAT = 'KAFKA');"),
    ),
    entry(
        INTERNAL,
        "a fault of ours",
        "Something happened in Headwater that must not happen, or a newer Headwater wrote what this one reads.",
        "Please report it with the statement.",
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
