//! Goal: every file of `queries/**/*.test` gives what it says, however its persistent queries are driven. Method: the
//! statements of a file run one after another in the real engine on the memory transport, and after each one its
//! persistent queries are driven to rest; what each answers is compared with the text under `----`. A file with
//! persistent queries runs in every [`Mode`], and at its end each stream that a query made must hold what the bounded
//! query over the same records gives. A file says `-- not judged: why` where that cannot be.
//!
//! `ACCEPT=1 cargo test --release --workspace --test queries` writes what they answer into the files; read the diff.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use futures::{StreamExt, TryStreamExt};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::answer::{Answer, Section};
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::render;
use headwater_engine::sql;
use headwater_engine::sql::ast::{Query, StatementKind};
use headwater_engine::{Engine, Session};
use headwater_tests::binary::workspace;
use headwater_tests::modes::{Drive, Mode};

/// How long an answer may take before the file is wrong.
const ENDLESS: Duration = Duration::from_secs(30);

/// The line between a statement and what it answers.
const RULE: &str = "----";

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gives_what_it_says() {
    let mut files = Vec::new();
    collect(&workspace().join("queries"), &mut files);
    assert!(!files.is_empty(), "there are no .test files under queries/");
    let mut failures = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a readable file");
        let found = run(&text, Mode::OneBatch, &mut failures).await;
        if found != text && std::env::var_os("ACCEPT").is_some() {
            fs::write(file, &found).expect("a writable file");
        } else if found != text {
            failures.push(format!("{}:\n{}", file.display(), difference(&text, &found)));
        }
        for mode in Mode::ALL.into_iter().skip(1).filter(|_| is_continuous(&text)) {
            let driven = run(&text, mode, &mut failures).await;
            if driven != found {
                failures.push(format!("{} driven as {mode:?}:\n{}", file.display(), difference(&found, &driven)));
            }
        }
    }
    assert!(failures.is_empty(), "{}\nACCEPT=1 accepts the new output", failures.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "test") {
            files.push(path);
        }
    }
}

/// True when a file makes persistent queries.
fn is_continuous(text: &str) -> bool {
    text.contains(" AS SELECT") || text.lines().any(|line| line.starts_with("INSERT INTO") && line.contains(" SELECT "))
}

/// The file with the answers that its statements give now.
async fn run(text: &str, mode: Mode, failures: &mut Vec<String>) -> String {
    let settings = Settings::default();
    let cluster = MemoryTransport::default();
    let engine = Engine::driven(Arc::new(cluster.clone()), &settings);
    let mut drive = Drive::new(&cluster, mode);
    let mut session = Session::new(settings);
    let mut out = String::new();
    let mut statement = String::new();
    let mut in_answer = false;
    for line in text.lines() {
        if in_answer {
            in_answer = !line.is_empty();
            continue;
        }
        statement.push_str(line);
        statement.push('\n');
        if line == RULE {
            statement.truncate(statement.len() - RULE.len() - 1);
            let answer = ask(&engine, &mut session, &statement).await;
            drive.to_rest(&engine).await;
            let _ = write!(out, "{statement}{RULE}\n{answer}\n");
            statement.clear();
            in_answer = true;
        }
    }
    if !text.contains("-- not judged:") {
        judge(&engine, mode, failures).await;
    }
    out + &statement
}

/// When input ends, a stream that a query made equals the bounded query over the same records.
async fn judge(engine: &Engine, mode: Mode, failures: &mut Vec<String>) {
    let catalog = engine.catalog().await.expect("a catalog");
    for query in catalog
        .queries()
        .filter(|q| q.owns_sink && catalog.queries_of(q.sink()).filter(|o| o.sink() == q.sink()).count() == 1)
    {
        let parsed = sql::parse(&query.statement);
        let Some(StatementKind::CreateAs(create)) = parsed.statements.into_iter().next().map(|s| s.kind) else {
            continue;
        };
        let bounded = Query { emit: None, partition_by: None, ..create.query };
        let names: Vec<String> =
            query.topology.result().expect("a result").columns.iter().map(|c| format!("`{}`", c.name)).collect();
        let names = names.join(", ");
        let wanted = sorted(engine, &format!("SELECT {names} FROM ({bounded}) AS judged;")).await;
        let found = sorted(engine, &format!("SELECT {names} FROM `{}`;", query.sink())).await;
        if wanted != found {
            failures.push(format!(
                "{mode:?}: \"{}\" is not what its bounded query gives\n  bounded:\n{}\n  continuous:\n{}",
                query.sink(),
                wanted.join("\n"),
                found.join("\n")
            ));
        }
    }
}

/// The lines of a result in an order of their own.
async fn sorted(engine: &Engine, statement: &str) -> Vec<String> {
    let mut session = Session::new(Settings::default());
    let text = ask(engine, &mut session, statement).await;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

async fn ask(engine: &Engine, session: &mut Session, statement: &str) -> String {
    let answering = async {
        match engine.ask(session, statement).await {
            Ok(answer) => shown(answer).await,
            Err(errors) => Err(errors),
        }
    };
    // A push query without a LIMIT that is reached has no place in a file.
    let Ok(answered) = tokio::time::timeout(ENDLESS, answering).await else {
        return format!("no end after {} s\n", ENDLESS.as_secs());
    };
    let text = answered.unwrap_or_else(|errors| render(&errors, statement));
    // An empty line ends an answer, so an answer has none.
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n") + "\n"
}

async fn shown(answer: Answer) -> Result<String, Vec<headwater_engine::diagnostic::Diagnostic>> {
    Ok(match answer {
        Answer::Done { message, warnings } => {
            let warnings = warnings.iter().map(|w| format!("warning: {w}"));
            std::iter::once(message).chain(warnings).collect::<Vec<_>>().join("\n")
        }
        Answer::Facts(sections) => sections.iter().map(section).collect(),
        Answer::Lines(lines) => lines.try_collect::<Vec<_>>().await?.join("\n"),
        Answer::Rows(mut rows) => {
            let schema = rows.stream.schema();
            let mut batches = vec![arrow::array::RecordBatch::new_empty(schema)];
            while let Some(batch) = rows.stream.next().await {
                batches.push(batch.map_err(|error| headwater_engine::diagnose(&error))?);
            }
            let rejects = rows.progress.snapshot().rejects;
            let table = pretty_format_batches(&batches).expect("printable rows").to_string();
            if rejects == 0 { table } else { format!("{table}\n{rejects} rejected") }
        }
    })
}

fn section(section: &Section) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    section.title.iter().for_each(|title| line(title));
    line(&section.columns.join(" | "));
    section.rows.iter().for_each(|row| line(&row.join(" | ")));
    section.text.iter().for_each(|text| line(text));
    out
}

fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let first = old.iter().zip(&new).position(|(a, b)| a != b).unwrap_or(old.len().min(new.len()));
    let side = |mark: &str, lines: &[&str]| {
        lines.iter().skip(first).take(8).map(|l| format!("  {mark} {l}\n")).collect::<String>()
    };
    format!("  from line {}:\n{}{}", first + 1, side("-", &old), side("+", &new))
}
