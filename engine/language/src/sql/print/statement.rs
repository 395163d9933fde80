//! Prints statements, one function for each kind.

use std::fmt::{self, Display, Formatter};

use super::super::ast::{
    AlterSource, Assert, Assignment, ConnectorKind, Copy, CreateAs, CreateConnector, CreateFunction, CreateSource,
    CreateType, Describe, DropNamed, DropSource, Duration, Explain, ExplainTarget, InsertSelect, InsertValues, Name,
    Print, Property, QueryChoice, Resume, ResumeFrom, Show, SourceKind, Spanned, Statement, StatementKind,
};
use super::{columns, expr, list, name, properties, string, when};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for StatementKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Query(query) => return query.fmt(f),
            Self::Explain(explain) => explained(explain),
            Self::CreateSource(source) => create_source(source),
            Self::CreateAs(create) => create_as(create),
            Self::InsertSelect(insert) => insert_select(insert),
            Self::InsertValues(insert) => format!("INSERT INTO {}", values(insert, "VALUES")),
            Self::DropSource(dropped) => drop_source(dropped),
            Self::AlterSource(alter) => alter_source(alter),
            Self::CreateType(create) => create_type(create),
            Self::DropType(dropped) => drop_named("TYPE", dropped),
            Self::CreateFunction(create) => create_function(create),
            Self::DropFunction(dropped) => drop_named("FUNCTION", dropped),
            Self::Pause(choice) => format!("PAUSE {}", chosen(choice)),
            Self::Resume(resume) => resumed(resume),
            Self::Terminate(choice) => format!("TERMINATE {}", chosen(choice)),
            Self::Show(show) => format!("SHOW {}", shown(show)),
            Self::Describe(describe) => format!("DESCRIBE {}", described(describe)),
            Self::Print(print) => printed(print),
            Self::Set(set) => format!("SET {}", setting(set)),
            Self::Unset(property) => format!("UNSET {}", string(property)),
            Self::AlterSystem(set) => format!("ALTER SYSTEM {}", setting(set)),
            Self::Define(define) => format!("DEFINE {} = {}", name(&define.name), string(&define.value)),
            Self::Undefine(variable) => format!("UNDEFINE {}", name(variable)),
            Self::RunScript(path) => format!("RUN SCRIPT {}", string(path)),
            Self::CreateConnector(create) => create_connector(create),
            Self::DropConnector(dropped) => drop_named("CONNECTOR", dropped),
            Self::Assert(assert) => format!("ASSERT {}", asserted(assert)),
            Self::Copy(copy) => copied(copy),
        };
        f.write_str(&text)
    }
}

fn explained(explain: &Explain) -> String {
    let analyze = when(explain.analyze, "ANALYZE ");
    match &explain.target {
        ExplainTarget::Statement(statement) => format!("EXPLAIN {analyze}{statement}"),
        ExplainTarget::QueryId(id) => format!("EXPLAIN {analyze}{}", name(id)),
    }
}

fn create_source(source: &CreateSource) -> String {
    format!(
        "CREATE {}{}{} {}{}{}{}",
        when(source.or_replace, "OR REPLACE "),
        when(source.read_only, "SOURCE "),
        source.kind,
        when(source.if_not_exists, "IF NOT EXISTS "),
        name(&source.name),
        columns(&source.columns),
        properties(&source.properties),
    )
}

fn create_as(create: &CreateAs) -> String {
    format!(
        "CREATE {}{} {}{}{} AS {}",
        when(create.or_replace, "OR REPLACE "),
        create.kind,
        when(create.if_not_exists, "IF NOT EXISTS "),
        name(&create.name),
        properties(&create.properties),
        create.query,
    )
}

fn insert_select(insert: &InsertSelect) -> String {
    format!("INSERT INTO {}{} {}", name(&insert.target), properties(&insert.properties), insert.query)
}

fn values(insert: &InsertValues, before_rows: &str) -> String {
    let rows = list(&insert.rows, |row| format!("({})", list(&row.value, expr)));
    format!("{}{} {before_rows} {rows}", name(&insert.target), names(&insert.columns))
}

fn names(names: &[Name]) -> String {
    match names {
        [] => String::new(),
        some => format!(" ({})", list(some, |it| name(it))),
    }
}

fn drop_source(dropped: &DropSource) -> String {
    let DropSource { kind, if_exists, name: source, delete_topic } = dropped;
    format!("DROP {kind} {}{}{}", when(*if_exists, "IF EXISTS "), name(source), when(*delete_topic, " DELETE TOPIC"))
}

fn drop_named(what: &str, dropped: &DropNamed) -> String {
    format!("DROP {what} {}{}", when(dropped.if_exists, "IF EXISTS "), name(&dropped.name))
}

fn alter_source(alter: &AlterSource) -> String {
    let added = list(&alter.columns, |column| format!("ADD COLUMN {column}"));
    format!("ALTER {} {} {added}", alter.kind, name(&alter.name))
}

