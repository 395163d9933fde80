//! Whether one Avro schema can read what was written with another, by the rules of Avro's schema resolution.
//!
//! Separate from the model because it walks two of them at once. Pairs of named types wait in a queue, and each is
//! compared once, so types may refer to each other in cycles and in chains of any length.
//!
//! | written | read as |
//! |---|---|
//! | int | int, long, float, double |
//! | long | long, float, double |
//! | float | float, double |
//! | string, bytes | either |
//! | record | a record of the same name whose other fields have defaults |
//! | enum | an enum of the same name that has all symbols or a default |
//! | fixed | a fixed of the same name and size |
//! | union | whatever can read each branch |
//! | anything else than a union | a union with a branch that can read it |
//!
//! A name is the same if its last part is, or if it is an alias of the reader, as in Java's library.

use std::collections::{HashMap, HashSet, VecDeque};

use super::super::difference::{DIFFERENCES_MAX, Difference};
use super::{Avro, Field, Named, Node, Primitive, Shape};

pub(crate) fn differences(reader: &Avro, writer: &Avro) -> Vec<Difference> {
    let mut comparison =
        Comparison { reader, writer, queue: VecDeque::new(), seen: HashSet::new(), steps: 0, found: Vec::new() };
    comparison.nodes(&reader.root, &writer.root, "");
    while let Some((r, w, path)) = comparison.queue.pop_front() {
        if comparison.found.len() >= DIFFERENCES_MAX {
            break;
        }
        comparison.named(&reader.types[r], &writer.types[w], &path);
    }
    comparison.found
}

/// How much is compared before the schemas count as different: types of the same last name may all be pairs, and unions
/// are compared branch by branch.
const STEPS_MAX: usize = 50_000_000;
/// What one pair of types counts, as the path to it is written; a branch that is looked at counts one.
const PAIR_STEPS: usize = 100;

/// How long the path to a type may be, in bytes, before its end is left out.
const PATH_BYTES_MAX: usize = 1_000;

struct Comparison<'a> {
    reader: &'a Avro,
    writer: &'a Avro,
    /// Pairs of named types to compare, and where the reader has them.
    queue: VecDeque<(usize, usize, String)>,
    seen: HashSet<(usize, usize)>,
    steps: usize,
    found: Vec<Difference>,
}

