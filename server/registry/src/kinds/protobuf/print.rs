//! Writes a Protobuf file.
//!
//! Separate because the text is what makes two schemas the same for a registry, whether they were registered as text or
//! as a file descriptor: the layout is always the same, there are no comments, and names are as short as can be.

use std::collections::HashSet;
use std::fmt::Write;

use prost_reflect::{
    Cardinality, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    OneofDescriptor, ServiceDescriptor, Syntax,
};
use prost_types::FieldDescriptorProto;

use super::options::{quoted, settings};

/// In which order that which has no order is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    AsGiven,
    Sorted,
}

/// How types are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Without the package of the file.
    Short,
    /// With a dot in front, which is never ambiguous.
    Full,
}

pub(super) fn print(file: &FileDescriptor, order: Order, names: Names) -> String {
    let mut printer = Printer { package: file.package_name(), order, names, text: String::new(), depth: 0 };
    printer.file(file);
    printer.text
}

struct Printer<'a> {
    package: &'a str,
    order: Order,
    names: Names,
    text: String,
    depth: usize,
}

impl Printer<'_> {
    fn line(&mut self, line: impl AsRef<str>) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn block(&mut self, head: impl AsRef<str>, inner: impl FnOnce(&mut Self)) {
        self.line(format!("{} {{", head.as_ref()));
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        self.line("}");
    }

    fn file(&mut self, file: &FileDescriptor) {
        let syntax = if file.syntax() == Syntax::Proto2 { "proto2" } else { "proto3" };
        self.line(format!("syntax = \"{syntax}\";"));
        if !file.package_name().is_empty() {
            self.line(format!("package {};", file.package_name()));
        }
        self.blank();
        self.imports(file);
        self.options(&settings(&file.options()));
        for message in file.messages() {
            self.blank();
            self.message(&message);
        }
        for of in file.enums() {
            self.blank();
            self.enumeration(&of);
        }
        self.extensions(file.extensions().filter(|extension| extension.parent_message().is_none()));
        for service in file.services() {
            self.blank();
            self.service(&service);
        }
    }

    /// An empty line, unless there is one.
    fn blank(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn imports(&mut self, file: &FileDescriptor) {
        let proto = file.file_descriptor_proto();
        let index = |i: usize| i32::try_from(i).unwrap_or(i32::MAX);
        let mut imports = Vec::new();
        for (i, name) in proto.dependency.iter().enumerate() {
            let public = if proto.public_dependency.contains(&index(i)) { "public " } else { "" };
            imports.push(format!("import {public}{};", quoted(name.as_bytes())));
        }
        if self.order == Order::Sorted {
            imports.sort();
        }
        imports.iter().for_each(|import| self.line(import));
    }

    fn options(&mut self, settings: &[String]) {
        for setting in settings {
            self.line(format!("option {setting};"));
        }
    }

    fn message(&mut self, message: &MessageDescriptor) {
        self.block(format!("message {}", message.name()), |printer| printer.message_body(message));
    }

    fn message_body(&mut self, message: &MessageDescriptor) {
        self.options(&settings(&message.options()));
        self.reserved(message);
        self.fields(message);
        let groups = groups(message);
        for nested in message.child_messages() {
            if !nested.is_map_entry() && !groups.contains(nested.full_name()) {
                self.message(&nested);
            }
        }
        for of in message.child_enums() {
            self.enumeration(&of);
        }
        self.extensions(message.child_extensions());
    }

    fn reserved(&mut self, message: &MessageDescriptor) {
        let proto = message.descriptor_proto();
        let last = |end: i32| if end >= FIELD_NUMBER_END { "max".to_owned() } else { (end - 1).to_string() };
        for range in &proto.reserved_range {
            let (start, end) = (range.start(), range.end());
            self.line(format!("reserved {start} to {};", last(end)));
        }
        for name in &proto.reserved_name {
            self.line(format!("reserved {};", quoted(name.as_bytes())));
        }
        for range in &proto.extension_range {
            self.line(format!("extensions {} to {};", range.start(), last(range.end())));
        }
    }

    fn fields(&mut self, message: &MessageDescriptor) {
        // `fields` are in the order of their numbers.
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        if self.order == Order::AsGiven {
            fields.sort_by_key(|field| field.path().last().copied());
        }
        let mut written = HashSet::new();
        for field in fields {
            match field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
                None => self.field(&field, true),
                Some(oneof) => {
                    if written.insert(oneof.name().to_owned()) {
                        self.oneof(&oneof);
                    }
                }
            }
        }
    }

    fn oneof(&mut self, oneof: &OneofDescriptor) {
        let mut fields: Vec<FieldDescriptor> = oneof.fields().collect();
        match self.order {
            Order::AsGiven => fields.sort_by_key(|field| field.path().last().copied()),
            Order::Sorted => fields.sort_by_key(FieldDescriptor::number),
        }
        self.block(format!("oneof {}", oneof.name()), |printer| {
            printer.options(&settings(&oneof.options()));
            fields.iter().for_each(|field| printer.field(field, false));
        });
    }

    fn field(&mut self, field: &FieldDescriptor, with_label: bool) {
        let proto = field.field_descriptor_proto();
        let label = match field.cardinality() {
            _ if !with_label || field.is_map() => "",
            Cardinality::Repeated => "repeated ",
            Cardinality::Required => "required ",
            Cardinality::Optional if proto.proto3_optional() => "optional ",
            Cardinality::Optional if field.parent_file().syntax() == Syntax::Proto2 => "optional ",
            Cardinality::Optional => "",
        };
        let options = field_options(proto, &settings(&field.options()));
        match field.kind() {
            Kind::Message(group) if field.is_group() => {
                let head = format!("{label}group {} = {}{options}", group.name(), field.number());
                self.block(head, |printer| printer.message_body(&group));
            }
            kind => {
                let name = self.field_type(field.is_map(), &kind);
                self.line(format!("{label}{name} {} = {}{options};", field.name(), field.number()));
            }
        }
    }

    fn field_type(&self, is_map: bool, kind: &Kind) -> String {
        match kind {
            Kind::Message(entry) if is_map => {
                let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
                format!("map<{}, {}>", self.field_type(false, &key), self.field_type(false, &value))
            }
            Kind::Message(message) => self.named(message.full_name()),
            Kind::Enum(of) => self.named(of.full_name()),
            scalar => scalar_name(scalar).to_owned(),
        }
    }

    fn named(&self, full: &str) -> String {
        let short = full.strip_prefix(self.package).and_then(|rest| rest.strip_prefix('.'));
        match (self.names, short) {
            (Names::Full, _) => format!(".{full}"),
            (Names::Short, Some(short)) if !self.package.is_empty() => short.to_owned(),
            (Names::Short, _) => full.to_owned(),
        }
    }

    fn extensions(&mut self, extensions: impl Iterator<Item = ExtensionDescriptor>) {
        for extension in extensions {
            let of = self.named(extension.containing_message().full_name());
            let proto = extension.field_descriptor_proto();
            let label = match extension.cardinality() {
                Cardinality::Repeated => "repeated ",
                _ if proto.proto3_optional() || extension.parent_file().syntax() == Syntax::Proto2 => "optional ",
                _ => "",
            };
            let name = self.field_type(false, &extension.kind());
            let options = field_options(proto, &settings(&extension.options()));
            let line = format!("{label}{name} {} = {}{options};", extension.name(), extension.number());
            self.block(format!("extend {of}"), |printer| printer.line(line));
        }
    }

    fn enumeration(&mut self, of: &EnumDescriptor) {
        let proto = of.enum_descriptor_proto();
        self.block(format!("enum {}", of.name()), |printer| {
            printer.options(&settings(&of.options()));
            for range in &proto.reserved_range {
                let end = if range.end() == i32::MAX { "max".to_owned() } else { range.end().to_string() };
                printer.line(format!("reserved {} to {end};", range.start()));
            }
            for name in &proto.reserved_name {
                printer.line(format!("reserved {};", quoted(name.as_bytes())));
            }
            let mut values: Vec<_> = of.values().collect();
            values.sort_by_key(|value| value.path().last().copied());
            for value in values {
                let options = bracketed(&settings(&value.options()));
                printer.line(format!("{} = {}{options};", value.name(), value.number()));
            }
        });
    }

    fn service(&mut self, service: &ServiceDescriptor) {
        self.block(format!("service {}", service.name()), |printer| {
            printer.options(&settings(&service.options()));
            for method in service.methods() {
                let stream = |is| if is { "stream " } else { "" };
                let mut head = format!("rpc {} (", method.name());
                let (input, output) = (method.input(), method.output());
                let _ = write!(head, "{}{}", stream(method.is_client_streaming()), printer.named(input.full_name()));
                let _ = write!(head, ") returns ({}", stream(method.is_server_streaming()));
                let _ = write!(head, "{})", printer.named(output.full_name()));
                let settings = settings(&method.options());
                if settings.is_empty() {
                    printer.line(format!("{head};"));
                } else {
                    printer.block(head, |printer| printer.options(&settings));
                }
            }
        });
    }
}

