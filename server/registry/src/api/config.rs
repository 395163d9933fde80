//! Compatibility levels.

use serde_json::{Value, json};

use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::record::Change;
use crate::wire::{self, LevelBody};

impl Ask<'_> {
    pub(super) fn level(self, subject: Option<&str>) -> Handled {
        let own = self.state.own_level(subject);
        let level =
            own.or_else(|| self.request.query.is("defaultToGlobal").then(|| self.state.own_level(None)).flatten());
        let level = level.ok_or_else(|| Fault::NoLevel(subject.unwrap_or_default().to_owned()))?;
        Outcome::ok(body(level))
    }

    pub(super) fn set_level(self, subject: Option<&str>) -> Handled {
        let name = wire::read::<LevelBody>(&self.request.body)?.compatibility.unwrap_or_default();
        let level = name.parse().map_err(|()| Fault::InvalidLevel(name))?;
        let change = Change::Level { subject: subject.map(str::to_owned), level: Some(level) };
        Outcome::with(vec![change], json!({ "compatibility": level.to_string() }))
    }

    /// The subject has the level of all others again, and all others have the usual one. Confluent's registry says that a
    /// subject without a level of its own is not found, unlike where the level is read.
    pub(super) fn unset_level(self, subject: Option<&str>) -> Handled {
        let level = self.state.own_level(subject);
        let level = level.ok_or_else(|| Fault::SubjectNotFound(subject.unwrap_or_default().to_owned()))?;
        let change = Change::Level { subject: subject.map(str::to_owned), level: None };
        Outcome::with(vec![change], body(level))
    }
}

fn body(level: headwater_registry::Level) -> Value {
    json!({ "compatibilityLevel": level.to_string() })
}
