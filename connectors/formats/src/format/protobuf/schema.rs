//! The messages of a registered schema: a `.proto` file with its imports, compiled to descriptors and from these to
//! [`Message`]s. Files that every Protobuf library has need no registration: those of `google/protobuf`, `google/type`
//! and `confluent`.
//!
//! Compiling is the work of `protox`, a compiler in Rust without `protoc`; here is only what a decoder needs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, MapKey, MessageDescriptor,
    ReflectMessage, Syntax, Value,
};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::message::{DefaultValue, Enum, Field, Group, Kind, Label, Message, Primitive, Union, Written};
use crate::format::inferred::SCHEMA_BYTES_MAX;
use crate::protobuf_files;
use crate::schema::{Schema, SchemaKind};

/// The name of the schema itself among its imports.
const ROOT: &str = "headwater-schema.proto";
/// How deep messages may be within each other as fields.
const MESSAGES_DEEP: usize = 64;
/// How many messages an error lists.
const NAMES_LISTED_MAX: usize = 20;

/// A compiled schema.
pub(super) struct Compiled {
    file: FileDescriptor,
}

impl Compiled {
    /// Compiles a schema with everything that it refers to. The error is for users.
    pub(super) fn new(schema: &Schema) -> Result<Self, String> {
        let mut files = HashMap::new();
        collect(ROOT, schema, &mut files)?;
        let mut resolver = ChainFileResolver::new();
        resolver.add(Registered(files));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(ROOT).map_err(|error| format!("the schema is not valid Protobuf: {error}"))?;
        let file = compiler.descriptor_pool().get_file_by_name(ROOT).ok_or("the schema was not compiled")?;
        Ok(Self { file })
    }

    /// The message with this index among those of the file, the index of one within it, and so on. The entries of maps
    /// do not count.
    pub(super) fn message_at(&self, path: &[u32]) -> Result<Arc<Message>, String> {
        self.descriptor_at(path).map(|message| Builder::default().message(&message))
    }

    fn descriptor_at(&self, path: &[u32]) -> Result<MessageDescriptor, String> {
        let none = || format!("the schema has no message with the indexes {path:?}");
        let (first, rest) = path.split_first().ok_or_else(none)?;
        let mut message = self.file.messages().nth(*first as usize).ok_or_else(none)?;
        for index in rest {
            let child = message.child_messages().filter(|child| !child.is_map_entry()).nth(*index as usize);
            // Confluent's serializer for Python counts them, which shows where it makes the index too large.
            let counted = || message.child_messages().nth(*index as usize).filter(|child| !child.is_map_entry());
            message = child.or_else(counted).ok_or_else(none)?;
        }
        Ok(message)
    }

    /// The messages that payloads may be, too: those beside the first one of the file that are in no message as a field.
    pub(super) fn others(&self) -> impl Iterator<Item = String> {
        let used: HashSet<String> = self.file.messages().flat_map(|message| used_by(&message)).collect();
        let names = self.file.messages().skip(1).map(|message| message.full_name().to_owned());
        names.filter(move |name| !used.contains(name))
    }

    /// The message with this full name, or else the first one of the file, with its indexes. The error lists the
    /// messages that there are.
    pub(super) fn named(&self, full_name: Option<&str>) -> Result<(Vec<u32>, Arc<Message>), String> {
        let mut names = Vec::new();
        let mut level: Vec<_> = self.file.messages().zip(0..).map(|(message, index)| (vec![index], message)).collect();
        while !level.is_empty() {
            for (path, message) in &level {
                if full_name.is_none_or(|name| name == message.full_name()) {
                    return Ok((path.clone(), Builder::default().message(message)));
                }
                names.push(message.full_name().to_owned());
            }
            level = level.iter().flat_map(children).collect();
        }
        names.truncate(NAMES_LISTED_MAX);
        match full_name {
            Some(name) => Err(format!("the schema has no message {name}; its messages are {}", names.join(", "))),
            None => Err("the schema has no message".to_owned()),
        }
    }
}

