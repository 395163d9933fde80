//! Goal: every file of `queries/**/*.test` gives what it says. Method: the statements of a file run one after another in
//! the real engine on the memory transport; what each answers is compared with the text under `----`.
//!
//! `ACCEPT=1 cargo test --release --workspace --test queries` writes what they answer into the files; read the diff.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use futures::{StreamExt, TryStreamExt};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::answer::{Answer, Section};
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::render;
use headwater_engine::{Engine, Session};
use headwater_tests::binary::workspace;

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
        let found = run(&text).await;
        if found == text {
            continue;
        }
        if std::env::var_os("ACCEPT").is_some() {
            fs::write(file, &found).expect("a writable file");
        } else {
            failures.push(format!("{}:\n{}", file.display(), difference(&text, &found)));
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

/// The file with the answers that its statements give now.
async fn run(text: &str) -> String {
    let settings = Settings::default();
    let engine = Engine::new(Arc::new(MemoryTransport::default()), &settings);
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
            let _ = write!(out, "{statement}{RULE}\n{answer}\n");
            statement.clear();
            in_answer = true;
        }
    }
    out + &statement
}

async fn ask(engine: &Engine, session: &mut Session, statement: &str) -> String {
    let answered = match engine.ask(session, statement).await {
        Ok(answer) => shown(answer).await,
        Err(errors) => Err(errors),
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