/// One more than the largest number of a field.
const FIELD_NUMBER_END: i32 = 1 << 29;

/// The messages of groups, which are written with their fields.
fn groups(message: &MessageDescriptor) -> HashSet<String> {
    let groups = message.fields().filter(FieldDescriptor::is_group).map(|field| field.kind());
    groups.filter_map(|kind| kind.as_message().map(|group| group.full_name().to_owned())).collect()
}

/// The default, the name in JSON if it is unusual, and the options.
fn field_options(proto: &FieldDescriptorProto, settings: &[String]) -> String {
    let mut all = Vec::new();
    if let Some(default) = &proto.default_value {
        all.push(format!("default = {}", default_text(proto, default)));
    }
    if let Some(name) = proto.json_name.as_ref().filter(|name| **name != json_name(proto.name())) {
        all.push(format!("json_name = {}", quoted(name.as_bytes())));
    }
    all.extend(settings.iter().cloned());
    bracketed(&all)
}

fn bracketed(settings: &[String]) -> String {
    if settings.is_empty() { String::new() } else { format!(" [{}]", settings.join(", ")) }
}

fn default_text(proto: &FieldDescriptorProto, default: &str) -> String {
    use prost_types::field_descriptor_proto::Type;
    match proto.r#type() {
        Type::String => quoted(default.as_bytes()),
        // It is escaped in the descriptor already.
        Type::Bytes => format!("\"{default}\""),
        _ => default.to_owned(),
    }
}

/// The name of a field in JSON, where none is given.
fn json_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => text.push(c.to_ascii_uppercase()),
            c => text.push(c),
        }
    }
    text
}

fn scalar_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Message(_) | Kind::Enum(_) => "",
    }
}
