//! The session at its boundary: text in, text out; a stand-in answers statements.
// The helpers of a test may panic like the test itself.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use headwater_engine::answer::{Answer, Facts, Progress, Rows, VariableListing};
use headwater_engine::diagnostic::{Diagnostic, SYNTAX, Span, UNKNOWN_COLUMN};
use headwater_repl::ask::{Ask, Vocabulary};
use headwater_repl::interrupt::{Interrupt, Presser};
use headwater_repl::output::Output;
use headwater_repl::screen::{Manner, Screen};
use headwater_repl::session::{Session, Stop};
use headwater_repl::settings::Settings;
use tokio::runtime::Runtime;

/// Answers by the first word of the statement.
struct StandIn;

#[async_trait]
impl Ask for StandIn {
    async fn ask(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>> {
        match statement.split([' ', ';']).next().unwrap_or_default() {
            "CREATE" => {
                Ok(Answer::Done { message: "Stream \"S\" created.".into(), warnings: vec!["it is odd".into()] })
            }
            "SET" | "DEFINE" => Ok(Answer::Done { message: "Set.".into(), warnings: vec![] }),
            "SHOW" => {
                let listing = VariableListing { name: "ORDERS".into(), value: "orders".into() };
                Ok(Answer::Facts(Facts::Variables(vec![listing])))
            }
            "SELECT" => Ok(rows(vec![Ok(batch(&[("a", 1), ("b", 22)])), Ok(batch(&[("c", 3)]))], 2)),
            "BREAK" => Ok(rows(vec![Ok(batch(&[("a", 1)])), Err(DataFusionError::Execution("disk full".into()))], 0)),
            "FOREVER" => Ok(forever()),
            "PRINT" => {
                Ok(Answer::Lines(Box::pin(futures::stream::iter(["one", "two \u{1b}[0m"].map(|line| Ok(line.into()))))))
            }
            "PANIC" => panic!("a bug"),
            _ => Err(vec![
                Diagnostic::new(UNKNOWN_COLUMN, "second").at(Span { start: 4, end: 5 }),
                Diagnostic::new(SYNTAX, "first").at(Span { start: 0, end: 3 }),
            ]),
        }
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::default()
    }

    fn render(&self, diagnostics: &[Diagnostic], text: &str) -> String {
        let line = |start: usize| text[..start].matches('\n').count() + 1;
        let one = |d: &Diagnostic| match d.span {
            Some(span) => {
                format!("{}: {} at line {}: {}", d.code, d.message, line(span.start), &text[span.start..span.end])
            }
            None => format!("{}: {}", d.code, d.message),
        };
        let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
        sorted.sort_by_key(|d| d.span);
        sorted.into_iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("NAME", DataType::Utf8, true), Field::new("N", DataType::Int64, true)]))
}

fn batch(rows: &[(&str, i64)]) -> RecordBatch {
    let names = StringArray::from_iter_values(rows.iter().map(|(name, _)| *name));
    let numbers = Int64Array::from_iter_values(rows.iter().map(|(_, number)| *number));
    RecordBatch::try_new(schema(), vec![Arc::new(names), Arc::new(numbers)]).unwrap()
}

fn rows(batches: Vec<Result<RecordBatch, DataFusionError>>, rejects: usize) -> Answer {
    let progress = Arc::new(Progress::default());
    for offset in 0..rejects {
        progress.add_reject(headwater_formats::record::Reject {
            origin: headwater_formats::record::TopicPartition::new("t", 0),
            offset: offset as i64,
            side: headwater_formats::record::Side::Value,
            reason: "bad".into(),
        });
    }
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter(batches)));
    Answer::Rows(Rows { stream, progress, notice: None })
}

fn forever() -> Answer {
    let first = futures::stream::iter([Ok(batch(&[("a", 1)]))]);
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema(), first.chain(futures::stream::pending())));
    Answer::Rows(Rows { stream, progress: Arc::default(), notice: None })
}

