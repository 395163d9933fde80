//! What a Protobuf file must be before it is linked: of a known syntax, and not too large.
//!
//! Separate because the linker and the printer take both for granted. It panics on an unknown syntax, and a linked file has the full name
//! of everything in it, so that a long name around many others is repeated.

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::InvalidSchema;

/// How long all full names may be together, in bytes.
const NAMES_BYTES_MAX: usize = 16 << 20;

/// How deep messages may be nested. The parser has the same limit for texts.
const DEPTH_MAX: usize = 32;

pub(super) fn check(file: &FileDescriptorProto) -> Result<(), InvalidSchema> {
    if !matches!(file.syntax(), "" | "proto2" | "proto3") {
        return Err(InvalidSchema(format!("the syntax \"{}\" is neither proto2 nor proto3", file.syntax())));
    }
    check_extensions(&file.extension)?;
    let package = file.package().len() + 1;
    let mut total = 0;
    for message in &file.message_type {
        count(message, package, 1, &mut total)?;
    }
    let enums = file.enum_type.iter().map(|of| package + of.name().len() + of.value.len() * package);
    let methods = file.service.iter().map(|service| (1 + service.method.len()) * (package + service.name().len()));
    if total + enums.chain(methods).sum::<usize>() > NAMES_BYTES_MAX {
        return Err(too_long());
    }
    Ok(())
}

/// Adds the full names in a message, above which there are names of this length.
fn count(message: &DescriptorProto, above: usize, depth: usize, total: &mut usize) -> Result<(), InvalidSchema> {
    if depth > DEPTH_MAX {
        return Err(InvalidSchema(format!("more than {DEPTH_MAX} messages are nested in each other")));
    }
    check_extensions(&message.extension)?;
    let length = above + message.name().len() + 1;
    let values: usize = message.enum_type.iter().map(|of| 1 + of.value.len()).sum();
    let members = message.field.len() + message.oneof_decl.len() + message.extension.len() + values;
    *total += length * (1 + members);
    if *total > NAMES_BYTES_MAX {
        return Err(too_long());
    }
    message.nested_type.iter().try_for_each(|nested| count(nested, length, depth + 1, total))
}

/// A group that is an extension has its message outside of what it extends, and cannot be told from any other there.
fn check_extensions(extensions: &[FieldDescriptorProto]) -> Result<(), InvalidSchema> {
    match extensions.iter().find(|extension| extension.r#type() == Type::Group) {
        Some(group) => {
            Err(InvalidSchema(format!("the extension \"{}\" is a group, which is not supported", group.name())))
        }
        None => Ok(()),
    }
}

fn too_long() -> InvalidSchema {
    InvalidSchema(format!("the names in the file are longer than {NAMES_BYTES_MAX} bytes together"))
}
