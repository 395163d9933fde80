//! Goal: the rooms import each other as ARCHITECTURE.md says, and in no other way. Method: every path in the sources
//! that names another room is an arrow; the page's block of arrows must be the same, each from a line to lines below
//! it, so that there is no cycle.
//!
//! `ACCEPT=1 cargo test --workspace --test rooms` writes the arrows to the page, in the order of its lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms that each room imports.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A crate, its source folder, and its rooms: the listed modules of its root, and one for all others.
struct Crate {
    name: &'static str,
    src: &'static str,
    rooms: &'static [&'static str],
    rest: &'static str,
}

const CRATES: &[Crate] = &[
    Crate {
        name: "formats",
        src: "connectors/formats/src",
        rooms: &["decode", "format", "java_time", "panic", "protobuf_files", "record", "schema"],
        rest: "",
    },
    Crate { name: "connectors", src: "connectors/src", rooms: &["schemas", "table", "transport"], rest: "" },
    Crate {
        name: "language",
        src: "engine/language/src",
        rooms: &["catalog", "config", "definition", "diagnostic", "sql", "topology", "types"],
        rest: "",
    },
    Crate { name: "functions", src: "engine/functions/src", rooms: &[], rest: "functions" },
    Crate { name: "expression", src: "engine/expression/src", rooms: &["dialect", "errors"], rest: "expression" },
    Crate { name: "planner", src: "engine/planner/src", rooms: &[], rest: "planner" },
    Crate { name: "state", src: "engine/state/src", rooms: &[], rest: "state" },
    Crate { name: "disk", src: "engine/disk/src", rooms: &[], rest: "disk" },
    Crate { name: "dataflow", src: "engine/dataflow/src", rooms: &[], rest: "dataflow" },
    Crate {
        name: "engine",
        src: "engine/src",
        rooms: &["answer", "failure", "row_text", "runtime", "session", "statement", "words"],
        rest: "engine",
    },
    Crate { name: "registry", src: "connectors/registry/src", rooms: &[], rest: "registry" },
    Crate { name: "schema_registry", src: "server/registry/src", rooms: &[], rest: "schema_registry" },
    Crate { name: "broker", src: "broker/src", rooms: &[], rest: "broker" },
    Crate { name: "repl", src: "repl/src", rooms: &[], rest: "repl" },
];

/// The block of ARCHITECTURE.md with the arrows.
const BEGIN: &str = "```arrows\n";
const END: &str = "```\n";

