//! What exists: an immutable snapshot of streams, tables and types.
//!
//! A snapshot never changes; [`Catalog::apply`] makes the next one or says why it cannot. Whoever
//! asks for a change and whoever applies it later run the same function, so that both agree. How
//! changes arrive is not known here.

mod change;
mod source;
mod type_text;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use change::{CatalogChange, Refusal};
pub use source::{ColumnDef, ColumnRole, EventTimeDef, SideDef, SourceDef, SourceKind, WindowDef};

use crate::types::SqlType;

/// All streams, tables and types at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    sources: BTreeMap<String, Arc<SourceDef>>,
    types: BTreeMap<String, SqlType>,
}

impl Catalog {
    /// The stream or table of this name, as folded.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceDef>> {
        self.sources.get(name)
    }

    /// All streams and tables by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<SourceDef>> {
        self.sources.values()
    }

    /// What the type of this name stands for.
    pub fn custom_type(&self, name: &str) -> Option<&SqlType> {
        self.types.get(name)
    }

    /// All types made by CREATE TYPE, by name.
    pub fn custom_types(&self) -> impl Iterator<Item = (&str, &SqlType)> {
        self.types.iter().map(|(name, ty)| (name.as_str(), ty))
    }

    /// The snapshot after a change, or why the change is not possible on this one.
    pub fn apply(&self, change: &CatalogChange) -> Result<Self, Refusal> {
        let mut next = self.clone();
        match change {
            CatalogChange::DefineSource { source, replace } => next.define_source(source, *replace)?,
            CatalogChange::DropSource { name } => {
                next.sources.remove(name).ok_or_else(|| Refusal::Unknown(name.clone()))?;
            }
            CatalogChange::DefineType { name, ty } => next.define_type(name, ty)?,
            CatalogChange::DropType { name } => {
                next.types.remove(name).ok_or_else(|| Refusal::Unknown(name.clone()))?;
            }
        }
        Ok(next)
    }

    fn define_source(&mut self, source: &SourceDef, replace: bool) -> Result<(), Refusal> {
        match self.sources.get(&source.name) {
            Some(standing) if !replace => {
                return Err(Refusal::Exists(standing.kind.word().to_owned(), source.name.clone()));
            }
            Some(standing) => standing.check_replacement(source)?,
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
}
