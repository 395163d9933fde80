//! CREATE STREAM … AS SELECT and CREATE TABLE … AS SELECT: creates a persistent query and the stream or table that it
//! writes.

use headwater_language::sql::ast;
use headwater_planner::continuous as planner;
use headwater_planner::define::source_kind;
use headwater_planner::schemas::wanted_by_sink;

use super::persist::{persist, warnings};
use super::wording::{capital, exists_already};
use super::{Answered, Context, joined, schema_file, schemas};
use crate::answer::Answer;

/// Creates the query and its stream or table.
pub(crate) async fn run(create: &ast::CreateAs, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    if let (true, Some(existing)) = (create.if_not_exists, catalog.source(&create.name)) {
        // Its query runs here from now on, as if it had just been created.
        context.process.work_on();
        context.process.sync().await?;
        return Ok(exists_already(existing.kind.word(), &existing.name));
    }
    let properties = schema_file::inline(&create.properties).await?;
    let create = &ast::CreateAs { properties, ..create.clone() };
    let found = schemas::fetch(wanted_by_sink(&create.properties), context).await?;
    let planned = planner::create_as(create, context.text, &catalog, context.settings(), &found)?;
    joined::check(&planned.query.topology, create.query.span, context).await?;
    let after = persist(planned, create.or_replace, context).await?;
    let made = after.query_behind(&create.name).map(|query| query.id.clone()).unwrap_or_default();
    let verb = if catalog.query(&made).is_some() { "replaced" } else { "created" };
    let kind = capital(source_kind(create.kind).word());
    let message = format!("{kind} \"{}\" {verb} by query {made}", create.name.value);
    Ok(Answer::Done { message, warnings: warnings(after.query(&made), context).await? })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_language::config::Settings;

    use crate::answer::Answer;
    use crate::{Engine, Session};

    /// What is answered to `replacing`, once a table counts the records of a stream.
    async fn answer_to(replacing: &str) -> String {
        let engine = Engine::driven(Arc::new(MemoryTransport::new()), &Settings::default());
        let mut session = Session::new(Settings::default());
        for statement in [
            "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, FORMAT = 'JSON');",
            "CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY a;",
        ] {
            engine.ask(&mut session, statement).await.expect("a good statement");
        }
        match engine.ask(&mut session, replacing).await {
            Ok(Answer::Done { message, .. }) => message,
            Ok(_) => panic!("{replacing} is done"),
            Err(errors) => errors.iter().map(|error| format!("{error}")).collect(),
        }
    }

    #[tokio::test]
    async fn columns_are_added_to_what_is_aggregated() {
        let statement = "CREATE OR REPLACE TABLE t AS SELECT a, COUNT(*) AS n, COUNT(*) * 2 AS twice FROM s
                         WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY a;";
        let answer = answer_to(statement).await;
        assert!(answer.contains("Table \"T\" replaced by query CTAS_T_"), "{answer}");
    }

    #[tokio::test]
    async fn state_stays_what_it_is() {
        for changed in [
            "a, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) WHERE a > 0 GROUP BY a",
            "a, COUNT(k) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY a",
            "a, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 9 DAYS) GROUP BY a",
            "a, COUNT(*) AS n, COUNT(k) AS m FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY a",
        ] {
            let answer = answer_to(&format!("CREATE OR REPLACE TABLE t AS SELECT {changed};")).await;
            assert!(answer.contains("its query keeps state"), "{changed}: {answer}");
        }
    }
}
