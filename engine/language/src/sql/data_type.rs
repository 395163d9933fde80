//! The syntax of types in column lists, casts and CREATE TYPE.

use sqlparser::ast::{
    self as sql, ArrayElemTypeDef, ExactNumberInfo, Ident, ObjectName, StructBracketKind, TimezoneInfo,
};
use sqlparser::tokenizer::{Token, Word};

use super::ast::Spanned;
use super::cursor::{Cursor, Result};
use crate::diagnostic::{BAD_TYPE, Diagnostic, Span};
use crate::types::{DECIMAL_PRECISION_MAX, SqlType, StructField};

/// The maximum nesting of types.
const NESTING_MAX: usize = 64;

/// Reads a type: `STRING`, `ARRAY<INT>`, `INT ARRAY`, `STRUCT<A INT, B MAP<STRING, DOUBLE>>`, `ADDRESS`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Spanned<SqlType>> {
    let start = cursor.span();
    let mut reader = Reader { cursor: *cursor, spare: 0 };
    let ty = reader.ty(0)?;
    if reader.spare > 0 {
        return Err(reader.cursor.unexpected("one \">\" fewer"));
    }
    *cursor = reader.cursor;
    Ok(Spanned::new(ty, cursor.since(start)))
}

/// Whether a name without quotes is a type of the dialect, so that a user's type cannot have it.
pub(super) fn is_taken(name: &str) -> bool {
    matches!(name, "ARRAY" | "MAP" | "STRUCT" | "DECIMAL" | "NULL") || SqlType::simple(name).is_some()
}

/// A reader of types, which treats the tokens `>>` and `<>` as two brackets each.
struct Reader<'a> {
    cursor: Cursor<'a>,
    /// The number of closing brackets that were read in advance, as part of a `>>`.
    spare: usize,
}

impl Reader<'_> {
    fn ty(&mut self, depth: usize) -> Result<SqlType> {
        let start = self.cursor.span();
        if depth > NESTING_MAX {
            return Err(bad("the type is nested too deeply", start));
        }
        let mut ty = match self.cursor.peek() {
            Some(Token::Word(Word { value, quote_style: None, .. })) => self.named(&value.clone(), depth)?,
            Some(Token::Word(Word { value, .. })) => {
                let name = value.clone();
                self.cursor.advance();
                SqlType::Custom(name)
            }
            _ => return Err(self.cursor.unexpected("a type")),
        };
        let mut arrays = depth;
        while self.spare == 0 && self.cursor.eat(&["ARRAY"]) {
            arrays += 1;
            if arrays > NESTING_MAX {
                return Err(bad("the type is nested too deeply", start));
            }
            ty = SqlType::Array(Box::new(ty));
        }
        Ok(ty)
    }

    fn named(&mut self, name: &str, depth: usize) -> Result<SqlType> {
        let span = self.cursor.span();
        self.cursor.advance();
        match name {
            "ARRAY" => self.array(depth),
            "MAP" => self.map(depth),
            "STRUCT" => self.structure(depth),
            "DECIMAL" => self.decimal(span),
            "NULL" => Err(bad("NULL is not a type", span).hint("Name the type that the column has, such as STRING.")),
            _ => self.plain(name, span),
        }
    }

    fn plain(&mut self, name: &str, span: Span) -> Result<SqlType> {
        let ty = SqlType::simple(name).unwrap_or_else(|| SqlType::Custom(name.to_owned()));
        if self.cursor.peek() == Some(&Token::LParen) {
            return Err(bad(format!("{name} takes no parameters"), span)
                .detail(format!("Found \"(\" after the type {name}; only DECIMAL has parameters.")));
        }
        Ok(ty)
    }

    fn array(&mut self, depth: usize) -> Result<SqlType> {
        self.open()?;
        let item = self.ty(depth + 1)?;
        self.close()?;
        Ok(SqlType::Array(Box::new(item)))
    }

    fn map(&mut self, depth: usize) -> Result<SqlType> {
        self.open()?;
        let key = self.ty(depth + 1)?;
        self.comma()?;
        let value = self.ty(depth + 1)?;
        self.close()?;
        Ok(SqlType::Map(Box::new(key), Box::new(value)))
    }

    fn structure(&mut self, depth: usize) -> Result<SqlType> {
        if self.cursor.eat_symbol(&Token::Neq) {
            return Ok(SqlType::Struct(Vec::new()));
        }
        self.open()?;
        let mut fields = Vec::new();
        if self.cursor.peek() != Some(&Token::Gt) {
            fields.push(self.field(depth)?);
            while self.spare == 0 && self.cursor.eat_symbol(&Token::Comma) {
                fields.push(self.field(depth)?);
            }
        }
        self.close()?;
        Ok(SqlType::Struct(fields))
    }

    fn field(&mut self, depth: usize) -> Result<StructField> {
        let name = self.cursor.name("the name of a field")?.value;
        Ok(StructField { name, ty: self.ty(depth + 1)? })
    }

    fn decimal(&mut self, start: Span) -> Result<SqlType> {
        let form = "DECIMAL needs a precision and a scale";
        if !self.cursor.eat_symbol(&Token::LParen) {
            return Err(bad(form, start).hint("Write DECIMAL(10, 2) for 10 digits, 2 of them after the point."));
        }
        let precision = self.cursor.count("a precision")?;
        self.cursor.expect_symbol(&Token::Comma)?;
        let scale = self.cursor.count("a scale")?;
        self.cursor.expect_symbol(&Token::RParen)?;
        let most = u64::from(DECIMAL_PRECISION_MAX);
        if !(1..=most).contains(&precision.value) {
            return Err(bad(format!("DECIMAL precision must be between 1 and {most}"), precision.span));
        }
        if scale.value > precision.value {
            return Err(bad("DECIMAL scale must be between 0 and the precision", scale.span)
                .detail(format!("The scale is {}, the precision {}.", scale.value, precision.value)));
        }
        Ok(SqlType::Decimal { precision: precision.value as u8, scale: scale.value as u8 })
    }

    fn open(&mut self) -> Result<()> {
        self.cursor.expect_symbol(&Token::Lt)
    }

    fn comma(&mut self) -> Result<()> {
        if self.spare > 0 { Err(self.cursor.unexpected("\",\"")) } else { self.cursor.expect_symbol(&Token::Comma) }
    }

    /// Reads one `>`; the token `>>` contains two.
    fn close(&mut self) -> Result<()> {
        if self.spare > 0 {
            self.spare -= 1;
            return Ok(());
        }
        if self.cursor.eat_symbol(&Token::ShiftRight) {
            self.spare += 1;
            return Ok(());
        }
        self.cursor.expect_symbol(&Token::Gt)
    }
}

