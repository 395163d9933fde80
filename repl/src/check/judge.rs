//! The judge: when input ends, a stream that a query made holds what the bounded query over the same records gives.
//!
//! It needs no expected answer, so it finds what an accepted one hides. A file that has a reason to differ says
//! `-- not judged: why`.

use headwater_engine::config::Settings;
use headwater_engine::sql::ast::{Query, StatementKind};
use headwater_engine::{Engine, Session, sql};

use super::stage::answer;

/// What a file says that is not judged.
pub(super) const NOT_JUDGED: &str = "-- not judged:";

/// One complaint for each stream that is not what its bounded query gives. Streams that several queries write are
/// left out.
pub(super) async fn judge(engine: &Engine) -> Vec<String> {
    let catalog = match engine.catalog().await {
        Ok(catalog) => catalog,
        Err(errors) => return vec![format!("the judge has no catalog: {errors:?}")],
    };
    let mut complaints = Vec::new();
    for query in catalog
        .queries()
        .filter(|q| q.owns_sink && catalog.queries_of(q.sink()).filter(|o| o.sink() == q.sink()).count() == 1)
    {
        let parsed = sql::parse(&query.statement);
        let statement = parsed.statements.into_iter().next().map(|s| s.kind);
        let (Some(StatementKind::CreateAs(create)), Some(result)) = (statement, query.topology.result()) else {
            continue;
        };
        let bounded = Query { emit: None, partition_by: None, ..create.query };
        let names: Vec<String> = result.columns.iter().map(|c| format!("`{}`", c.name)).collect();
        let names = names.join(", ");
        let wanted = sorted(engine, &format!("SELECT {names} FROM ({bounded}) AS judged;")).await;
        let found = sorted(engine, &format!("SELECT {names} FROM `{}`;", query.sink())).await;
        if wanted != found {
            let (wanted, found) = (wanted.join("\n"), found.join("\n"));
            let fact = format!("\"{}\" is not what its bounded query gives", query.sink());
            complaints.push(format!("{fact}\n  bounded:\n{wanted}\n  continuous:\n{found}"));
        }
    }
    complaints
}

/// The lines of a result in an order of their own.
async fn sorted(engine: &Engine, statement: &str) -> Vec<String> {
    let mut session = Session::new(Settings::default());
    let (Ok(text) | Err(text)) = answer(engine, &mut session, statement).await;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
