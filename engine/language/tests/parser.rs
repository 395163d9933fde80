//! The parser over a great many statements: ksqlDB's own, generated ones, damaged ones, huge ones.
//!
//! Unit tests beside the code show what each statement means; here it is shown that nothing is
//! refused, printed wrongly or fatal that should not be.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

mod fuzz;

use std::path::{Path, PathBuf};

use fuzz::{Rng, check, check_print, grammar, input};
use headwater_language::diagnostic::{Code, TOO_LARGE, render};
use headwater_language::sql::{parse, parse_expr};

/// Every statement of ksqlDB's functional cases is read, and prints as text that reads the same.
/// Of cases that ksqlDB refuses, statements may be refused here already.
#[test]
#[ignore = "skipped: needs ksqlDB's cases, in ../shared/conformance or the folder that HEADWATER_CONFORMANCE names"]
fn conformance_statements() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = std::env::var_os("HEADWATER_CONFORMANCE").map_or_else(beside, PathBuf::from);
    let (mut read, mut refused) = (0, 0);
    for case in cases(&folder) {
        let may_fail = case.get("expectedException").is_some() || case.get("expectedError").is_some();
        for text in statements(&case) {
            let parsed = parse(&text);
            assert!(parsed.errors.is_empty() || may_fail, "{}", render(&parsed.errors, &text));
            parsed.statements.iter().for_each(check_print);
            read += parsed.statements.len();
            refused += parsed.errors.len();
        }
    }
    println!("{read} statements read and printed, {refused} refused as expected");
    assert!(read > 0);
}

fn cases(folder: &Path) -> Vec<serde_json::Value> {
    let mut cases = Vec::new();
    for kind in ["qtt", "rest"] {
        for file in folder.join(kind).read_dir().into_iter().flatten() {
            let path = file.expect("a folder that can be listed").path();
            let text = std::fs::read_to_string(&path).expect("a file that can be read");
            let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            cases.extend(file["tests"].as_array().into_iter().flatten().cloned());
        }
    }
    cases
}

/// The statements of a case, once for each of its formats.
fn statements(case: &serde_json::Value) -> Vec<String> {
    let texts = |key: &str| -> Vec<String> {
        case[key].as_array().into_iter().flatten().filter_map(|it| Some(it.as_str()?.to_owned())).collect()
    };
    let mut formats = texts("format");
    if formats.is_empty() {
        formats.push(String::new());
    }
    let all = texts("statements");
    formats.iter().flat_map(|format| all.iter().map(move |text| text.replace("{FORMAT}", format))).collect()
}

#[test]
fn generated_statements_are_read_and_print_as_themselves() {
    for seed in 0..20_000 {
        let text = grammar::statement(&mut Rng(seed));
        let parsed = parse(&text);
        assert!(parsed.errors.is_empty(), "seed {seed}\n{}", render(&parsed.errors, &text));
        parsed.statements.iter().for_each(check_print);
    }
}

/// `HEADWATER_FUZZ=N` reads so many texts, and `HEADWATER_FUZZ_SEED=S` others.
#[test]
fn no_text_is_fatal() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let mut rng = Rng(given("HEADWATER_FUZZ_SEED").unwrap_or(42));
    for _ in 0..given("HEADWATER_FUZZ").unwrap_or(50_000) {
        check(&input(&mut rng));
    }
}

/// The code of the one error of a text.
fn code(text: &str) -> Code {
    let errors = parse(text).errors;
    assert_eq!(errors.len(), 1, "{:.200}", text);
    errors[0].code
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = |open: &str, close: &str, n: usize| format!("SELECT {}1{} FROM t", open.repeat(n), close.repeat(n));
    for (open, close) in [
        ("(", ")"),
        ("f(", ")"),
        ("CAST(", " AS INT)"),
        ("CASE WHEN TRUE THEN ", " END"),
        ("ARRAY[", "]"),
        ("MAP(1 := ", ")"),
        ("STRUCT(a := ", ")"),
        ("(SELECT ", ")"),
        ("x => ", ""),
        ("(k, v) => ", ""),
        ("NOT ", ""),
        ("- ", ""),
        ("1 + ", ""),
        ("1 AND ", ""),
        ("EXISTS (SELECT 1 FROM (", "))"),
        ("f(a IN (", "))"),
        ("a[", "]"),
        ("1 IN (", ")"),
    ] {
        assert_eq!(code(&deep(open, close, 10_000)), TOO_LARGE, "{open}");
        // The same without an end, which makes parsers try again and again.
        assert!(!parse(&format!("SELECT {}", open.repeat(90))).errors.is_empty(), "{open}");
    }
    assert!(parse(&deep("(", ")", 90)).errors.is_empty());
    assert_eq!(code(&format!("SELECT * FROM {}t{}", "(".repeat(10_000), ")".repeat(10_000))), TOO_LARGE);
    assert_eq!(code(&"SELECT 1 UNION ".repeat(10_000)), TOO_LARGE);
    assert_eq!(code(&format!("SELECT a{} FROM t", ".b".repeat(10_000))), TOO_LARGE);
    assert!(parse(&"SELECT * FROM ((SELECT * FROM ((".repeat(25)).errors.len() == 1);
}

/// Walks a statement as deep as one may be. This has a thread of its own, since walking needs more stack without
/// optimization than a test has: Headwater's threads have at least as much as this one.
#[test]
fn a_long_chain_is_refused_and_a_long_list_is_not() {
    const STACK_BYTES: usize = 32 << 20;
    let chain = |n: usize| format!("SELECT a{} FROM t", " OR a = 1".repeat(n));
    let accepted = chain(900);
    let walk = move || {
        let statements = parse(&accepted).statements;
        assert_eq!(statements.len(), 1);
        check_print(&statements[0]);
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(walk).expect("a thread");
    thread.join().expect("the statement was walked");
    assert_eq!(code(&chain(5_000)), TOO_LARGE);
    let list = format!("SELECT * FROM t WHERE a IN ({}1)", "1 + 1, ".repeat(100_000));
    assert_eq!(parse(&list).statements.len(), 1);
}

#[test]
fn a_script_of_a_megabyte_is_read() {
    let statement = "INSERT INTO orders (id, name, price) VALUES (1, 'it''s', 2.5 * 3);\n";
    let script = statement.repeat((1 << 20) / statement.len());
    let parsed = parse(&script);
    assert_eq!((parsed.statements.len(), parsed.errors.len()), ((1 << 20) / statement.len(), 0));
    let rows = format!("INSERT INTO orders VALUES {}(1, 2)", "(1, 'a'), ".repeat(100_000));
    assert_eq!(parse(&rows).statements.len(), 1);
    assert_eq!(code(&format!("SELECT '{}'", "x".repeat(9 << 20))), TOO_LARGE);
}

#[test]
fn expressions_are_read_alone() {
    assert!(parse_expr("a + b->c").is_ok());
    assert!(parse_expr("").is_err());
    assert!(parse_expr("a b").is_err());
}
