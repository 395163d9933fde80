//! Functions on JSON arrays and objects.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::scan::{Json, Kind};
use crate::call::{Call, Row};
use crate::collections::map_from;

/// JSON_ARRAY_LENGTH.
pub fn length(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    call.each::<Int32Type>(|row| {
        let json = Json::parse(texts.value(row))?.filter(|json| json.kind() == Kind::Array);
        Ok(json.map(|json| {
            let mut count = 0;
            json.items(|_| count += 1);
            count
        }))
    })
}

/// IS_JSON_STRING.
pub fn is_json(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    call.each_flag(|row| Ok(Some(texts.get(row).is_some_and(|text| matches!(Json::parse(text), Ok(Some(_)))))))
}

/// JSON_ITEMS.
pub fn items(call: &Call<'_>) -> Result<ArrayRef> {
    pieces(call, Kind::Array, |json, put| json.items(|item| put(item, false)))
}

/// JSON_KEYS.
pub fn keys(call: &Call<'_>) -> Result<ArrayRef> {
    pieces(call, Kind::Object, |json, put| {
        unique(json).into_iter().for_each(|(name, _)| put(name, true));
    })
}

fn pieces(call: &Call<'_>, kind: Kind, each: impl Fn(Json<'_>, &mut dyn FnMut(Json<'_>, bool))) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let mut text = String::new();
    let write = |row: usize, out: &mut StringBuilder| -> Row<usize> {
        let Some(json) = Json::parse(texts.value(row))?.filter(|json| json.kind() == kind) else { return Ok(None) };
        let mut count = 0;
        each(json, &mut |piece, plain| {
            text.clear();
            if plain {
                piece.write_text(&mut text)
            } else {
                piece.write(&mut text)
            }
            out.append_value(&text);
            count += 1;
        });
        Ok(Some(count))
    };
    call.each_list(StringBuilder::new(), write, |mut out| Ok(Arc::new(out.finish())))
}

/// The members of an object, in the order in which their names first appear, with their last values.
fn unique(json: Json<'_>) -> Vec<(Json<'_>, Json<'_>)> {
    let mut members = Vec::new();
    add(&mut members, json);
    members
}

fn add<'a>(members: &mut Vec<(Json<'a>, Json<'a>)>, json: Json<'a>) {
    json.members(|name, value| match members.iter_mut().find(|(known, _)| known.raw() == name.raw()) {
        Some((_, last)) => *last = value,
        None => members.push((name, value)),
    });
}

/// JSON_RECORDS.
pub fn records(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
    let mut text = String::new();
    let mut put = |out: &mut StringBuilder, json: Json<'_>| {
        text.clear();
        json.write_text(&mut text);
        out.append_value(&text);
    };
    map_from(call, |row| {
        let object = Json::parse(texts.value(row))?.filter(|json| json.kind() == Kind::Object);
        let Some(members) = object.map(unique) else { return Ok(None) };
        for (name, value) in &members {
            put(&mut keys, *name);
            put(&mut values, *value);
        }
        Ok(Some(members.len()))
    })?
    .of(call, Arc::new(keys.finish()), Arc::new(values.finish()))
}

/// JSON_CONCAT.
pub fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    let texts: Vec<_> = (0..call.len()).map(|at| call.texts(at)).collect();
    let mut parts: Vec<Json<'_>> = Vec::with_capacity(texts.len());
    call.each_text(|row, out| {
        parts.clear();
        for text in &texts {
            match Json::parse(text.value(row))? {
                Some(json) => parts.push(json),
                None => return Ok(None),
            }
        }
        match &parts[..] {
            [] => return Ok(None),
            [one] => one.write(out),
            all if all.iter().all(|json| json.kind() == Kind::Object) => merge(all, out),
            all => chain(all, out),
        }
        Ok(Some(()))
    })
}

fn merge(objects: &[Json<'_>], out: &mut String) {
    let mut members = Vec::new();
    objects.iter().for_each(|json| add(&mut members, *json));
    out.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        name.write(out);
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

fn chain(parts: &[Json<'_>], out: &mut String) {
    out.push('[');
    let mut first = true;
    let mut put = |json: Json<'_>, out: &mut String| {
        out.push_str(if first { "" } else { "," });
        first = false;
        json.write(out);
    };
    for json in parts {
        match json.kind() {
            Kind::Array => json.items(|item| put(item, out)),
            _ => put(*json, out),
        }
    }
    out.push(']');
}