/// The names of the other messages that are types of fields in a message and those within it.
fn used_by(message: &MessageDescriptor) -> Vec<String> {
    let types = message.fields().filter_map(|field| field.kind().as_message().cloned());
    let others = types.filter(|other| other != message).map(|other| other.full_name().to_owned());
    others.chain(message.child_messages().flat_map(|child| used_by(&child))).collect()
}

/// The messages that are declared within another one, with their indexes.
fn children((path, message): &(Vec<u32>, MessageDescriptor)) -> Vec<(Vec<u32>, MessageDescriptor)> {
    let children = message.child_messages().filter(|child| !child.is_map_entry());
    let with_path = |(child, index)| ([path.as_slice(), &[index]].concat(), child);
    children.zip(0..).map(with_path).collect()
}

/// The texts of a schema and of everything that it refers to, by the name of their import.
fn collect(name: &str, schema: &Schema, files: &mut HashMap<String, Arc<str>>) -> Result<(), String> {
    if schema.kind != SchemaKind::Protobuf {
        return Err(format!("the schema is {}, not PROTOBUF", schema.kind));
    }
    if schema.text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("the schema has more than {SCHEMA_BYTES_MAX} bytes"));
    }
    match descriptor_of(&schema.text) {
        Some(descriptor) => check_values(&descriptor.transcode_to_dynamic())?,
        None => protobuf_files::check_brackets(&schema.text)?,
    }
    if files.insert(name.to_owned(), schema.text.clone()).is_some() {
        return Ok(());
    }
    schema.references.iter().try_for_each(|reference| collect(&reference.name, &reference.schema, files))
}

/// Files that were registered, and those that need no registration.
struct Registered(HashMap<String, Arc<str>>);

impl FileResolver for Registered {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let Some(text) = self.0.get(name).map(AsRef::as_ref).or_else(|| protobuf_files::text(name)) else {
            return Err(protox::Error::file_not_found(name));
        };
        match descriptor_of(text) {
            Some(descriptor) => {
                Ok(File::from_file_descriptor_proto(FileDescriptorProto { name: Some(name.to_owned()), ..descriptor }))
            }
            None => parsed(name, text),
        }
    }
}

/// Parses a text. One that uses Confluent's options without importing their file, which Confluent's parser does not ask
/// for, gets the import at its end, where it is valid whatever else the text says.
fn parsed(name: &str, text: &str) -> Result<File, protox::Error> {
    const META: &str = "confluent/meta.proto";
    const OPTIONS: [&str; 5] = ["file_meta", "message_meta", "field_meta", "enum_meta", "enum_value_meta"];
    let file = File::from_source(name, text)?;
    let is_used = |option: &&str| text.contains(&format!("confluent.{option}"));
    if file.file_descriptor_proto().dependency.iter().any(|import| import == META) || !OPTIONS.iter().any(is_used) {
        return Ok(file);
    }
    File::from_source(name, &format!("{text}\nimport \"{META}\";\n"))
}

/// The descriptor that some writers register in base64 in place of a text.
fn descriptor_of(text: &str) -> Option<FileDescriptorProto> {
    FileDescriptorProto::decode(BASE64.decode(text.trim()).ok()?.as_slice()).ok()
}

/// Rejects a descriptor whose options have values, as texts, with brackets that are nested too deep.
fn check_values(message: &DynamicMessage) -> Result<(), String> {
    message.fields().try_for_each(|(field, value)| match value {
        Value::String(text) if field.name() == "aggregate_value" => protobuf_files::check_brackets(text),
        Value::Message(inner) => check_values(inner),
        Value::List(items) => items.iter().filter_map(Value::as_message).try_for_each(check_values),
        _ => Ok(()),
    })
}

/// Makes messages of descriptors, each once.
#[derive(Default)]
struct Builder {
    done: HashMap<String, Arc<Message>>,
    /// The messages that are being made and the fields in them, the outermost first.
    path: Vec<(String, String)>,
}

