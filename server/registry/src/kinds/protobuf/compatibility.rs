//! Whether one Protobuf file can read what was written with another.
//!
//! Separate from linking because it walks two files at once. Pairs of messages wait in a queue, and each is compared
//! once. Messages are found by their names, fields by their numbers; what is not in this table makes no difference:
//!
//! | difference | why it matters |
//! |---|---|
//! | another package, a message that is gone | records may name the message |
//! | a field of another type, except within int32/int64/uint32/uint64/bool/enums, sint32/sint64, string/bytes, fixed32/sfixed32, fixed64/sfixed64 | its bytes mean something else |
//! | a number that is repeated on one side only | several are written as one value, and only the last is read |
//! | a required field that is new or gone | a message without it cannot be read, by either side |
//! | a field that left a oneof | it may be set together with the others |
//! | several fields that were moved into one oneof, or one into a oneof with others | only one of them is read |
//!
//! They are the differences that Confluent's registry reports, with labels as its earlier versions did.

use std::collections::{HashMap, HashSet, VecDeque};

use prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::super::difference::{DIFFERENCES_MAX, Difference};
use super::Protobuf;

pub(crate) fn differences(reader: &Protobuf, writer: &Protobuf) -> Vec<Difference> {
    let mut comparison = Comparison {
        packages: (reader.file.package_name(), writer.file.package_name()),
        queue: VecDeque::new(),
        seen: HashSet::new(),
        found: Vec::new(),
    };
    comparison.files(&reader.file, &writer.file);
    while let Some((reader, writer)) = comparison.queue.pop_front() {
        comparison.messages(&reader, &writer);
    }
    comparison.found
}

struct Comparison<'a> {
    packages: (&'a str, &'a str),
    queue: VecDeque<(MessageDescriptor, MessageDescriptor)>,
    seen: HashSet<(String, String)>,
    found: Vec<Difference>,
}

