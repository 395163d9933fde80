//! EXTRACTJSONFIELD: a path into JSON.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::scan::{Json, Kind};
use crate::call::{Call, Memo};

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

type Path = std::result::Result<Arc<[Step]>, String>;

/// EXTRACTJSONFIELD.
pub fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, paths) = (call.texts(0), call.texts(1));
    let memo: Memo<Path> = Memo::new();
    let mut name = String::new();
    call.each_text(|row, out| {
        let path = memo.get(paths.value(row), parse)?;
        let mut found = Json::parse(texts.value(row))?;
        for step in path.iter() {
            found = found.and_then(|json| follow(json, step, &mut name));
        }
        Ok(found.map(|json| json.write_text(out)))
    })
}

fn follow<'a>(json: Json<'a>, step: &Step, name: &mut String) -> Option<Json<'a>> {
    let mut found = None;
    match (step, json.kind()) {
        (Step::Member(wanted), Kind::Object) => json.members(|quoted, value| {
            name.clear();
            quoted.write_text(name);
            if name == wanted {
                found = Some(value);
            }
        }),
        (Step::Item(wanted), Kind::Array) => {
            let mut at = 0;
            json.items(|item| {
                if at == *wanted {
                    found = Some(item);
                }
                at += 1;
            });
        }
        _ => {}
    }
    found
}

/// `$`, followed by any number of `.name`, `["name"]` or `[number]`.
fn parse(path: &str) -> Path {
    let bad = || format!("'{path}' is not a JSON path such as '$.a.b[0]'");
    let mut rest = path.strip_prefix('$').ok_or_else(bad)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return Err(bad());
            }
            steps.push(Step::Member(name[..end].to_owned()));
            rest = &name[end..];
        } else if let Some(name) = rest.strip_prefix("[\"") {
            let (name, behind) = name.split_once("\"]").ok_or_else(bad)?;
            steps.push(Step::Member(name.to_owned()));
            rest = behind;
        } else {
            let (index, behind) = rest.strip_prefix('[').and_then(|index| index.split_once(']')).ok_or_else(bad)?;
            steps.push(Step::Item(index.trim().parse().map_err(|_| bad())?));
            rest = behind;
        }
    }
    Ok(steps.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_members_and_indexes() {
        let path = parse("$.@type[0][\"a.b\"].c").expect("a path");
        let member = |name: &str| Step::Member(name.to_owned());
        assert_eq!(*path, [member("@type"), Step::Item(0), member("a.b"), member("c")]);
        assert!(["", "a", "$a", "$.", "$..a", "$[", "$[-1]", "$[a]"].iter().all(|path| parse(path).is_err()));
    }
}