impl Comparison<'_> {
    fn nodes(&mut self, reader: &Node, writer: &Node, path: &str) {
        self.steps += PAIR_STEPS;
        if self.steps > STEPS_MAX {
            return self.too_complex(path);
        }
        match (reader, writer) {
            (_, Node::Union(branches)) => {
                for (i, branch) in branches.iter().enumerate() {
                    self.branch(reader, branch, path, i);
                }
            }
            (Node::Union(branches), _) => match self.reading_branch(branches, writer) {
                Some((i, branch)) => self.nodes(branch, writer, &format!("{path}/{i}")),
                None => self.missing_branch(writer, path),
            },
            (Node::Array(reader, _), Node::Array(writer, _)) => self.nodes(reader, writer, &format!("{path}/items")),
            (Node::Map(reader, _), Node::Map(writer, _)) => self.nodes(reader, writer, &format!("{path}/values")),
            (Node::Named(r), Node::Named(w)) => {
                if self.seen.insert((*r, *w)) {
                    self.queue.push_back((*r, *w, shortened(path)));
                }
            }
            _ if self.matches(reader, writer) != Match::None => {}
            _ => {
                let (reads, writes) = (self.kind(reader, self.reader), self.kind(writer, self.writer));
                let description = format!(
                    "The type (path '{}') of a field in the reader is {reads}, which does not match {writes} in the writer",
                    shown(path)
                );
                self.add("TYPE_MISMATCH", path, description);
            }
        }
    }

    /// A branch of the writer's union.
    fn branch(&mut self, reader: &Node, branch: &Node, path: &str, i: usize) {
        if self.steps > STEPS_MAX {
            return self.too_complex(path);
        }
        let found = match reader {
            Node::Union(branches) => {
                self.reading_branch(branches, branch).map(|(i, node)| (node, format!("{path}/{i}")))
            }
            other => (self.matches(other, branch) != Match::None).then(|| (other, path.to_owned())),
        };
        match found {
            Some((node, path)) => self.nodes(node, branch, &path),
            None => self.missing_branch(branch, &format!("{path}/{i}")),
        }
    }

    fn missing_branch(&mut self, branch: &Node, path: &str) {
        let kind = self.kind(branch, self.writer);
        let description =
            format!("The reader cannot read {kind}, a type in a union of the writer (path '{}')", shown(path));
        self.add("MISSING_UNION_BRANCH", path, description);
    }

    /// The branch that reads what is written: the one that matches best, and of those the first.
    fn reading_branch<'n>(&mut self, branches: &'n [Node], writer: &Node) -> Option<(usize, &'n Node)> {
        self.steps += branches.len();
        let all = branches.iter().enumerate().map(|(i, branch)| (self.matches(branch, writer), i, branch));
        let best =
            all.filter(|(how, ..)| *how != Match::None).reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, i, branch)| (i, branch))
    }

    /// Whether two types match, leaving aside what is in them.
    fn matches(&self, reader: &Node, writer: &Node) -> Match {
        match (reader, writer) {
            (Node::Primitive(r, _), Node::Primitive(w, _)) if r == w => Match::Same,
            (Node::Primitive(r, _), Node::Primitive(w, _)) if is_promoted(*w, *r) => Match::Close,
            (Node::Array(..), Node::Array(..)) | (Node::Map(..), Node::Map(..)) => Match::Same,
            (Node::Named(r), Node::Named(w)) => names(&self.reader.types[*r], &self.writer.types[*w]),
            // A union in a reader is never a branch.
            (Node::Union(_), _) | (_, Node::Union(_)) => Match::Same,
            _ => Match::None,
        }
    }

    fn named(&mut self, reader: &Named, writer: &Named, path: &str) {
        let same_kind = std::mem::discriminant(&reader.shape) == std::mem::discriminant(&writer.shape);
        if same_kind && names(reader, writer) == Match::None {
            let description = format!(
                "The name of the type (path '{}') is {} in the reader and {} in the writer",
                shown(&format!("{path}/name")),
                reader.name,
                writer.name
            );
            return self.add("NAME_MISMATCH", &format!("{path}/name"), description);
        }
        match (&reader.shape, &writer.shape) {
            (Shape::Record { fields: reader, .. }, Shape::Record { fields: writer, .. }) => {
                self.fields(reader, writer, path);
            }
            (Shape::Enum { symbols, default }, Shape::Enum { symbols: written, .. }) => {
                let symbols: HashSet<_> = symbols.iter().collect();
                let missing: Vec<_> = written.iter().filter(|symbol| !symbols.contains(symbol)).cloned().collect();
                if !missing.is_empty() && default.is_none() {
                    let path = format!("{path}/symbols");
                    let list = missing.join(", ");
                    let description =
                        format!("The reader is missing enum symbols '[{list}]' (path '{path}') that are in the writer");
                    self.add("MISSING_ENUM_SYMBOLS", &path, description);
                }
            }
            (Shape::Fixed { size: reader }, Shape::Fixed { size: writer }) => {
                if reader != writer {
                    let path = format!("{path}/size");
                    let description = format!(
                        "The size of the fixed (path '{path}') is {reader} in the reader and {writer} in the writer"
                    );
                    self.add("FIXED_SIZE_MISMATCH", &path, description);
                }
            }
            _ => {
                let (reads, writes) = (shape_name(&reader.shape), shape_name(&writer.shape));
                let description = format!(
                    "The type (path '{}') of a field in the reader is {reads}, which does not match {writes} in the writer",
                    shown(path)
                );
                self.add("TYPE_MISMATCH", path, description);
            }
        }
    }

    fn fields(&mut self, reader: &[Field], writer: &[Field], path: &str) {
        let by_name: HashMap<_, _> = writer.iter().map(|field| (&field.name, field)).collect();
        for (i, field) in reader.iter().enumerate() {
            let path = format!("{path}/fields/{i}");
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let written = names.into_iter().find_map(|name| by_name.get(name));
            match written {
                Some(written) => self.nodes(&field.node, &written.node, &format!("{path}/type")),
                None if field.default.is_none() && !self.has_enum_default(&field.node) => {
                    let name = &field.name;
                    let description = format!(
                        "The field '{name}' at path '{path}' in the reader has no default value and is missing in the writer"
                    );
                    self.add("READER_FIELD_MISSING_DEFAULT_VALUE", &path, description);
                }
                None => {}
            }
        }
    }

    /// Whether a field is an enum with a default, which Java's library takes for one of the field.
    fn has_enum_default(&self, node: &Node) -> bool {
        matches!(node, Node::Named(index)
            if matches!(&self.reader.types[*index].shape, Shape::Enum { default: Some(_), .. }))
    }

    fn kind(&self, node: &Node, of: &Avro) -> String {
        match node {
            Node::Primitive(primitive, _) => primitive.name().to_uppercase(),
            Node::Array(..) => "ARRAY".to_owned(),
            Node::Map(..) => "MAP".to_owned(),
            Node::Union(_) => "UNION".to_owned(),
            Node::Named(index) => {
                let named = &of.types[*index];
                format!("{} {}", shape_name(&named.shape), named.name)
            }
        }
    }

    /// Ends the comparison.
    fn too_complex(&mut self, path: &str) {
        self.queue.clear();
        if self.found.iter().all(|difference| difference.kind != "SCHEMA_TOO_COMPLEX") {
            self.add("SCHEMA_TOO_COMPLEX", path, "The schemas are too complex to be compared".to_owned());
        }
    }

    fn add(&mut self, kind: &'static str, path: &str, description: String) {
        if self.found.len() < DIFFERENCES_MAX {
            self.found.push(Difference::new(kind, shown(path), description));
        }
    }
}

/// How well two types match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    None,
    /// By conversion, or by the last part of the name.
    Close,
    /// By an alias.
    Alias,
    Same,
}

fn names(reader: &Named, writer: &Named) -> Match {
    if std::mem::discriminant(&reader.shape) != std::mem::discriminant(&writer.shape) {
        Match::None
    } else if reader.name == writer.name {
        Match::Same
    } else if reader.aliases.contains(&writer.name) {
        Match::Alias
    } else if reader.name.simple == writer.name.simple {
        Match::Close
    } else {
        Match::None
    }
}

fn is_promoted(from: Primitive, to: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    matches!(
        (from, to),
        (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) | (Bytes, String) | (String, Bytes)
    )
}

fn shape_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Record { .. } => "RECORD",
        Shape::Enum { .. } => "ENUM",
        Shape::Fixed { .. } => "FIXED",
    }
}

/// A path that is kept for each of many pairs. It is ASCII up to where it was shortened.
fn shortened(path: &str) -> String {
    if path.len() <= PATH_BYTES_MAX { path.to_owned() } else { format!("{}/…", &path[..PATH_BYTES_MAX]) }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}
