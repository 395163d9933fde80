//! The syntax tree of the dialect, with the position of every part.
//!
//! Statements are our own types. Queries and expressions are sqlparser's, which DataFusion plans; clauses that only
//! exist for streams are kept beside them in [`Query`]. Names are already folded: a [`Name`] holds exactly the name
//! to look up. Nothing has been checked yet: neither properties nor names are resolved.
//!
//! Every part knows its position in the text. Comparisons of trees ignore positions, so a statement is equal to the
//! one parsed from its printed form. Inside sqlparser's nodes, a position is a `sqlparser::tokenizer::Span` whose
//! columns are bytes; [`super::place`] converts it to our own [`Span`].

mod query;

use std::ops::Deref;

pub use query::{Duration, Emit, Query, TimeUnit, Window, WindowKind, Within};
pub use sqlparser::ast::Expr;

use crate::diagnostic::Span;
use crate::types::SqlType;

/// A value and its position in the text. Comparisons ignore the position.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its position in the text.
    pub span: Span,
}

/// An identifier, folded: `orders` is `ORDERS`, `` `orders` `` is `orders`.
pub type Name = Spanned<String>;

/// A statement with its position and its text.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The parsed statement.
    pub kind: StatementKind,
    /// From its first word to its last, without the semicolon.
    pub span: Span,
    /// The text of that span.
    pub text: String,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `SELECT …`, bounded or with EMIT.
    Query(Query),
    /// `EXPLAIN [ANALYZE] …`.
    Explain(Explain),
    /// `CREATE STREAM|TABLE … (columns) WITH (…)`.
    CreateSource(CreateSource),
    /// `CREATE STREAM|TABLE … AS SELECT …`.
    CreateAs(CreateAs),
    /// `INSERT INTO … SELECT …`.
    InsertSelect(InsertSelect),
    /// `INSERT INTO … VALUES …`.
    InsertValues(InsertValues),
    /// `DROP STREAM|TABLE …`.
    DropSource(DropSource),
    /// `ALTER STREAM|TABLE … ADD COLUMN …`.
    AlterSource(AlterSource),
    /// `CREATE TYPE … AS …`.
    CreateType(CreateType),
    /// `DROP TYPE …`.
    DropType(DropNamed),
    /// `CREATE FUNCTION …`.
    CreateFunction(CreateFunction),
    /// `DROP FUNCTION …`.
    DropFunction(DropNamed),
    /// `PAUSE …`.
    Pause(QueryChoice),
    /// `RESUME …`.
    Resume(Resume),
    /// `TERMINATE …`.
    Terminate(QueryChoice),
    /// `SHOW …` or `LIST …`.
    Show(Show),
    /// `DESCRIBE …`.
    Describe(Describe),
    /// `PRINT topic …`.
    Print(Print),
    /// `SET 'property' = 'value'`.
    Set(Assignment),
    /// `UNSET 'property'`.
    Unset(Spanned<String>),
    /// `ALTER SYSTEM 'property' = 'value'`.
    AlterSystem(Assignment),
    /// `DEFINE name = 'value'`; the name is folded.
    Define(Assignment),
    /// `UNDEFINE name`.
    Undefine(Name),
    /// `RUN SCRIPT 'file'`.
    RunScript(Spanned<String>),
    /// `CREATE SOURCE|SINK CONNECTOR …`.
    CreateConnector(CreateConnector),
    /// `DROP CONNECTOR …`.
    DropConnector(DropNamed),
    /// `ASSERT …`.
    Assert(Assert),
    /// `COPY (SELECT …) TO 'file'`.
    Copy(Copy),
}

/// Stream or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Each record is an independent event.
    Stream,
    /// The last record of each key is its current value.
    Table,
}

/// `CREATE [OR REPLACE] [SOURCE] {STREAM|TABLE} [IF NOT EXISTS] name [(columns)] [WITH (…)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSource {
    /// Whether `OR REPLACE` is present.
    pub or_replace: bool,
    /// Whether `SOURCE` is present: the stream or table is read-only.
    pub read_only: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether `IF NOT EXISTS` is present.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Its columns; empty if they are to be inferred.
    pub columns: Vec<ColumnDef>,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
}