fn bad(message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::new(BAD_TYPE, message).at(span)
}

/// The type in the form in which sqlparser's tree contains it in a CAST.
pub(super) fn to_ast(ty: &SqlType) -> sql::DataType {
    use sql::DataType as D;
    match ty {
        SqlType::Boolean => D::Boolean,
        SqlType::Int => D::Integer(None),
        SqlType::BigInt => D::BigInt(None),
        SqlType::Double => D::Double(ExactNumberInfo::None),
        SqlType::Decimal { precision, scale } => {
            D::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        SqlType::String => D::String(None),
        SqlType::Bytes => D::Bytes(None),
        SqlType::Date => D::Date,
        SqlType::Time => D::Time(None, TimezoneInfo::None),
        SqlType::Timestamp => D::Timestamp(None, TimezoneInfo::None),
        SqlType::Array(item) => D::Array(ArrayElemTypeDef::AngleBracket(Box::new(to_ast(item)))),
        SqlType::Map(key, value) => D::Map(Box::new(to_ast(key)), Box::new(to_ast(value))),
        SqlType::Struct(fields) => {
            D::Struct(fields.iter().map(field_to_ast).collect(), StructBracketKind::AngleBrackets)
        }
        SqlType::Custom(name) => {
            let custom = || D::Custom(ObjectName::from(vec![Ident::with_quote('`', name)]), Vec::new());
            foreign(name).unwrap_or_else(custom)
        }
    }
}

/// Types outside the dialect that casts in bounded queries accept.
fn foreign(name: &str) -> Option<sql::DataType> {
    use sql::DataType as D;
    Some(match name {
        "TINYINT" => D::TinyInt(None),
        "SMALLINT" => D::SmallInt(None),
        "REAL" => D::Real,
        "FLOAT" => D::Float(ExactNumberInfo::None),
        "BINARY" => D::Binary(None),
        "BYTEA" => D::Bytea,
        "TEXT" => D::Text,
        _ => return None,
    })
}

fn field_to_ast(field: &StructField) -> sql::StructField {
    sql::StructField {
        field_name: Some(Ident::with_quote('`', &field.name)),
        field_type: to_ast(&field.ty),
        options: None,
    }
}

/// The type of a CAST in sqlparser's tree; none if it is not a type of the dialect, such as SMALLINT.
pub fn from_ast(ty: &sql::DataType) -> Option<SqlType> {
    use sql::DataType as D;
    Some(match ty {
        D::Boolean => SqlType::Boolean,
        D::Integer(None) | D::Int(None) => SqlType::Int,
        D::BigInt(None) => SqlType::BigInt,
        D::Double(ExactNumberInfo::None) => SqlType::Double,
        D::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale)) => {
            SqlType::Decimal { precision: u8::try_from(*precision).ok()?, scale: u8::try_from(*scale).ok()? }
        }
        D::String(None) | D::Varchar(None) => SqlType::String,
        D::Bytes(None) => SqlType::Bytes,
        D::Date => SqlType::Date,
        D::Time(None, TimezoneInfo::None) => SqlType::Time,
        D::Timestamp(None, TimezoneInfo::None) => SqlType::Timestamp,
        D::Array(ArrayElemTypeDef::AngleBracket(item)) => SqlType::Array(Box::new(from_ast(item)?)),
        D::Map(key, value) => SqlType::Map(Box::new(from_ast(key)?), Box::new(from_ast(value)?)),
        D::Struct(fields, _) => SqlType::Struct(fields.iter().map(field_from_ast).collect::<Option<_>>()?),
        D::Custom(name, modifiers) if modifiers.is_empty() && name.0.len() == 1 => {
            SqlType::Custom(name.0[0].as_ident()?.value.clone())
        }
        _ => return None,
    })
}

fn field_from_ast(field: &sql::StructField) -> Option<StructField> {
    Some(StructField { name: field.field_name.as_ref()?.value.clone(), ty: from_ast(&field.field_type)? })
}
