//! Connects to a cluster and creates the engine.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use headwater_connectors::schemas::RemoteSchemas;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::{Transport, TransportError};
use headwater_engine::answer::Answer;
use headwater_engine::config::{STATE_MEMORY, Settings};
use headwater_engine::diagnostic::{Diagnostic, render};
use headwater_engine::failure::transport;
use headwater_engine::{Engine, Ran, Session};
use headwater_registry::Registry;
use headwater_repl::app::Connection;
use headwater_repl::ask::{Ask, Serve, SourceName, Vocabulary};
use headwater_repl::options::{Location, Options};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

/// Connects to the brokers at `bootstrap`.
pub fn connect(options: &Options, bootstrap: &str, runtime: &Handle) -> Result<Connection, String> {
    let mut properties = options.kafka.clone();
    properties.insert("bootstrap.servers".to_owned(), bootstrap.to_owned());
    let cluster = KafkaTransport::connect(properties).map_err(|error| describe(&error))?;
    let transport: Arc<dyn Transport> = match &options.registry {
        Some(registry) => {
            let registry = Registry::connect(registry.clone()).map_err(|error| error.to_string())?;
            Arc::new(cluster.with_schemas(Arc::new(RemoteSchemas::new(registry, runtime.clone()))))
        }
        None => Arc::new(cluster),
    };
    let mut settings = Settings::default();
    settings.set("service.id", &options.service_id).map_err(|error| error.to_string())?;
    if let Some(limit) = &options.state_memory {
        // The detail says what it may be.
        settings.set(STATE_MEMORY, limit).map_err(|error| render(&[*error], "").trim_end().to_owned())?;
    }
    let engine = Engine::new(transport.clone(), &settings);
    keep_state(&engine, options)?;
    engine.keep_state_within(&settings, &options.cold_folder());
    let session = Mutex::new(Session::new(settings));
    let ask = EngineAsk { engine, session, runtime: runtime.clone() };
    let engine = Arc::new(ask);
    Ok(Connection { ask: engine.clone(), serve: engine, transport })
}

/// Has the engine keep local snapshots of state in the folder for them, if there is one.
fn keep_state(engine: &Engine, options: &Options) -> Result<(), String> {
    let Some(folder) = &options.state_folder else { return Ok(()) };
    match (engine.keep_state_in(folder), &options.location) {
        (Ok(()), _) => Ok(()),
        (Err(locked), Location::Cluster(_)) => Err(format!(
            "{locked}\n  hint: Choose another folder with --data, or leave it out to run without snapshots."
        )),
        // A second process on the data folder of an embedded broker uses the broker of the first.
        (Err(locked), _) => {
            tracing::info!(%locked, "queries of this process run without snapshots");
            Ok(())
        }
    }
}

fn describe(error: &TransportError) -> String {
    let diagnostic = transport(error);
    match &diagnostic.hint {
        Some(hint) => format!("{}\n  hint: {hint}", diagnostic.message),
        None => diagnostic.message,
    }
}

/// An engine and the session of this shell.
struct EngineAsk {
    engine: Engine,
    session: Mutex<Session>,
    runtime: Handle,
}

#[async_trait]
impl Ask for EngineAsk {
    async fn ask(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>> {
        let mut session = self.session.lock().await;
        self.engine.ask(&mut session, statement).await
    }

    fn vocabulary(&self) -> Vocabulary {
        // Called on the prompt's thread, which may block. Without a cluster, keywords are still completed.
        let words = self.runtime.block_on(async { self.engine.words(&*self.session.lock().await).await });
        Vocabulary {
            keywords: words.keywords,
            sources: words.sources.into_iter().map(|(name, columns)| SourceName { name, columns }).collect(),
            functions: words.functions,
            with_properties: words.with_properties,
            session_properties: words.properties,
            topics: words.topics,
            types: words.types,
            variables: words.variables,
        }
    }

    fn diagnose(&self, failure: DataFusionError) -> Vec<Diagnostic> {
        headwater_engine::failure::diagnose(&failure, None)
    }

    fn render(&self, diagnostics: &[Diagnostic], text: &str) -> String {
        render(diagnostics, text)
    }
}

#[async_trait]
impl Serve for EngineAsk {
    fn check(&self, statement: &str) -> Result<(), Vec<Diagnostic>> {
        headwater_engine::check_for_run(statement)
    }

    async fn apply(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>> {
        let mut session = self.session.lock().await;
        self.engine.apply(&mut session, statement).await
    }

    fn work(&self) {
        self.engine.work();
    }

    fn is_working(&self) -> bool {
        self.engine.is_working()
    }

    async fn until_idle(&self, stopped: Box<dyn Fn() -> bool + Send>) -> Result<Vec<Ran>, Vec<Diagnostic>> {
        self.engine.run_until_idle(stopped).await
    }

    fn failures(&self) -> Vec<Diagnostic> {
        self.engine.failures()
    }

    fn queries(&self) -> usize {
        self.engine.queries()
    }

    fn stop_queries(&self) {
        self.engine.stop_queries();
    }
}