/// A column of a definition: `name type [KEY | PRIMARY KEY | HEADERS | HEADER('k')]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    /// Its name.
    pub name: Name,
    /// Its type, custom types unresolved.
    pub ty: Spanned<SqlType>,
    /// Its role; the span is that of the keywords, or empty and after the type.
    pub role: Spanned<ColumnRole>,
}

/// The role of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// A part of the value, which is the default.
    Value,
    /// `KEY`.
    Key,
    /// `PRIMARY KEY`.
    PrimaryKey,
    /// `HEADERS`: all headers.
    Headers,
    /// `HEADER('name')`: the last header of that name.
    Header(String),
}

/// One `NAME = literal` of a WITH clause, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name, in upper case unless quoted; names of properties are not case-sensitive.
    pub name: Name,
    /// Its value.
    pub value: Spanned<Literal>,
}

/// A literal of a WITH clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `NULL`.
    Null,
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// A number as written, with its sign.
    Number(String),
    /// A string.
    String(String),
}

/// `CREATE [OR REPLACE] {STREAM|TABLE} [IF NOT EXISTS] name [WITH (…)] AS SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateAs {
    /// Whether `OR REPLACE` is present.
    pub or_replace: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether `IF NOT EXISTS` is present.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
    /// The query that fills it.
    pub query: Query,
}

/// `INSERT INTO target [WITH (…)] SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertSelect {
    /// The stream to write to.
    pub target: Name,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
    /// The query whose rows are written.
    pub query: Query,
}

/// `INSERT INTO target [(columns)] VALUES (…), …`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertValues {
    /// The stream or table to write to.
    pub target: Name,
    /// The column list; if it is empty, all columns are meant.
    pub columns: Vec<Name>,
    /// Rows of expressions; the span of a row includes its parentheses. Their lengths are unchecked.
    pub rows: Vec<Spanned<Vec<Expr>>>,
}

/// `DROP {STREAM|TABLE} [IF EXISTS] name [DELETE TOPIC]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether `IF EXISTS` is present.
    pub if_exists: bool,
    /// Its name.
    pub name: Name,
    /// Whether `DELETE TOPIC` is present.
    pub delete_topic: bool,
}

/// `DROP {TYPE|FUNCTION|CONNECTOR} [IF EXISTS] name`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropNamed {
    /// Whether `IF EXISTS` is present.
    pub if_exists: bool,
    /// Its name.
    pub name: Name,
}

/// `ALTER {STREAM|TABLE} name ADD [COLUMN] column, …`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: Name,
    /// The columns to add.
    pub columns: Vec<ColumnDef>,
}

/// `CREATE TYPE [IF NOT EXISTS] name AS type`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateType {
    /// Whether `IF NOT EXISTS` is present.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// The type that the name refers to.
    pub ty: Spanned<SqlType>,
}

/// `CREATE [OR REPLACE] FUNCTION [IF NOT EXISTS] name(argument type, …) RETURNS type AS 'expression'`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    /// Whether `OR REPLACE` is present.
    pub or_replace: bool,
    /// Whether `IF NOT EXISTS` is present.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Names and types of its arguments.
    pub arguments: Vec<(Name, Spanned<SqlType>)>,
    /// Its return type.
    pub returns: Spanned<SqlType>,
    /// The text of the expression, unparsed. The span includes the quotes.
    pub body: Spanned<String>,
}

/// Which queries to pause, resume or terminate.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryChoice {
    /// `ALL`.
    All,
    /// A query by its id.
    Id(Name),
}

/// `RESUME {ALL|id} [FROM {EARLIEST|LATEST}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// Which queries.
    pub choice: QueryChoice,
    /// Where partitions continue whose position in the log was lost.
    pub from: Option<ResumeFrom>,
}

/// An end of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeFrom {
    /// `EARLIEST`.
    Earliest,
    /// `LATEST`.
    Latest,
}

