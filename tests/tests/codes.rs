//! Goal: the page of codes tells the truth. Method: it is made of the table of codes, whose examples are run in the real
//! engine on the memory transport, each where nothing was before it; each must be refused with its code, and what it
//! answers stands on the page. The page that is made is compared with `engine/CODES.md`.
//!
//! `ACCEPT=1 cargo test --release --workspace --test codes` writes the page; read the diff.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::{CODES, CodeEntry, Diagnostic, Example, PRELUDE, render};
use headwater_engine::{Engine, Session};
use headwater_tests::binary::workspace;

/// The chapters, by what their codes begin with.
const CHAPTERS: [(&str, &str); 5] = [
    ("K01", "Names, types, rows"),
    ("K02", "Syntax"),
    ("K03", "Continuous queries, and what is not built"),
    ("K04", "Topics, formats, properties"),
    ("K09", "Faults of Headwater"),
];

const HEAD: &str = "# Codes of errors

This page is made by `ACCEPT=1 cargo test --release --workspace --test codes` from `engine/language/src/diagnostic/table.rs`; do not edit it.
Every statement on it was run, and was refused with the words below it.

A refusal says what is wrong in one line behind its code, shows the piece of the statement that is wrong, and tells what was
found (`detail`) and what can be done (`hint`). Codes are stable: a program may rely on them, its words may change. Before each
statement there is this stream:
";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_codes_is_what_the_engine_says() {
    let mut page = format!("{HEAD}\n```sql\n{PRELUDE}\n```\n");
    let mut told = 0;
    for (begin, chapter) in CHAPTERS {
        let _ = write!(page, "\n## {begin}: {chapter}\n");
        for entry in CODES.iter().filter(|entry| entry.code.0.starts_with(begin)) {
            page += &section(entry).await;
            told += 1;
        }
    }
    assert_eq!(told, CODES.len(), "a code is in no chapter");
    let path = workspace().join("engine/CODES.md");
    if std::env::var_os("ACCEPT").is_some() {
        fs::write(&path, &page).expect("a writable file");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    let differs = stands.lines().zip(page.lines()).find(|(stands, made)| stands != made);
    assert!(stands == page, "engine/CODES.md is not what is made of the table, from {differs:?}; ACCEPT=1 writes it");
}

async fn section(entry: &CodeEntry) -> String {
    let CodeEntry { code, title, when, remedy, example } = entry;
    let mut out = format!("\n### {code}: {title}\n\n{when}\n\n**What to do:** {remedy}\n\n");
    match example {
        Example::None(why) => {
            let _ = writeln!(out, "There is no example: {why}.");
        }
        Example::Run { before, statement } => {
            let _ = write!(out, "```text\n{}", before.iter().map(|text| format!("{text}\n")).collect::<String>());
            let _ = write!(out, "{statement}\n\n{}```\n", refusal(entry, before, statement).await);
        }
    }
    out
}

/// How an example is refused.
async fn refusal(entry: &CodeEntry, before: &[&str], statement: &str) -> String {
    let engine = Engine::driven(Arc::new(MemoryTransport::default()), &Settings::default());
    let mut session = Session::new(Settings::default());
    for text in std::iter::once(&PRELUDE).chain(before) {
        if let Err(errors) = ask(&engine, &mut session, text).await {
            panic!("{}: {text}: {}", entry.code, render(&errors, text));
        }
    }
    let Err(errors) = ask(&engine, &mut session, statement).await else {
        panic!("{}: {statement} is not refused", entry.code);
    };
    let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, [entry.code], "{}", render(&errors, statement));
    render(&errors, statement)
}

/// A statement, and its rows to the last.
async fn ask(engine: &Engine, session: &mut Session, statement: &str) -> Result<(), Vec<Diagnostic>> {
    match engine.ask(session, statement).await? {
        Answer::Rows(rows) => {
            let rows: Result<Vec<_>, _> = rows.stream.try_collect().await;
            rows.map(drop).map_err(|error| headwater_engine::failure::diagnose(&error, None))
        }
        _ => Ok(()),
    }
}
