//! The schema for the payloads of a layout, as ksqlDB registers it: proto3, with a message within the other one for each
//! STRUCT and for the entries of each MAP. Messages without a name of their own are numbered in the order in which they
//! occur: `ConnectDefault1`, `ConnectDefault2`, `ConnectDefault3Entry` and so on.
//!
//! ```text
//! syntax = "proto3";
//!
//! message ConnectDefault1 {
//!   int32 ID = 1;
//!   repeated ConnectDefault2Entry TAGS = 2;
//!
//!   message ConnectDefault2Entry {
//!     string key = 1;
//!     string value = 2;
//!   }
//! }
//! ```

use std::fmt::Write as _;

use arrow::datatypes::{DataType, FieldRef};

use super::layout::supports;
use crate::format::kind::FormatError;
use crate::format::{Layout, Presence, sql_name};

/// The name of the message that a value is, unless another one is given.
pub(in super::super) const DEFAULT_FULL_NAME: &str = "ConnectDefault1";

/// The prefix of the names of the messages in it.
const NESTED_NAME: &str = "ConnectDefault";

/// The text of the schema for the payloads of a layout, with a message of this name. Fails if the name, or that of a
/// column, is not valid in Protobuf, or if a message cannot hold a type.
pub(super) fn text_of(layout: &Layout, full_name: &str) -> Result<String, FormatError> {
    if !full_name.split('.').all(is_name) {
        return Err(FormatError::Unfit(format!("\"{full_name}\" is not a valid full name of a Protobuf message")));
    }
    let (package, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let last_name = u32::from(full_name == DEFAULT_FULL_NAME);
    let mut generator = Generator { presence: layout.presence, imports: Vec::new(), last_name };
    let mut message = String::new();
    generator.message(name, &layout.fields, "", &mut message)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if !package.is_empty() {
        text.push_str(&format!("package {package};\n"));
    }
    text.push('\n');
    generator.imports.iter().for_each(|import| text.push_str(&format!("import \"{import}\";\n")));
    if !generator.imports.is_empty() {
        text.push('\n');
    }
    Ok(text + &message)
}

/// True for a name of a field, or of a message without its package.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    letters.next().is_some_and(is_first) && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

struct Generator {
    presence: Presence,
    imports: Vec<&'static str>,
    /// The number of the last message that was named.
    last_name: u32,
}

/// A type of fields: its name, and the declaration of the message that it is.
struct Declared {
    name: String,
    /// Behind its number.
    options: String,
    message: String,
}

impl Generator {
    /// Appends the declaration of a message with a field for each column.
    fn message(&mut self, name: &str, columns: &[FieldRef], margin: &str, out: &mut String) -> Result<(), FormatError> {
        let inside = format!("{margin}  ");
        let mut nested = String::new();
        append(out, format_args!("{margin}message {name} {{\n"));
        for (column, number) in columns.iter().zip(1..) {
            let (label, declared) = self.field(column.name(), column.data_type(), &inside)?;
            let (kind, name, options) = (&declared.name, column.name(), &declared.options);
            append(out, format_args!("{inside}{label}{kind} {name} = {number}{options};\n"));
            nested.push_str(&declared.message);
        }
        append(out, format_args!("{nested}{margin}}}\n"));
        Ok(())
    }

    /// The label and the type of a field.
    fn field(
        &mut self,
        name: &str,
        data_type: &DataType,
        margin: &str,
    ) -> Result<(&'static str, Declared), FormatError> {
        if !is_name(name) {
            let rule = "a name is letters of ASCII, digits and _, and begins with no digit";
            return Err(FormatError::Unfit(format!("\"{name}\" cannot be the name of a field in Protobuf: {rule}")));
        }
        if !supports(data_type) {
            return Err(FormatError::unknown_type(&sql_name(data_type)));
        }
        Ok(match data_type {
            DataType::List(item) => ("repeated ", self.value(name, item.data_type(), margin)?),
            DataType::Map(entries, _) => ("repeated ", self.entry(entries.data_type(), margin)?),
            other if self.presence == Presence::Optional => ("optional ", self.value(name, other, margin)?),
            other => ("", self.value(name, other, margin)?),
        })
    }

    fn value(&mut self, field: &str, data_type: &DataType, margin: &str) -> Result<Declared, FormatError> {
        match data_type {
            DataType::Struct(fields) => {
                let mut name = self.next_name();
                // A message cannot have the name of a field beside it.
                if name == field {
                    name.push_str("Message");
                }
                let mut message = "\n".to_owned();
                self.message(&name, fields, margin, &mut message)?;
                Ok(Declared { name, options: String::new(), message })
            }
            other => self.scalar(other),
        }
    }

    /// The message of a map's entries.
    fn entry(&mut self, entries: &DataType, margin: &str) -> Result<Declared, FormatError> {
        let DataType::Struct(pair) = entries else { return Err(FormatError::unknown_type(&sql_name(entries))) };
        let name = format!("{}Entry", self.next_name());
        let inside = format!("{margin}  ");
        let key = self.scalar(pair[0].data_type())?.name;
        // An entry that is absent is not null, but does not exist.
        let (label, value) = match pair[1].data_type() {
            DataType::List(_) | DataType::Map(..) => self.field("value", pair[1].data_type(), &inside)?,
            other => ("", self.value("value", other, &inside)?),
        };
        let mut message = format!("\n{margin}message {name} {{\n{inside}{key} key = 1;\n");
        let (kind, options) = (value.name, value.options);
        append(&mut message, format_args!("{inside}{label}{kind} value = 2{options};\n{}{margin}}}\n", value.message));
        Ok(Declared { name, options: String::new(), message })
    }

    fn next_name(&mut self) -> String {
        self.last_name += 1;
        format!("{NESTED_NAME}{}", self.last_name)
    }

    fn scalar(&mut self, data_type: &DataType) -> Result<Declared, FormatError> {
        let (plain, wrapper) = match data_type {
            DataType::Boolean => ("bool", "BoolValue"),
            DataType::Int32 => ("int32", "Int32Value"),
            DataType::Int64 => ("int64", "Int64Value"),
            DataType::Float64 => ("double", "DoubleValue"),
            DataType::Utf8 => ("string", "StringValue"),
            DataType::Binary => ("bytes", "BytesValue"),
            other => return self.known(other),
        };
        let name = match self.presence {
            Presence::Wrapper => {
                self.import("google/protobuf/wrappers.proto");
                format!("google.protobuf.{wrapper}")
            }
            _ => plain.to_owned(),
        };
        Ok(Declared { name, options: String::new(), message: String::new() })
    }

    /// A type that is a message for all.
    fn known(&mut self, data_type: &DataType) -> Result<Declared, FormatError> {
        let (import, name, options) = match data_type {
            DataType::Date32 => ("google/type/date.proto", "google.type.Date", String::new()),
            DataType::Time32(_) => ("google/type/timeofday.proto", "google.type.TimeOfDay", String::new()),
            DataType::Timestamp(..) => ("google/protobuf/timestamp.proto", "google.protobuf.Timestamp", String::new()),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                self.import("confluent/meta.proto");
                let param = |key: &str, value: String| format!("{{ key: \"{key}\", value: \"{value}\" }}");
                let params = [param("precision", precision.to_string()), param("scale", scale.to_string())].join(", ");
                let options = format!(" [(confluent.field_meta) = {{ params: [{params}] }}]");
                ("confluent/type/decimal.proto", "confluent.type.Decimal", options)
            }
            other => return Err(FormatError::unknown_type(&sql_name(other))),
        };
        self.import(import);
        Ok(Declared { name: name.to_owned(), options, message: String::new() })
    }

    fn import(&mut self, file: &'static str) {
        if !self.imports.contains(&file) {
            self.imports.push(file);
        }
    }
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes any text");
}
