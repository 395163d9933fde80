//! Members that are not read although their names in upper case are those of fields: a schema says that the fields are other
//! members. Only JSON_SR has schemas.

/// What is not read of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// The names of members of an object that are read only into fields with exactly these names.
    pub(crate) names: Vec<String>,
    /// That of the fields of a STRUCT, or of the items of an ARRAY or the values of a MAP; empty if everything is read.
    pub(crate) within: Vec<Ignored>,
}

impl Ignored {
    /// What is not read within the parts of a value.
    pub(crate) fn within(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        let within = if parts.iter().all(Self::is_empty) { Vec::new() } else { parts };
        Self { names: Vec::new(), within }
    }

    /// True if everything is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.within.is_empty()
    }
}