impl Builder {
    fn message(&mut self, descriptor: &MessageDescriptor) -> Arc<Message> {
        if let Some(done) = self.done.get(descriptor.full_name()) {
            return done.clone();
        }
        self.path.push((descriptor.full_name().to_owned(), String::new()));
        let unions = descriptor.oneofs().enumerate().filter(|(_, oneof)| !oneof.is_synthetic());
        let unions = unions.map(|(index, oneof)| Union {
            name: format!("{}_{index}", oneof.name()),
            members: oneof.fields().map(|field| field.number()).collect(),
        });
        let unions = unions.collect();
        let fields = descriptor.fields().filter(|field| !field.is_group()).map(|field| self.field(&field)).collect();
        self.path.pop();
        let groups = descriptor.fields().filter(FieldDescriptor::is_group).map(|field| Group {
            number: field.number(),
            name: field.name().to_owned(),
            is_required: field.cardinality() == Cardinality::Required,
        });
        let groups = groups.collect();
        let name = descriptor.full_name().to_owned();
        let declared: Vec<u32> =
            descriptor.descriptor_proto().field.iter().map(|field| field.number() as u32).collect();
        let declared = if declared.is_sorted() { Vec::new() } else { declared };
        let message = Arc::new(Message { name, fields, unions, groups, declared });
        self.done.insert(descriptor.full_name().to_owned(), message.clone());
        message
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        if let Some((_, inside)) = self.path.last_mut() {
            field.name().clone_into(inside);
        }
        let kind = match self.kind(field.kind()) {
            Kind::Decimal { .. } => decimal(field),
            kind => kind,
        };
        let label = match &kind {
            _ if field.is_map() => Label::Map,
            _ if field.is_list() => Label::Repeated { packed: field.is_packed() },
            Kind::Primitive(_) | Kind::Enum(_) => absence(field),
            _ => Label::Optional,
        };
        Field { number: field.number(), name: field.name().to_owned(), label, kind, written: written(field) }
    }

    fn kind(&mut self, kind: prost_reflect::Kind) -> Kind {
        use prost_reflect::Kind as Theirs;
        Kind::Primitive(match kind {
            Theirs::Message(message) => return self.message_kind(&message),
            Theirs::Enum(descriptor) => return Kind::Enum(Arc::new(enumeration(&descriptor))),
            Theirs::Bool => Primitive::Bool,
            Theirs::Int32 => Primitive::Int32,
            Theirs::Int64 => Primitive::Int64,
            Theirs::Uint32 => Primitive::Uint32,
            Theirs::Uint64 => Primitive::Uint64,
            Theirs::Sint32 => Primitive::Sint32,
            Theirs::Sint64 => Primitive::Sint64,
            Theirs::Fixed32 => Primitive::Fixed32,
            Theirs::Fixed64 => Primitive::Fixed64,
            Theirs::Sfixed32 => Primitive::Sfixed32,
            Theirs::Sfixed64 => Primitive::Sfixed64,
            Theirs::Float => Primitive::Float,
            Theirs::Double => Primitive::Double,
            Theirs::String => Primitive::String,
            Theirs::Bytes => Primitive::Bytes,
        })
    }

    fn message_kind(&mut self, message: &MessageDescriptor) -> Kind {
        match message.full_name() {
            "google.type.Date" => Kind::Date,
            "google.type.TimeOfDay" => Kind::Time,
            "google.protobuf.Timestamp" => Kind::Timestamp,
            "confluent.type.Decimal" => Kind::Decimal { precision: None, scale: None },
            "google.protobuf.BoolValue" => Kind::Wrapper(Primitive::Bool),
            "google.protobuf.Int32Value" => Kind::Wrapper(Primitive::Int32),
            "google.protobuf.Int64Value" => Kind::Wrapper(Primitive::Int64),
            "google.protobuf.UInt32Value" => Kind::Wrapper(Primitive::Uint32),
            "google.protobuf.UInt64Value" => Kind::Wrapper(Primitive::Uint64),
            "google.protobuf.FloatValue" => Kind::Wrapper(Primitive::Float),
            "google.protobuf.DoubleValue" => Kind::Wrapper(Primitive::Double),
            "google.protobuf.StringValue" => Kind::Wrapper(Primitive::String),
            "google.protobuf.BytesValue" => Kind::Wrapper(Primitive::Bytes),
            name => match self.path.iter().position(|(outer, _)| outer == name) {
                Some(start) => Kind::Refused(format!("the message contains itself: {}", self.cycle(start))),
                None if self.path.len() == MESSAGES_DEEP => {
                    Kind::Refused(format!("messages are nested more than {MESSAGES_DEEP} deep"))
                }
                None => Kind::Message(self.message(message)),
            },
        }
    }

