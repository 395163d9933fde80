//! kcat, a command line client with librdkafka. It prints text, writes one record per call, and gives no offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::output;
use crate::member::{Member, wait};
use crate::records::{bytes, hex};

/// How a member of a group is asked to leave.
pub const LEAVES: Option<Signal> = Some(Signal::SIGTERM);

/// Key and value follow their lengths, which are -1 for what is null. Only headers are not preceded by a length.
const FORMAT: &str = "%o,%T,%K,%S,%k%s%h;end\n";
const END: &[u8] = b";end\n";

pub fn is_installed() -> bool {
    Command::new("kcat").arg("-V").output().is_ok()
}

/// Not a zero byte in an argument, not an empty record without a key, and not a tombstone with an empty key.
pub fn can_write(record: &Value) -> bool {
    let headers = record["headers"].as_array().unwrap().iter().map(|header| &header[1]);
    let mut arguments = headers.chain([&record["key"]]).filter_map(bytes);
    let (key, value) = (&record["key"], &record["value"]);
    let empty = (key.is_null() && value == "") || (key == "" && value.is_null());
    !empty && arguments.all(|argument| !argument.contains(&0))
}

/// A value that is neither null nor empty is read from a file, and a key without such a value from a line.
pub fn write(bootstrap: &str, topic: &str, codec: &str, record: &Value) {
    let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
    let mut command: Vec<OsString> =
        ["kcat", "-P", "-b", bootstrap, "-t", topic, "-p", "0", "-z", codec].map(OsString::from).into();
    for header in record["headers"].as_array().unwrap() {
        let mut text = header[0].as_str().unwrap().as_bytes().to_vec();
        if let Some(value) = bytes(&header[1]) {
            text.push(b'=');
            text.extend(value);
        }
        command.extend(["-H".into(), OsString::from_vec(text)]);
    }
    match value {
        Some(value) if !value.is_empty() => {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&value).unwrap();
            if let Some(key) = key {
                command.extend(["-k".into(), OsString::from_vec(key)]);
            }
            command.push(file.path().into());
            output(&command, &[], "");
        }
        empty => {
            command.extend(["-K", ":"].map(OsString::from));
            command.extend(empty.is_none().then(|| "-Z".into()));
            output(&command, &[], &format!("{}:\n", String::from_utf8(key.unwrap_or_default()).unwrap()));
        }
    }
}

pub fn read(bootstrap: &str, isolation: &str, topic: &str) -> Vec<Value> {
    let isolation = format!("isolation.level={isolation}");
    let command = ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-p", "0", "-o", "beginning", "-f", FORMAT];
    let printed = output(&command, &["-X", &isolation], "");
    let (mut rest, mut records) = (&printed[..], Vec::new());
    while !rest.is_empty() {
        let [offset, timestamp, key, value] = [(); 4].map(|()| number(&mut rest));
        let [key, value] = [key, value].map(|length| sized(&mut rest, length));
        let length = rest.windows(END.len()).position(|at| at == END).expect("the end of a record");
        let headers = headers(&rest[..length]);
        rest = &rest[length + END.len()..];
        records.push(json!({
            "topic": topic, "offset": offset, "timestamp": timestamp, "key": key, "value": value, "headers": headers,
        }));
    }
    records
}

/// The number before the next comma.
fn number(rest: &mut &[u8]) -> i64 {
    let length = rest.iter().position(|byte| *byte == b',').expect("a comma");
    let number = std::str::from_utf8(&rest[..length]).unwrap().parse().unwrap();
    *rest = &rest[length + 1..];
    number
}

/// So many bytes, as hex.
fn sized(rest: &mut &[u8], length: i64) -> Value {
    let Ok(length) = usize::try_from(length) else { return Value::Null };
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    hex(Some(bytes))
}

/// Name and value of each header; kcat prints null as a word.
fn headers(text: &[u8]) -> Vec<Value> {
    let all = text.split(|byte| *byte == b',').filter(|header| !header.is_empty());
    let pairs = all.map(|header| {
        let name = header.iter().position(|byte| *byte == b'=').expect("a header is name=value");
        let value = &header[name + 1..];
        json!([String::from_utf8_lossy(&header[..name]), hex((value != b"NULL").then_some(value))])
    });
    pairs.collect()
}

/// A member of a group, which reads at once.
pub fn join(bootstrap: &str, topic: &str, group: &str) -> Member {
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap, "-u", "-f", "record %p %o\n", "-X", "auto.offset.reset=earliest"]);
    command.args(["-X", "partition.assignment.strategy=range", "-X", "heartbeat.interval.ms=500", "-G", group, topic]);
    Member::start(&mut command)
}

/// The role of a group. A member commits what it has read when it leaves, so the records decide the offsets.
pub fn group(bootstrap: &str, topic: &str, group: &str) -> Vec<Value> {
    crate::fill(bootstrap, topic, |partition| partition + 1);
    let [first, second] = [(); 2].map(|()| join(bootstrap, topic, group));
    wait("two members share", || first.assigned().len() == 2 && second.assigned().len() == 2);
    let assigned = BTreeSet::from([first.assigned(), second.assigned()]);
    // A kcat that is told to end commits one more record, which it does not print.
    let read = || first.read().into_iter().chain(second.read()).collect::<BTreeSet<_>>();
    wait("all is read", || read().len() == 10);
    let read = read();
    first.leave(LEAVES);
    wait("one member is left", || second.assigned().len() == 4);
    let alone = second.assigned();
    second.leave(LEAVES);
    let ends =
        (0..4).map(|partition| read.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| offset + 1).max());
    let ends: Vec<_> = ends.collect();
    crate::fill(bootstrap, topic, |_| 1);
    let third = join(bootstrap, topic, group);
    wait("all partitions are resumed", || {
        third.read().iter().map(|(partition, _)| partition).collect::<BTreeSet<_>>().len() == 4
    });
    let resumed: BTreeMap<_, _> = third.leave(LEAVES).into_iter().rev().collect();
    vec![
        json!({ "assigned": assigned }),
        json!({ "alone": alone }),
        json!({ "committed": ends }),
        json!({ "resumed": resumed.into_values().collect::<Vec<_>>() }),
    ]
}
