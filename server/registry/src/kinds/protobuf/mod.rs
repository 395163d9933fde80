//! Protobuf schemas: `.proto` files, parsed and linked with those that they import.
//!
//! `protox-parse` and `prost-reflect` do both, and check what protoc checks. Neither writes a file descriptor as a
//! `.proto` file, which a registry needs: the Python client registers descriptors, and others read text.

mod compatibility;
mod options;
mod print;
mod size;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use headwater_formats::protobuf_files;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use prost_types::FileDescriptorProto;

pub(crate) use compatibility::differences;

use super::{InvalidSchema, Referenced};

/// A file with everything that it imports.
#[derive(Debug)]
pub(crate) struct Protobuf {
    file: FileDescriptor,
}

/// What the file itself is called, as in Confluent's registry. No other can import it.
const NAME: &str = "default";

impl Protobuf {
    /// Parses a `.proto` file or a file descriptor in base64.
    pub(crate) fn parse(text: &str, references: &[Referenced]) -> Result<Self, InvalidSchema> {
        let mut pool = DescriptorPool::new();
        for reference in references {
            if pool.get_file_by_name(&reference.name).is_none() {
                let in_reference = |error| invalid(format!("reference \"{}\": {error}", reference.name));
                let file = parse_file(&reference.name, &reference.text).map_err(in_reference)?;
                add(&mut pool, file).map_err(in_reference)?;
            }
        }
        let file = match descriptor(text) {
            Some(file) => add_encoded(&mut pool, file?)?,
            None => {
                add(&mut pool, parse_file(NAME, text)?)?;
                NAME.to_owned()
            }
        };
        check_entries(&pool)?;
        let file = pool.get_file_by_name(&file).ok_or_else(|| invalid("the file was not linked"))?;
        Ok(Self { file })
    }

    /// The file as it is written, without comments and with one layout.
    pub(crate) fn canonical(&self) -> String {
        self.print(print::Order::AsGiven)
    }

    /// The same with imports, fields and options in one order. The order of messages has a meaning.
    pub(crate) fn normalized(&self) -> String {
        self.print(print::Order::Sorted)
    }

    /// Short names may mean something else in an unusual file, which then gets full ones.
    fn print(&self, order: print::Order) -> String {
        let short = print::print(&self.file, order, print::Names::Short);
        match self.reparsed(&short) {
            Some(again) if again == print::print(&self.file, order, print::Names::Full) => short,
            _ => print::print(&self.file, order, print::Names::Full),
        }
    }

    /// A text of this file, parsed and printed with full names.
    fn reparsed(&self, text: &str) -> Option<String> {
        let mut pool = DescriptorPool::new();
        for dependency in self.file.parent_pool().files().filter(|file| file != &self.file) {
            pool.decode_file_descriptor_proto(dependency.encode_to_vec().as_slice()).ok()?;
        }
        let file = parse_file(NAME, text).ok()?;
        add(&mut pool, file).ok()?;
        let file = pool.get_file_by_name(NAME)?;
        Some(print::print(&file, print::Order::AsGiven, print::Names::Full))
    }

    /// The file descriptor in base64.
    pub(crate) fn serialized(&self) -> String {
        BASE64_STANDARD.encode(self.file.encode_to_vec())
    }
}

/// The file descriptor if the text is one in base64, in which no `.proto` file but the empty one can be written.
fn descriptor(text: &str) -> Option<Result<Vec<u8>, InvalidSchema>> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let text = text.trim();
    let looks_so = !text.is_empty() && text.bytes().all(is_base64);
    looks_so.then(|| BASE64_STANDARD.decode(text).map_err(|_| invalid("it is neither a .proto file nor base64")))
}

/// What says that it is the entry of a map has a key and a value, as protoc makes it: the linker takes that for granted.
fn check_entries(pool: &DescriptorPool) -> Result<(), InvalidSchema> {
    let is_entry = |message: &MessageDescriptor| {
        let is_field = |number, name| message.get_field(number).is_some_and(|field| field.name() == name);
        message.fields().len() == 2 && is_field(1, "key") && is_field(2, "value")
    };
    match pool.all_messages().find(|message| message.is_map_entry() && !is_entry(message)) {
        Some(other) => {
            let problem =
                "it is the entry of a map, and has not just a key with the number 1 and a value with the number 2";
            Err(invalid(format!("message \"{}\": {problem}", other.name())))
        }
        None => Ok(()),
    }
}

fn parse_file(name: &str, text: &str) -> Result<FileDescriptorProto, InvalidSchema> {
    protobuf_files::check_brackets(text).map_err(invalid)?;
    let mut file = protox_parse::parse(name, text).map_err(|error| invalid(chain(&error)))?;
    file.source_code_info = None;
    Ok(file)
}

fn add(pool: &mut DescriptorPool, file: FileDescriptorProto) -> Result<(), InvalidSchema> {
    size::check(&file)?;
    import_known(pool, &file)?;
    pool.add_file_descriptor_proto(file).map_err(|error| invalid(chain(&error)))
}

/// Adds a descriptor as it is, so that options which are extensions are kept, and returns its name.
fn add_encoded(pool: &mut DescriptorPool, bytes: Vec<u8>) -> Result<String, InvalidSchema> {
    let undecodable = |error| invalid(format!("it is not a file descriptor: {error}"));
    let file = FileDescriptorProto::decode(bytes.as_slice()).map_err(undecodable)?;
    size::check(&file)?;
    import_known(pool, &file)?;
    // The last of several values counts: the name is replaced, and what it was compiled from is dropped.
    let mut bytes = without_source_info(&file, bytes);
    let name = FileDescriptorProto { name: Some(NAME.to_owned()), ..FileDescriptorProto::default() };
    bytes.extend(name.encode_to_vec());
    pool.decode_file_descriptor_proto(bytes.as_slice()).map_err(|error| invalid(chain(&error)))?;
    Ok(NAME.to_owned())
}

/// Clients remove where things are in the source; where they have not, options that are extensions are lost with it.
fn without_source_info(file: &FileDescriptorProto, bytes: Vec<u8>) -> Vec<u8> {
    match &file.source_code_info {
        None => bytes,
        Some(_) => FileDescriptorProto { source_code_info: None, ..file.clone() }.encode_to_vec(),
    }
}

/// Adds the files that need no registration, if this one imports them. They are not in the pool before, since clients
/// may register them all the same.
fn import_known(pool: &mut DescriptorPool, file: &FileDescriptorProto) -> Result<(), InvalidSchema> {
    for import in &file.dependency {
        if pool.get_file_by_name(import).is_some() {
            continue;
        }
        let known = match (DescriptorPool::global().get_file_by_name(import), protobuf_files::text(import)) {
            (Some(file), _) => file.file_descriptor_proto().clone(),
            (None, Some(text)) => parse_file(import, text)?,
            (None, None) => {
                return Err(invalid(format!("the imported file \"{import}\" is not among the references")));
            }
        };
        import_known(pool, &known)?;
        pool.add_file_descriptor_proto(known).map_err(|error| invalid(chain(&error)))?;
    }
    Ok(())
}

/// An error with its causes: these crates put what matters into the last one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn invalid(message: impl Into<String>) -> InvalidSchema {
    InvalidSchema(message.into())
}

#[cfg(test)]
mod tests;