    /// The messages and fields from the one that contains itself back to it.
    fn cycle(&self, start: usize) -> String {
        let steps = self.path[start..].iter().map(|(message, field)| format!("{message}.{field}"));
        let steps: Vec<_> = steps.chain([self.path[start].0.clone()]).collect();
        steps.join(" -> ")
    }
}

/// When a field is written: proto2 can tell what is absent, and requires some fields.
fn written(field: &FieldDescriptor) -> Written {
    match field.cardinality() {
        Cardinality::Required => Written::Always,
        _ if field.parent_file().syntax() == Syntax::Proto2 => Written::UnlessNull,
        _ => Written::ByLabel,
    }
}

/// A decimal with the parameters that Confluent's option of its field gives.
fn decimal(field: &FieldDescriptor) -> Kind {
    let options = field.options();
    let meta = field.parent_pool().get_extension_by_name("confluent.field_meta");
    let meta = meta.map(|meta| options.get_extension(&meta));
    let params = meta.as_deref().and_then(Value::as_message).and_then(|meta| meta.get_field_by_name("params"));
    let params = params.as_deref().and_then(Value::as_map);
    let number = |name: &str| params?.get(&MapKey::String(name.to_owned()))?.as_str()?.parse().ok();
    Kind::Decimal { precision: number("precision"), scale: number("scale") }
}

/// What the absence of a field with a scalar means: null if the file can tell, and otherwise the default, which a file of
/// proto2 may give. Proto2 can tell too, but is read as ksqlDB reads it.
fn absence(field: &FieldDescriptor) -> Label {
    let is_proto2 = field.parent_file().syntax() == Syntax::Proto2;
    match field.default_value() {
        _ if field.containing_oneof().is_some() => Label::Optional,
        _ if field.supports_presence() && !is_proto2 => Label::Optional,
        Value::String(text) if !text.is_empty() => Label::Default(DefaultValue::Bytes(text.into_bytes())),
        Value::Bytes(bytes) if !bytes.is_empty() => Label::Default(DefaultValue::Bytes(bytes.to_vec())),
        Value::Bool(true) => Label::Default(DefaultValue::Bits(1)),
        Value::I32(number) if number != 0 => Label::Default(DefaultValue::Integer(number.into())),
        Value::I64(number) if number != 0 => Label::Default(DefaultValue::Integer(number)),
        Value::U32(number) if number != 0 => Label::Default(DefaultValue::Integer(number.into())),
        Value::U64(number) if number != 0 => Label::Default(DefaultValue::Integer(number as i64)),
        Value::EnumNumber(number) if number != 0 => Label::Default(DefaultValue::Integer(number.into())),
        Value::F32(number) if number != 0.0 => Label::Default(DefaultValue::Bits(number.to_bits().into())),
        Value::F64(number) if number != 0.0 => Label::Default(DefaultValue::Bits(number.to_bits())),
        _ => Label::Implicit,
    }
}

fn enumeration(descriptor: &EnumDescriptor) -> Enum {
    let is_closed = descriptor.parent_file().syntax() == Syntax::Proto2;
    // The values of the descriptor itself are not in the order of their declaration.
    let values = &descriptor.enum_descriptor_proto().value;
    let mut names: Vec<_> = values.iter().map(|value| (value.number(), value.name().to_owned())).collect();
    names.sort_by_key(|(number, _)| *number);
    Enum { name: descriptor.name().to_owned(), names, is_closed }
}