impl Comparison<'_> {
    fn files(&mut self, reader: &FileDescriptor, writer: &FileDescriptor) {
        let (r, w) = self.packages;
        if r != w {
            self.add("PACKAGE_CHANGED", "#/", format!("The package is '{r}' in the reader and '{w}' in the writer"));
        }
        let messages = by_name(reader.messages());
        writer.messages().for_each(|message| self.find(&messages, &message));
    }

    /// Compares a message of the writer with the one of the same name.
    fn find(&mut self, among: &HashMap<String, MessageDescriptor>, message: &MessageDescriptor) {
        if message.is_map_entry() {
            return;
        }
        match among.get(message.name()) {
            Some(reader) => self.enqueue(reader, message),
            None => {
                let path = self.path(message);
                self.add("MESSAGE_REMOVED", &path, format!("The message at path '{path}' is missing in the reader"));
            }
        }
    }

    fn enqueue(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        if self.seen.insert((reader.full_name().to_owned(), writer.full_name().to_owned())) {
            self.queue.push_back((reader.clone(), writer.clone()));
        }
    }

    fn messages(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let oneofs: HashSet<String> = reader.oneofs().map(|oneof| oneof.name().to_owned()).collect();
        for written in writer.fields() {
            match reader.get_field(written.number()) {
                Some(field) => self.fields(&field, &written, &oneofs),
                None => self.removed(reader, &written, &oneofs),
            }
        }
        let added = reader.fields().filter(|field| writer.get_field(field.number()).is_none());
        for field in added.filter(|field| field.cardinality() == Cardinality::Required) {
            let path = self.field_path(&field);
            let text = format!("The required field '{}' at path '{path}' is missing in the writer", field.name());
            self.add("REQUIRED_FIELD_ADDED", &path, text);
        }
        for oneof in reader.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            self.oneof(&oneof, writer);
        }
        let nested = by_name(reader.child_messages());
        writer.child_messages().for_each(|message| self.find(&nested, &message));
    }

    fn removed(&mut self, reader: &MessageDescriptor, written: &FieldDescriptor, oneofs: &HashSet<String>) {
        let path = format!("{}/{}", self.path(reader), written.number());
        let (name, oneof) = (written.name(), real_oneof(written));
        if written.cardinality() == Cardinality::Required {
            let text = format!("The required field '{name}' at path '{path}' is missing in the reader");
            self.add("REQUIRED_FIELD_REMOVED", &path, text);
        } else if oneof.is_some_and(|oneof| oneofs.contains(oneof.name())) {
            let text = format!("The field '{name}' of a oneof at path '{path}' is missing in the reader");
            self.add("ONEOF_FIELD_REMOVED", &path, text);
        }
    }

    /// Fields may be moved into a oneof if only one of them can be in it.
    fn oneof(&mut self, oneof: &OneofDescriptor, writer: &MessageDescriptor) {
        let former: Vec<_> = oneof.fields().filter_map(|field| writer.get_field(field.number())).collect();
        let moved = former.iter().filter(|field| real_oneof(field).is_none()).count();
        let path = format!("{}/{}", self.path(&oneof.parent_message().clone()), oneof.name());
        if moved > 1 {
            let text = format!("Several fields of the writer are in the oneof at path '{path}' of the reader");
            self.add("MULTIPLE_FIELDS_MOVED_TO_ONEOF", &path, text);
        } else if moved == 1 && former.len() > 1 {
            let text = format!("A field of the writer is in the oneof at path '{path}' of the reader, with others");
            self.add("FIELD_MOVED_TO_EXISTING_ONEOF", &path, text);
        }
    }

    fn fields(&mut self, reader: &FieldDescriptor, writer: &FieldDescriptor, oneofs: &HashSet<String>) {
        let path = self.field_path(reader);
        if let (Some(oneof), None) = (real_oneof(writer), real_oneof(reader))
            && oneofs.contains(oneof.name())
        {
            let text = format!("The field '{}' at path '{path}' is not in its oneof in the reader", reader.name());
            self.add("ONEOF_FIELD_REMOVED", &path, text);
        }
        if reader.is_map() != writer.is_map() {
            return self.kind_changed("FIELD_KIND_CHANGED", &path, reader, writer);
        }
        if let (true, Kind::Message(r), Kind::Message(w)) = (reader.is_map(), reader.kind(), writer.kind()) {
            self.types(&r.map_entry_key_field(), &w.map_entry_key_field(), &path);
            return self.types(&r.map_entry_value_field(), &w.map_entry_value_field(), &path);
        }
        self.types(reader, writer, &path);
        if reader.is_list() != writer.is_list() && is_number(&reader.kind()) && is_number(&writer.kind()) {
            let text = format!("The field '{}' at path '{path}' is repeated on one side only", reader.name());
            self.add("FIELD_NUMERIC_LABEL_CHANGED", &path, text);
        }
    }

    fn types(&mut self, reader: &FieldDescriptor, writer: &FieldDescriptor, path: &str) {
        match (reader.kind(), writer.kind()) {
            (Kind::Message(r), Kind::Message(w)) => {
                if self.local(r.full_name(), self.packages.0) != self.local(w.full_name(), self.packages.1) {
                    self.kind_changed("FIELD_NAMED_TYPE_CHANGED", path, reader, writer);
                } else if reader.is_group() != writer.is_group() {
                    self.kind_changed("FIELD_KIND_CHANGED", path, reader, writer);
                } else {
                    self.enqueue(&r, &w);
                }
            }
            (Kind::Message(_), _) | (_, Kind::Message(_)) => {
                self.kind_changed("FIELD_KIND_CHANGED", path, reader, writer);
            }
            (r, w) if family(&r) != family(&w) => {
                self.kind_changed("FIELD_SCALAR_KIND_CHANGED", path, reader, writer);
            }
            _ => {}
        }
    }

    fn kind_changed(&mut self, kind: &'static str, path: &str, reader: &FieldDescriptor, writer: &FieldDescriptor) {
        let (reads, writes) = (kind_name(&reader.kind()), kind_name(&writer.kind()));
        let text = format!(
            "The type of the field '{}' at path '{path}' is {reads} in the reader and {writes} in the writer",
            reader.name()
        );
        self.add(kind, path, text);
    }

    fn local<'n>(&self, name: &'n str, package: &str) -> &'n str {
        name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
    }

    fn path(&self, message: &MessageDescriptor) -> String {
        let local = [self.packages.0, self.packages.1].iter().fold(message.full_name(), |name, p| self.local(name, p));
        format!("#/{}", local.replace('.', "/"))
    }

    fn field_path(&self, field: &FieldDescriptor) -> String {
        format!("{}/{}", self.path(field.parent_message()), field.number())
    }

    fn add(&mut self, kind: &'static str, path: &str, description: String) {
        if self.found.len() < DIFFERENCES_MAX {
            self.found.push(Difference::new(kind, path, description));
        }
    }
}

fn by_name(messages: impl Iterator<Item = MessageDescriptor>) -> HashMap<String, MessageDescriptor> {
    messages.map(|message| (message.name().to_owned(), message)).collect()
}

/// The oneof that is in the file: `optional` fields of proto3 are in one that is not.
fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

/// Scalars of one family have the same bytes.
fn family(kind: &Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => 0,
        Kind::Sint32 | Kind::Sint64 => 1,
        Kind::String | Kind::Bytes => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Float => 5,
        Kind::Double => 6,
        Kind::Message(_) => 7,
    }
}

fn is_number(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => format!("message {}", message.full_name()),
        Kind::Enum(of) => format!("enum {}", of.full_name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}