/// What was written, or a writer that is closed after some bytes.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session and what it writes.
struct Desk {
    session: Session,
    out: Paper,
    errors: Paper,
    presser: Presser,
    _runtime: Runtime,
}

fn desk(output: Output) -> Desk {
    let (out, errors) = (Paper::default(), Paper::default());
    let screen = Screen::new(Box::new(out.clone()), Box::new(errors.clone()), Manner::default());
    desk_with(output, screen, out, errors)
}

fn desk_with(output: Output, screen: Screen, out: Paper, errors: Paper) -> Desk {
    let runtime = Runtime::new().unwrap();
    let (presser, interrupt) = Interrupt::pair();
    let session = Session::new(Arc::new(StandIn), screen, Settings::new(output), interrupt, runtime.handle().clone());
    Desk { session, out, errors, presser, _runtime: runtime }
}

/// Runs a text and compares all output; times are replaced.
fn check(output: Output, text: &str, ends: Result<(), Stop>, out: &str, errors: &str) {
    let mut desk = desk(output);
    assert_eq!(desk.session.run_text(text), ends);
    assert_eq!(timeless(&desk.out.text()), out);
    assert_eq!(timeless(&desk.errors.text()), errors);
}

/// Replaces `in 0.012 s` with `in T`.
fn timeless(text: &str) -> String {
    let mut parts = text.split(" in 0.");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| format!("{text} in T{}", part.split_once(" s").map_or(part, |(_, rest)| rest)))
}

const TABLE: &str = "\
+------+----+
| NAME | N  |
+------+----+
| a    |  1 |
| b    | 22 |
| c    |  3 |
+------+----+
3 rows in T
2 records were rejected; SHOW REJECTS; lists them
";

#[test]
fn rows_as_a_table_with_a_summary() {
    check(Output::Table, "SELECT 1;", Ok(()), TABLE, "");
}

#[test]
fn programs_get_nothing_but_rows() {
    let summary = "3 rows in T\n2 records were rejected; SHOW REJECTS; lists them\n";
    check(Output::Csv, "SELECT 1;", Ok(()), "NAME,N\na,1\nb,22\nc,3\n", summary);
    let json = "{\"NAME\":\"a\",\"N\":1}\n{\"NAME\":\"b\",\"N\":22}\n{\"NAME\":\"c\",\"N\":3}\n";
    check(Output::Json, "SELECT 1;", Ok(()), json, summary);
    check(Output::Json, "CREATE STREAM s;", Ok(()), "", "Stream \"S\" created.\nwarning: it is odd\n");
    check(Output::Json, "SHOW STREAMS;", Ok(()), "{\"Variable Name\":\"ORDERS\",\"Value\":\"orders\"}\n", "");
    check(Output::Json, "PRINT t;", Ok(()), "{\"line\":\"one\"}\n{\"line\":\"two \\u001b[0m\"}\n", "");
    check(Output::Csv, "PRINT t;", Ok(()), "line\none\ntwo \u{1b}[0m\n", "");
}

#[test]
fn lines_for_people_move_no_cursor() {
    check(Output::Table, "PRINT t;", Ok(()), "one\ntwo \\u{1b}[0m\n", "");
}

#[test]
fn a_script_stops_at_the_first_failure_with_lines_of_the_file() {
    check(
        Output::Table,
        "CREATE STREAM s;\n\n-- a remark\n  bad x;\nSELECT 1;",
        Err(Stop::Failed),
        "Stream \"S\" created.\n",
        "warning: it is odd\nK0201: first at line 4: bad\nK0102: second at line 4: x\n",
    );
}

#[test]
fn rows_that_end_early_are_completed_and_explained() {
    check(
        Output::Table,
        "BREAK;",
        Err(Stop::Failed),
        "+------+---+\n| NAME | N |\n+------+---+\n| a    | 1 |\n+------+---+\n",
        "K0901: Execution error: disk full\n",
    );
}

