//! What exists: an immutable snapshot of streams, tables, types, functions and persistent queries.
//!
//! A snapshot never changes; [`Catalog::apply`] returns the next one, or the reason why the change is not possible.
//! The process that requests a change and all processes that apply it later run the same function, so that they
//! agree. This module does not know how changes arrive.

mod change;
mod ownership;
mod query;
mod replacement;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use change::{CatalogChange, Refusal};
pub use ownership::{OWN_TOPICS, owner_of};
pub use query::{Ends, QueryDef, Restart, RestartFrom};

use crate::definition::{FunctionDef, SourceDef};
use crate::types::SqlType;

/// All streams, tables, types, functions and persistent queries at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    sources: BTreeMap<String, Arc<SourceDef>>,
    types: BTreeMap<String, SqlType>,
    functions: BTreeMap<String, Arc<FunctionDef>>,
    queries: BTreeMap<String, Arc<QueryDef>>,
    /// Changes applied so far: the number of the next query.
    changes: u64,
}

impl Catalog {
    /// The stream or table of this name; the name is already folded.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceDef>> {
        self.sources.get(name)
    }

    /// All streams and tables by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<SourceDef>> {
        self.sources.values()
    }

    /// The type that this name refers to.
    pub fn custom_type(&self, name: &str) -> Option<&SqlType> {
        self.types.get(name)
    }

    /// All types created by CREATE TYPE, by name.
    pub fn custom_types(&self) -> impl Iterator<Item = (&str, &SqlType)> {
        self.types.iter().map(|(name, ty)| (name.as_str(), ty))
    }

    /// The function of this name, in upper case, that CREATE FUNCTION defined.
    pub fn function(&self, name: &str) -> Option<&Arc<FunctionDef>> {
        self.functions.get(name)
    }

    /// All functions created by CREATE FUNCTION, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<FunctionDef>> {
        self.functions.values()
    }

    /// The persistent query of this name.
    pub fn query(&self, id: &str) -> Option<&Arc<QueryDef>> {
        self.queries.get(id)
    }

    /// All persistent queries by name.
    pub fn queries(&self) -> impl Iterator<Item = &Arc<QueryDef>> {
        self.queries.values()
    }

    /// The query that was created together with this stream or table, by CREATE … AS or CREATE SOURCE TABLE.
    pub fn query_behind(&self, name: &str) -> Option<&Arc<QueryDef>> {
        self.queries.values().find(|q| q.owns_sink && q.computed() == name)
    }

    /// The queries that read or write a stream.
    pub fn queries_of<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a Arc<QueryDef>> {
        self.queries.values().filter(move |q| q.sources().any(|read| read == source) || q.sink() == source)
    }

    /// The snapshot after a change, or why the change is not possible on this one.
    pub fn apply(&self, change: &CatalogChange) -> Result<Self, Refusal> {
        let mut next = self.clone();
        match change {
            CatalogChange::DefineSource { source, replace } => next.define_source(source, *replace)?,
            CatalogChange::DropSource { name } => next.drop_source(name)?,
            CatalogChange::DefineQuery { source, query, replace } => {
                next.define_query(source.as_deref(), query, *replace)?;
            }
            CatalogChange::DropQuery { id } => {
                next.queries.remove(id).ok_or_else(|| Refusal::Unknown(id.clone()))?;
            }
            CatalogChange::PauseQuery { id, paused, from, ends } => {
                next.pause_query(id, *paused, *from, ends.as_ref())?;
            }
            // No user requested this change, so it does not use up a number.
            CatalogChange::BeginQuery { id, restart } => return next.begin_query(id, *restart).map(|()| next),
            CatalogChange::DefineType { name, ty } => next.define_type(name, ty)?,
            CatalogChange::DropType { name } => {
                next.types.remove(name).ok_or_else(|| Refusal::Unknown(name.clone()))?;
            }
            CatalogChange::DefineFunction { function, replace } => next.define_function(function, *replace)?,
            CatalogChange::DropFunction { name } => {
                next.functions.remove(name).ok_or_else(|| Refusal::Unknown(name.clone()))?;
            }
        }
        next.changes += 1;
        Ok(next)
    }

    /// Drops a stream, and the query that was created with it. Fails while other queries use the stream.
    fn drop_source(&mut self, name: &str) -> Result<(), Refusal> {
        let own = self.query_behind(name).map(|q| q.id.clone());
        let holders: Vec<String> =
            self.queries_of(name).map(|q| q.id.clone()).filter(|id| own.as_ref() != Some(id)).collect();
        if !holders.is_empty() {
            return Err(Refusal::InUse(name.to_owned(), holders));
        }
        self.sources.remove(name).ok_or_else(|| Refusal::Unknown(name.to_owned()))?;
        if let Some(own) = own {
            self.queries.remove(&own);
        }
        Ok(())
    }

    fn define_query(&mut self, source: Option<&SourceDef>, query: &QueryDef, replace: bool) -> Result<(), Refusal> {
        if let (true, Some(source)) = (query.topology.is_kept(), source) {
            // The table that it keeps is also what it reads. Such a table replaces nothing.
            self.define_source(source, replace)?;
            return self.add_query(None, query);
        }
        for needed in query.sources().chain(source.is_none().then(|| query.sink())) {
            self.sources.get(needed).ok_or_else(|| Refusal::Unknown(needed.to_owned()))?;
        }
        let standing = source.filter(|_| replace).and_then(|sink| self.query_behind(&sink.name)).cloned();
        if let Some(standing) = &standing {
            let others: Vec<String> = self
                .queries
                .values()
                .filter(|q| q.sink() == standing.sink() && q.id != standing.id)
                .map(|q| q.id.clone())
                .collect();
            if !others.is_empty() {
                return Err(Refusal::InUse(standing.sink().to_owned(), others));
            }
            replacement::check_query(standing, query)?;
        }
        if let Some(source) = source {
            self.define_source(source, replace)?;
        }
        self.add_query(standing.as_ref(), query)
    }

    /// Adds a query, in the place of one that exists if there is one.
    fn add_query(&mut self, standing: Option<&Arc<QueryDef>>, query: &QueryDef) -> Result<(), Refusal> {
        let id = match (standing, query.numbered) {
            (Some(standing), _) => standing.id.clone(),
            (None, true) => format!("{}_{}", query.id, self.changes),
            (None, false) => query.id.clone(),
        };
        if standing.is_none() && self.queries.contains_key(&id) {
            return Err(Refusal::Exists("query".to_owned(), id));
        }
        let mut query =
            QueryDef { id: id.clone(), numbered: false, paused: false, made: self.changes, ..query.clone() };
        if let Some(standing) = standing {
            // It continues at the position of the query that it replaces.
            let QueryDef { paused, made, resumed, began, .. } = **standing;
            let (restart, unique) = (standing.restart.clone(), standing.unique.clone());
            query = QueryDef { paused, made, resumed, restart, began, unique, ..query };
        }
        self.queries.insert(id, Arc::new(query));
        Ok(())
    }

    fn begin_query(&mut self, id: &str, restart: u64) -> Result<(), Refusal> {
        let query = self.queries.get_mut(id).ok_or_else(|| Refusal::Unknown(id.to_owned()))?;
        let query = Arc::make_mut(query);
        query.began = query.began.max(Some(restart));
        Ok(())
    }

    fn pause_query(
        &mut self,
        id: &str,
        paused: bool,
        from: Option<RestartFrom>,
        ends: Option<&Ends>,
    ) -> Result<(), Refusal> {
        let query = self.queries.get_mut(id).ok_or_else(|| Refusal::Unknown(id.to_owned()))?;
        let query = Arc::make_mut(query);
        query.paused = paused;
        query.resumed += u64::from(!paused);
        if let Some(from) = from {
            query.restart = Some(Restart { from, ends: ends.cloned(), number: query.resumed });
        }
        Ok(())
    }

    fn define_source(&mut self, source: &SourceDef, replace: bool) -> Result<(), Refusal> {
        match self.sources.get(&source.name) {
            Some(standing) if !replace => {
                return Err(Refusal::Exists(standing.kind.word().to_owned(), source.name.clone()));
            }
            Some(standing) => replacement::check_source(standing, source)?,
            None => {}
        }
        self.sources.insert(source.name.clone(), Arc::new(source.clone()));
        Ok(())
    }

    fn define_type(&mut self, name: &str, ty: &SqlType) -> Result<(), Refusal> {
        if self.types.contains_key(name) {
            return Err(Refusal::Exists("type".to_owned(), name.to_owned()));
        }
        self.types.insert(name.to_owned(), ty.clone());
        Ok(())
    }

    /// Queries and functions that call it keep the version with which they were created.
    fn define_function(&mut self, function: &FunctionDef, replace: bool) -> Result<(), Refusal> {
        if !replace && self.functions.contains_key(&function.name) {
            return Err(Refusal::Exists("function".to_owned(), function.name.clone()));
        }
        self.functions.insert(function.name.clone(), Arc::new(function.clone()));
        Ok(())
    }
}