/// `{SHOW|LIST} …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// `STREAMS [EXTENDED]` or `TABLES [EXTENDED]`.
    Sources {
        /// Streams or tables.
        kind: SourceKind,
        /// Whether `EXTENDED` is present.
        extended: bool,
    },
    /// `QUERIES [EXTENDED]`.
    Queries {
        /// Whether `EXTENDED` is present.
        extended: bool,
    },
    /// `[ALL] TOPICS [EXTENDED]`.
    Topics {
        /// Whether `ALL` is present, which includes hidden topics.
        all: bool,
        /// Whether `EXTENDED` is present.
        extended: bool,
    },
    /// `FUNCTIONS`.
    Functions,
    /// `TYPES`.
    Types,
    /// `VARIABLES`.
    Variables,
    /// `PROPERTIES`.
    Properties,
    /// `REJECTS`: records that could not be read.
    Rejects,
    /// `[SOURCE|SINK] CONNECTORS`.
    Connectors(Option<ConnectorKind>),
    /// `CONNECTOR PLUGINS`.
    ConnectorPlugins,
}

/// The direction of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// From an external system to topics.
    Source,
    /// From topics to an external system.
    Sink,
}

/// `DESCRIBE …`.
#[derive(Clone, Debug, PartialEq)]
pub enum Describe {
    /// `name [EXTENDED]`.
    Source {
        /// The stream or table.
        name: Name,
        /// Whether `EXTENDED` is present.
        extended: bool,
    },
    /// `STREAMS [EXTENDED]` or `TABLES [EXTENDED]`.
    Sources {
        /// Streams or tables.
        kind: SourceKind,
        /// Whether `EXTENDED` is present.
        extended: bool,
    },
    /// `FUNCTION name`.
    Function(Name),
    /// `CONNECTOR name`.
    Connector(Name),
}

/// `EXPLAIN [ANALYZE] {statement|query id}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Whether `ANALYZE` is present: run the query and show statistics.
    pub analyze: bool,
    /// What to explain.
    pub target: ExplainTarget,
}

/// The subject of an EXPLAIN.
#[derive(Clone, Debug, PartialEq)]
pub enum ExplainTarget {
    /// A statement that contains a query.
    Statement(Box<Statement>),
    /// A running query.
    QueryId(Name),
}

/// `PRINT topic [FROM BEGINNING] [{INTERVAL|SAMPLE} n] [LIMIT n]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Print {
    /// The topic, never folded.
    pub topic: Spanned<String>,
    /// Whether `FROM BEGINNING` is present.
    pub from_beginning: bool,
    /// Prints every n-th record; at least 1.
    pub interval: Option<Spanned<u64>>,
    /// Stops after printing this many records.
    pub limit: Option<Spanned<u64>>,
}

/// A name and a value: SET, DEFINE, ALTER SYSTEM.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The name.
    pub name: Spanned<String>,
    /// The value.
    pub value: Spanned<String>,
}

/// `CREATE {SOURCE|SINK} CONNECTOR [IF NOT EXISTS] name WITH (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateConnector {
    /// Source or sink.
    pub kind: ConnectorKind,
    /// Whether `IF NOT EXISTS` is present.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub properties: Vec<Property>,
}

/// `ASSERT …`: a condition that must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Assert {
    /// `[NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT n unit]`.
    Topic {
        /// False after `NOT EXISTS`.
        exists: bool,
        /// The topic, never folded.
        name: Spanned<String>,
        /// `WITH (…)`; empty when left out.
        properties: Vec<Property>,
        /// How long to wait for it.
        timeout: Option<Duration>,
    },
    /// `[NOT EXISTS] SCHEMA [SUBJECT s] [ID n] [TIMEOUT n unit]`.
    Schema {
        /// False after `NOT EXISTS`.
        exists: bool,
        /// The subject, never folded.
        subject: Option<Spanned<String>>,
        /// The id in the registry.
        id: Option<Spanned<u64>>,
        /// How long to wait for it.
        timeout: Option<Duration>,
    },
    /// `VALUES source [(columns)] VALUES (…), …`.
    Values(InsertValues),
    /// `NULL VALUES source [(columns)] KEY (…)`: a tombstone.
    NullValues(InsertValues),
    /// `{STREAM|TABLE} name [(columns)] WITH (…)`.
    Source(CreateSource),
}

/// `COPY (SELECT …) TO 'file' [WITH (…)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// The query whose rows are written.
    pub query: Query,
    /// The path of the file.
    pub path: Spanned<String>,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
}

impl<T> Spanned<T> {
    /// A value with its position.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}