#[test]
fn rooms_import_as_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&page).expect("the page can be read");
    let (before, rest) = text.split_once(BEGIN).expect("the page has a block of arrows");
    let (block, after) = rest.split_once(END).expect("the block ends");
    let (order, drawn) = read(block);
    let found = arrows(&root);
    if std::env::var_os("ACCEPT").is_some() {
        let text = format!("{before}{BEGIN}{}{END}{after}", written(&order, &found));
        fs::write(&page, text).expect("the page can be written");
        return;
    }
    let mut wrong = Vec::new();
    for room in found.keys().chain(drawn.keys()).collect::<BTreeSet<_>>() {
        let none = BTreeSet::new();
        let (found, drawn) = (found.get(room).unwrap_or(&none), drawn.get(room).unwrap_or(&none));
        wrong.extend(found.difference(drawn).map(|to| format!("{room} imports {to}, but the page has no such arrow")));
        wrong.extend(
            drawn
                .difference(found)
                .map(|to| format!("the page has an arrow {room} → {to}, but {room} does not import it")),
        );
    }
    let floor = |room: &String| order.iter().position(|listed| listed == room);
    for (room, to) in drawn.iter().flat_map(|(room, all)| all.iter().map(move |to| (room, to))) {
        if floor(to) <= floor(room) {
            wrong.push(format!("the arrow {room} → {to} does not go down"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The rooms of a block in order, and the arrows of each.
fn read(block: &str) -> (Vec<String>, Arrows) {
    let lines = block.lines().map(|line| line.split_once('→').unwrap_or((line, "")));
    let names =
        |list: &str| list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let all: Vec<(String, BTreeSet<String>)> = lines.map(|(room, to)| (room.trim().to_owned(), names(to))).collect();
    (all.iter().map(|(room, _)| room.clone()).collect(), all.into_iter().filter(|(_, to)| !to.is_empty()).collect())
}

fn written(order: &[String], found: &Arrows) -> String {
    let others = found.keys().filter(|room| !order.contains(room));
    let width = found.keys().map(|room| room.chars().count()).max().unwrap_or(0);
    let line = |room: &String| {
        let to: Vec<&str> = found.get(room).into_iter().flatten().map(String::as_str).collect();
        let line = if to.is_empty() { room.clone() } else { format!("{room:width$} → {}", to.join(", ")) };
        line + "\n"
    };
    others.chain(order).map(line).collect()
}

/// The arrows in the sources.
fn arrows(root: &Path) -> Arrows {
    let mut arrows = Arrows::new();
    for of in CRATES {
        let src = root.join(of.src);
        for file in sources(&src) {
            let module = module_of(&src, &file);
            let Some(room) = room(of, module.first().map_or("", String::as_str)) else { continue };
            let text = fs::read_to_string(&file).expect("a source can be read");
            let imported = paths(of, &module, &text).into_iter().filter(|to| *to != room);
            arrows.entry(room.to_owned()).or_default().extend(imported.map(str::to_owned));
        }
    }
    arrows.retain(|_, to| !to.is_empty());
    arrows
}

/// The sources in a folder, except those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.trim_end_matches(".rs").ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "lib.rs" && name != "main.rs" {
            found.push(path);
        }
    }
    found
}

/// The path of a file's module in its crate.
fn module_of(src: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(src).expect("the file is in the crate").with_extension("");
    let mut parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn room(of: &Crate, module: &str) -> Option<&'static str> {
    of.rooms.iter().find(|room| **room == module).copied().or(Some(of.rest).filter(|rest| !rest.is_empty()))
}

/// The rooms that a file names.
fn paths(of: &Crate, module: &[String], text: &str) -> BTreeSet<&'static str> {
    let code: Vec<&str> = text.lines().take_while(|line| *line != "#[cfg(test)]").map(without_comment).collect();
    let code = code.join("\n");
    let path = Regex::new(r"\b(?:(crate)|headwater_(\w+)|((?:super::)+))(?:::)?(\w+)").expect("a pattern");
    let group = Regex::new(r"\b(?:(crate)|headwater_(\w+))::\{").expect("a pattern");
    let mut found = BTreeSet::new();
    for at in path.captures_iter(&code) {
        let next = at.get(4).map_or("", |next| next.as_str());
        let of = match (at.get(2), at.get(3)) {
            (Some(other), _) => CRATES.iter().find(|known| known.name == other.as_str()),
            (None, Some(up)) => (up.as_str().len() / "super::".len() == module.len()).then_some(of),
            (None, None) => Some(of),
        };
        found.extend(of.and_then(|of| room(of, next)));
    }
    for at in group.captures_iter(&code) {
        let of = at.get(2).map_or(Some(of), |name| CRATES.iter().find(|known| known.name == name.as_str()));
        let from = at.get(0).map_or(0, |all| all.end());
        found.extend(items(&code[from..]).iter().filter_map(|item| of.and_then(|of| room(of, item))));
    }
    found
}

/// The first words of the items of a group in braces that begins before `text`.
fn items(text: &str) -> Vec<String> {
    let (mut depth, mut all, mut item) = (0, Vec::new(), String::new());
    for char in text.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => all.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(char),
            _ => {}
        }
    }
    all.push(item);
    let word =
        |item: &String| item.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned();
    all.iter().map(word).collect()
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn paths_are_found_wherever_they_are_written() {
    let expression = CRATES.iter().find(|of| of.name == "expression").expect("it is listed");
    let module = ["dialect".to_owned(), "cast".to_owned()];
    let text = "use headwater_language::{\n    sql::{self, place}, types::SqlType};\nuse super::super::errors::reason;\n\
                // headwater_planner::bounded\nfn f() { crate::session() }\n#[cfg(test)]\nuse headwater_dataflow::Task;";
    let found = paths(expression, &module, text);
    assert_eq!(found, ["errors", "expression", "sql", "types"].into());
}
