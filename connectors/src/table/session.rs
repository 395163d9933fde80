//! Configures a `SessionContext` to read topics as the engine does.

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::SessionContext;

use super::newest::NewestFirstRule;

/// The optimizer rules for plans over topics, which run after DataFusion's own.
pub fn optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![Arc::new(NewestFirstRule)]
}

/// Adds [`optimizer_rules`] to a context; calling it again has no effect. `ORDER BY "ROWTIME" DESC LIMIT n` and `ORDER
/// BY "ROWOFFSET" DESC LIMIT n` then read topics from their ends and only as far as needed. Results are the same
/// without it, and predicates limit what is read in any context.
///
/// Queries that are already planned are not affected.
pub fn register_optimizer(ctx: &SessionContext) {
    let state = ctx.state_ref();
    let mut state = state.write();
    *state = with_optimizer(SessionStateBuilder::new_from_existing(state.clone())).build();
}

/// Like [`register_optimizer`], for a state that is being built.
#[must_use]
pub fn with_optimizer(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let known = builder.physical_optimizers().get_or_insert_default().rules.clone();
    let added = builder.physical_optimizer_rules().clone().unwrap_or_default();
    let has = |name: &str| known.iter().chain(&added).any(|rule| rule.name() == name);
    let missing: Vec<_> = optimizer_rules().into_iter().filter(|rule| !has(rule.name())).collect();
    missing.into_iter().fold(builder, SessionStateBuilder::with_physical_optimizer_rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(ctx: &SessionContext) -> Vec<String> {
        ctx.state().physical_optimizers().iter().map(|rule| rule.name().to_owned()).collect()
    }

    #[test]
    fn rules_are_added_once_behind_the_others() {
        let ctx = SessionContext::new();
        let mut expected = rules(&ctx);
        expected.push("newest_first".to_owned());
        let session = ctx.session_id();
        register_optimizer(&ctx);
        register_optimizer(&ctx);
        assert_eq!((rules(&ctx), ctx.session_id()), (expected.clone(), session));
        let built = with_optimizer(SessionStateBuilder::new_with_default_features());
        assert_eq!(rules(&SessionContext::new_with_state(with_optimizer(built).build())), expected);
    }
}
