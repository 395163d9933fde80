//! What a statement says, and where it says it: the syntax tree of the dialect.
//!
//! Statements are ours; queries and expressions are sqlparser's, which DataFusion plans, with the
//! clauses that only streams have kept beside them in [`Query`]. Names are already folded: a
//! [`Name`] holds the very name to look up. Nothing here has a meaning yet: properties are not
//! checked, names are not resolved.
//!
//! Every piece knows its place in the text. Places do not count when trees are compared, so a
//! statement equals what its own printed form parses to. Inside sqlparser's nodes a place is a
//! `sqlparser::tokenizer::Span` whose columns are bytes; [`super::place`] turns it into ours.

mod query;

use std::ops::Deref;

pub use query::{Duration, Emit, Query, TimeUnit, Window, WindowKind, Within};
pub use sqlparser::ast::Expr;

use crate::diagnostic::Span;
use crate::types::SqlType;

/// A value and the piece of text that says it. Compares by value alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spanned<T> {
    /// What was said.
    pub value: T,
    /// Where it was said.
    pub span: Span,
}

/// An identifier, folded: `orders` is `ORDERS`, `` `orders` `` is `orders`.
pub type Name = Spanned<String>;

/// A statement with its place and its words.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// From its first word to its last, without the semicolon.
    pub span: Span,
    /// The text of that span.
    pub text: String,
}

/// What a statement says, by its kind.
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
    /// Every record is a fact.
    Stream,
    /// The last record of a key is what holds.
    Table,
}

/// `CREATE [OR REPLACE] [SOURCE] {STREAM|TABLE} [IF NOT EXISTS] name [(columns)] [WITH (…)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSource {
    /// `OR REPLACE` was said.
    pub or_replace: bool,
    /// `SOURCE` was said: read only.
    pub read_only: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Its columns; empty where they are to be inferred.
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
    /// What it holds; the span is that of the words said, or empty behind the type.
    pub role: Spanned<ColumnRole>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// A part of the value: nothing was said.
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
    /// Its name; upper case unless quoted, and to be compared without regard to case.
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
    /// A number as it was written, with its sign.
    Number(String),
    /// A string.
    String(String),
}

/// `CREATE [OR REPLACE] {STREAM|TABLE} [IF NOT EXISTS] name [WITH (…)] AS SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateAs {
    /// `OR REPLACE` was said.
    pub or_replace: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
    /// What fills it.
    pub query: Query,
}

/// `INSERT INTO target [WITH (…)] SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertSelect {
    /// The stream to write to.
    pub target: Name,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
    /// What is written.
    pub query: Query,
}

/// `INSERT INTO target [(columns)] VALUES (…), …`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertValues {
    /// The stream or table to write to.
    pub target: Name,
    /// The columns given; empty when left out, which means all.
    pub columns: Vec<Name>,
    /// Rows of expressions, each with its parentheses as its span. Their lengths are unchecked.
    pub rows: Vec<Spanned<Vec<Expr>>>,
}

/// `DROP {STREAM|TABLE} [IF EXISTS] name [DELETE TOPIC]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// `IF EXISTS` was said.
    pub if_exists: bool,
    /// Its name.
    pub name: Name,
    /// `DELETE TOPIC` was said.
    pub delete_topic: bool,
}

/// `DROP {TYPE|FUNCTION|CONNECTOR} [IF EXISTS] name`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropNamed {
    /// `IF EXISTS` was said.
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
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// What it stands for.
    pub ty: Spanned<SqlType>,
}

/// `CREATE [OR REPLACE] FUNCTION [IF NOT EXISTS] name(argument type, …) RETURNS type AS 'expression'`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    /// `OR REPLACE` was said.
    pub or_replace: bool,
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Names and types of what it takes.
    pub arguments: Vec<(Name, Spanned<SqlType>)>,
    /// The type of what it gives.
    pub returns: Spanned<SqlType>,
    /// The text of the expression, unparsed. The span includes the quotes.
    pub body: Spanned<String>,
}

/// Which queries to pause, resume or terminate.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryChoice {
    /// `ALL`.
    All,
    /// One by its id.
    Id(Name),
}

/// `RESUME {ALL|id} [FROM {EARLIEST|LATEST}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// Which queries.
    pub choice: QueryChoice,
    /// Where partitions begin whose place in the log is gone.
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
        /// `EXTENDED` was said.
        extended: bool,
    },
    /// `QUERIES [EXTENDED]`.
    Queries {
        /// `EXTENDED` was said.
        extended: bool,
    },
    /// `[ALL] TOPICS [EXTENDED]`.
    Topics {
        /// `ALL` was said: hidden ones too.
        all: bool,
        /// `EXTENDED` was said.
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

/// Which way a connector moves records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// From elsewhere into topics.
    Source,
    /// From topics to elsewhere.
    Sink,
}

/// `DESCRIBE …`.
#[derive(Clone, Debug, PartialEq)]
pub enum Describe {
    /// `name [EXTENDED]`.
    Source {
        /// The stream or table.
        name: Name,
        /// `EXTENDED` was said.
        extended: bool,
    },
    /// `STREAMS [EXTENDED]` or `TABLES [EXTENDED]`.
    Sources {
        /// Streams or tables.
        kind: SourceKind,
        /// `EXTENDED` was said.
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
    /// `ANALYZE` was said: run it and say what happened.
    pub analyze: bool,
    /// What to explain.
    pub target: ExplainTarget,
}

/// What an EXPLAIN is about.
#[derive(Clone, Debug, PartialEq)]
pub enum ExplainTarget {
    /// A statement with a query in it.
    Statement(Box<Statement>),
    /// A running query.
    QueryId(Name),
}

/// `PRINT topic [FROM BEGINNING] [{INTERVAL|SAMPLE} n] [LIMIT n]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Print {
    /// The topic, never folded.
    pub topic: Spanned<String>,
    /// `FROM BEGINNING` was said.
    pub from_beginning: bool,
    /// Show every n-th record; at least 1.
    pub interval: Option<Spanned<u64>>,
    /// Stop after as many records shown.
    pub limit: Option<Spanned<u64>>,
}

/// A name and a value: SET, DEFINE, ALTER SYSTEM.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// What is set.
    pub name: Spanned<String>,
    /// To what.
    pub value: Spanned<String>,
}

/// `CREATE {SOURCE|SINK} CONNECTOR [IF NOT EXISTS] name WITH (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateConnector {
    /// Source or sink.
    pub kind: ConnectorKind,
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub properties: Vec<Property>,
}

/// `ASSERT …`: a fact that must hold.
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
        /// Id in the registry.
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
    /// What is written.
    pub query: Query,
    /// The file.
    pub path: Spanned<String>,
    /// `WITH (…)`; empty when left out.
    pub properties: Vec<Property>,
}

impl<T> Spanned<T> {
    /// A value at a place.
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
