//! Expressions over columns in memory: the rate of each of Headwater's, compared with DataFusion's closest equivalent.
//!
//! No topic and no format is involved. Both sides are compiled once and evaluate the same batch in turns, so that each
//! ratio compares the same moment. If Headwater is slower than half of DataFusion's rate, the table gives the reason.

mod cases;
mod rows;

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use clap::Args;
use datafusion::common::DFSchema;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use headwater_engine::diagnostic::Diagnostic;
use headwater_engine::expression::Compiler;
use headwater_engine::sql::parse_expr;

use cases::{CASES, Case};

/// Minimum share of DataFusion's rate that needs no reason.
const RATIO_MIN: f64 = 0.5;
/// How long each side is measured in each turn.
const TURN: Duration = Duration::from_millis(15);

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Measure only families and expressions that contain this text
    #[arg(long, default_value = "")]
    filter: String,
    /// Number of turns of each side; the median of their ratios is shown
    #[arg(long, default_value_t = 9)]
    turns: usize,
}

/// Runs the measurements and prints a line for each case. Fails when a case is slower than half of DataFusion's rate
/// without a reason.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let batch = rows::batch();
    let wanted = |case: &&Case| [case.family, case.ours].iter().any(|text| text.contains(&arguments.filter));
    let mut missed = Vec::new();
    println!("{} rows per batch, 1 in {} is null", batch.num_rows(), rows::NULL_EVERY);
    println!("{:<12} {:>10} {:>10} {:>6}  expression", "family", "rows/s", "DataFusion", "ratio");
    for case in CASES.iter().filter(wanted) {
        let measured = measure(case, &batch, arguments.turns).map_err(|error| format!("{}: {error}", case.ours))?;
        println!("{}", line(case, &measured));
        if measured.ratio.is_some_and(|ratio| ratio < RATIO_MIN) && case.reason.is_none() {
            missed.push(case.ours);
        }
    }
    match missed.as_slice() {
        [] => Ok(()),
        missed => Err(format!("slower than half of DataFusion's, without a reason: {}", missed.join("; ")).into()),
    }
}

/// The medians of one case.
struct Measured {
    rows_per_second: f64,
    theirs: Option<f64>,
    ratio: Option<f64>,
}

type Evaluate = Box<dyn Fn() -> Result<(), Box<dyn Error>>>;

fn measure(case: &Case, batch: &RecordBatch, turns: usize) -> Result<Measured, Box<dyn Error>> {
    let ours = ours(case.ours, batch)?;
    let theirs = case.theirs.map(|text| theirs(text, batch)).transpose()?;
    let mut rates: Vec<(f64, Option<f64>)> = Vec::new();
    for _ in 0..turns.max(1) {
        let rate = |evaluate: &Evaluate| rate(evaluate, batch.num_rows());
        rates.push((rate(&ours)?, theirs.as_ref().map(rate).transpose()?));
    }
    let ratios = rates.iter().filter_map(|(ours, theirs)| Some(ours / (*theirs)?)).collect();
    Ok(Measured {
        rows_per_second: median(rates.iter().map(|(ours, _)| *ours).collect()).unwrap_or_default(),
        theirs: median(rates.iter().filter_map(|(_, theirs)| *theirs).collect()),
        ratio: median(ratios),
    })
}

/// Rows per second over one turn.
fn rate(evaluate: &Evaluate, rows: usize) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut times = 0;
    while begun.elapsed() < TURN {
        evaluate()?;
        times += 1;
    }
    Ok((times * rows) as f64 / begun.elapsed().as_secs_f64())
}

/// The current time for functions that return it, in ms since the epoch.
const NOW_MS: i64 = 1_700_000_000_000;

/// Headwater's evaluation, as in a continuous query.
fn ours(text: &str, batch: &RecordBatch) -> Result<Evaluate, Box<dyn Error>> {
    let state = headwater_engine::expression::session(&headwater_engine::config::Settings::default());
    let messages = |errors: Vec<Diagnostic>| errors.into_iter().map(|e| e.message).collect::<Vec<_>>().join("; ");
    let compiler = Compiler::new(&state, batch.schema())?;
    let expr = parse_expr(text).map_err(|error| error.message)?;
    let (expression, _) = compiler.compile(&expr, text, None).map_err(messages)?;
    let mut failures = Vec::new();
    expression.evaluate(batch, NOW_MS, &mut failures);
    if let Some(failure) = failures.first() {
        return Err(format!("fails in row {}: {}", failure.row, failure.reason).into());
    }
    let batch = batch.clone();
    Ok(Box::new(move || {
        black_box(expression.evaluate(&batch, NOW_MS, &mut Vec::new()));
        Ok(())
    }))
}

/// DataFusion's evaluation of its expression.
fn theirs(text: &str, batch: &RecordBatch) -> Result<Evaluate, Box<dyn Error>> {
    // The default parser does not support lambdas.
    let config = SessionConfig::new().set_str("datafusion.sql_parser.dialect", "duckdb");
    let state = SessionContext::new_with_config(config).state();
    let schema = DFSchema::try_from(batch.schema().as_ref().clone())?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let expr = ExprSimplifier::new(context).simplify(state.create_logical_expr(text, &schema)?)?;
    let physical: Arc<dyn PhysicalExpr> = state.create_physical_expr(expr, &schema)?;
    physical.evaluate(batch)?.into_array(batch.num_rows())?;
    let batch = batch.clone();
    Ok(Box::new(move || {
        black_box(physical.evaluate(&batch)?.into_array(batch.num_rows())?);
        Ok(())
    }))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn line(case: &Case, measured: &Measured) -> String {
    let million = |rate: f64| format!("{:.2} M", rate / 1e6);
    let theirs = measured.theirs.map_or("-".to_owned(), million);
    let ratio = measured.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let slow = measured.ratio.is_none_or(|ratio| ratio < RATIO_MIN);
    let reason = case.reason.filter(|_| slow).map(|reason| format!("  ({reason})")).unwrap_or_default();
    let ours = million(measured.rows_per_second);
    format!("{:<12} {ours:>10} {theirs:>10} {ratio:>6}  {}{reason}", case.family, case.ours)
}