#[test]
fn a_panic_ends_the_statement_and_not_the_session() {
    let mut desk = desk(Output::Table);
    assert_eq!(desk.session.run_text("PANIC;"), Err(Stop::Failed));
    assert!(desk.errors.text().starts_with("K0901: internal error in the statement"));
    assert_eq!(desk.session.run_text("SELECT 1;"), Ok(()));
}

/// Goal: Ctrl-C stops a query that would run forever, and only that query. Method: a thread that presses it once the
/// first row is written.
#[test]
fn ctrl_c_stops_the_query() {
    let mut desk = desk(Output::Json);
    let (paper, presser) = (desk.out.clone(), desk.presser);
    let thread = std::thread::spawn(move || {
        while paper.text().is_empty() {
            std::thread::yield_now();
        }
        presser.press();
    });
    assert_eq!(desk.session.run_text("FOREVER; SELECT 1;"), Err(Stop::Interrupted));
    thread.join().unwrap();
    assert_eq!(desk.out.text(), "{\"NAME\":\"a\",\"N\":1}\n");
    assert_eq!(desk.session.run_text("SELECT 1;"), Ok(()));
}

#[test]
fn a_closed_output_ends_quietly() {
    let errors = Paper::default();
    let screen = Screen::new(Box::new(Closed), Box::new(errors.clone()), Manner::default());
    let mut desk = desk_with(Output::Csv, screen, Paper::default(), errors);
    assert_eq!(desk.session.run_text("SELECT 1;"), Err(Stop::Closed));
    assert_eq!(desk.errors.text(), "");
}

#[test]
fn commands_between_statements() {
    check(Output::Table, "output csv\nSELECT 1;\nexit\nSELECT 1;", Err(Stop::Exit), "NAME,N\na,1\nb,22\nc,3\n", {
        "Output is csv.\n3 rows in T\n2 records were rejected; SHOW REJECTS; lists them\n"
    });
    check(Output::Table, "output xml\n", Err(Stop::Failed), "", {
        "output format \"xml\" does not exist; the formats are table, vertical, csv and json\n"
    });
}

#[test]
fn scripts_run_scripts_but_not_forever() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("inner.sql"), "SHOW x;\nexit\nbad;").unwrap();
    std::fs::write(path("outer.sql"), format!("run script '{}'\nPRINT t;", path("inner.sql"))).unwrap();
    std::fs::write(path("loop.sql"), format!("run script '{}'", path("loop.sql"))).unwrap();
    let mut desk = desk(Output::Json);
    assert_eq!(desk.session.run_file(path("outer.sql").as_ref()), Ok(()));
    assert_eq!(
        desk.out.text(),
        "{\"Variable Name\":\"ORDERS\",\"Value\":\"orders\"}\n{\"line\":\"one\"}\n{\"line\":\"two \\u001b[0m\"}\n"
    );
    assert_eq!(desk.session.run_file(path("loop.sql").as_ref()), Err(Stop::Failed));
    assert!(desk.errors.text().contains("more than 16 levels deep"));
    assert_eq!(desk.session.run_file(path("none.sql").as_ref()), Err(Stop::Failed));
    assert!(desk.errors.text().contains("could not read"));
}

#[test]
fn a_spool_file_copies_what_is_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut desk = desk(Output::Table);
    let text = format!("spool '{}'\nSHOW x;\nspool off\nSHOW x;", file.path().display());
    assert_eq!(desk.session.run_text(&text), Ok(()));
    let spooled = std::fs::read_to_string(file.path()).unwrap();
    assert!(spooled.ends_with("| ORDERS        | orders |\n+---------------+--------+\n"), "{spooled}");
    assert_eq!(spooled.matches("ORDERS").count(), 1);
}

#[test]
fn settings_are_applied_quietly() {
    let mut desk = desk(Output::Table);
    assert_eq!(desk.session.run_quietly("SET 'a' = 'b'; DEFINE x = 'y';"), Ok(()));
    assert_eq!((desk.out.text(), desk.errors.text()), (String::new(), String::new()));
    assert_eq!(desk.session.run_quietly("bad x;"), Err(Stop::Failed));
    assert!(!desk.errors.text().is_empty());
}