fn create_type(create: &CreateType) -> String {
    format!("CREATE TYPE {}{} AS {}", when(create.if_not_exists, "IF NOT EXISTS "), name(&create.name), create.ty.value,)
}

fn create_function(create: &CreateFunction) -> String {
    format!(
        "CREATE {}FUNCTION {}{}({}) RETURNS {} AS {}",
        when(create.or_replace, "OR REPLACE "),
        when(create.if_not_exists, "IF NOT EXISTS "),
        name(&create.name),
        list(&create.arguments, |(argument, ty)| format!("{} {}", name(argument), ty.value)),
        create.returns.value,
        string(&create.body),
    )
}

fn create_connector(create: &CreateConnector) -> String {
    let with = match create.properties.as_slice() {
        [] => " WITH ()".to_owned(),
        some => properties(some),
    };
    format!(
        "CREATE {} CONNECTOR {}{}{with}",
        connector_kind(create.kind),
        when(create.if_not_exists, "IF NOT EXISTS "),
        name(&create.name),
    )
}

fn connector_kind(kind: ConnectorKind) -> &'static str {
    match kind {
        ConnectorKind::Source => "SOURCE",
        ConnectorKind::Sink => "SINK",
    }
}

fn resumed(resume: &Resume) -> String {
    let from = match resume.from {
        None => "",
        Some(ResumeFrom::Earliest) => " FROM EARLIEST",
        Some(ResumeFrom::Latest) => " FROM LATEST",
    };
    format!("RESUME {}{from}", chosen(&resume.choice))
}

fn chosen(choice: &QueryChoice) -> String {
    match choice {
        QueryChoice::All => "ALL".to_owned(),
        QueryChoice::Id(id) => name(id),
    }
}

fn sources(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "STREAMS",
        SourceKind::Table => "TABLES",
    }
}

fn extended(said: bool) -> &'static str {
    if said { " EXTENDED" } else { "" }
}

fn shown(show: &Show) -> String {
    match show {
        Show::Sources { kind, extended: said } => format!("{}{}", sources(*kind), extended(*said)),
        Show::Queries { extended: said } => format!("QUERIES{}", extended(*said)),
        Show::Topics { all, extended: said } => format!("{}TOPICS{}", when(*all, "ALL "), extended(*said)),
        Show::Functions => "FUNCTIONS".to_owned(),
        Show::Types => "TYPES".to_owned(),
        Show::Variables => "VARIABLES".to_owned(),
        Show::Properties => "PROPERTIES".to_owned(),
        Show::Rejects => "REJECTS".to_owned(),
        Show::Connectors(None) => "CONNECTORS".to_owned(),
        Show::Connectors(Some(kind)) => format!("{} CONNECTORS", connector_kind(*kind)),
        Show::ConnectorPlugins => "CONNECTOR PLUGINS".to_owned(),
    }
}

fn described(describe: &Describe) -> String {
    match describe {
        Describe::Source { name: source, extended: said } => format!("{}{}", name(source), extended(*said)),
        Describe::Sources { kind, extended: said } => format!("{}{}", sources(*kind), extended(*said)),
        Describe::Function(function) => format!("FUNCTION {}", name(function)),
        Describe::Connector(connector) => format!("CONNECTOR {}", name(connector)),
    }
}

fn printed(print: &Print) -> String {
    let count =
        |word: &str, count: Option<Spanned<u64>>| count.map_or(String::new(), |it| format!(" {word} {}", it.value));
    format!(
        "PRINT {}{}{}{}",
        string(&print.topic),
        when(print.from_beginning, " FROM BEGINNING"),
        count("INTERVAL", print.interval),
        count("LIMIT", print.limit),
    )
}

fn setting(set: &Assignment) -> String {
    format!("{} = {}", string(&set.name), string(&set.value))
}

fn asserted(assert: &Assert) -> String {
    match assert {
        Assert::Topic { exists, name: topic, properties, timeout } => {
            format!("{}TOPIC {}{}", when(!exists, "NOT EXISTS "), string(topic), with_timeout(properties, *timeout))
        }
        Assert::Schema { exists, subject, id, timeout } => {
            let subject = subject.as_ref().map_or(String::new(), |it| format!(" SUBJECT {}", string(it)));
            let id = id.as_ref().map_or(String::new(), |it| format!(" ID {}", it.value));
            format!("{}SCHEMA{subject}{id}{}", when(!exists, "NOT EXISTS "), with_timeout(&[], *timeout))
        }
        Assert::Values(rows) => format!("VALUES {}", values(rows, "VALUES")),
        Assert::NullValues(rows) => format!("NULL VALUES {}", values(rows, "KEY")),
        Assert::Source(source) => create_source(source).trim_start_matches("CREATE ").to_owned(),
    }
}

fn with_timeout(with: &[Property], timeout: Option<Duration>) -> String {
    let timeout = timeout.map_or(String::new(), |it| format!(" TIMEOUT {it}"));
    format!("{}{timeout}", properties(with))
}

fn copied(copy: &Copy) -> String {
    format!("COPY ({}) TO {}{}", copy.query, string(&copy.path), properties(&copy.properties))
}
