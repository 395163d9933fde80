//! The clients, and how each is asked to play a role (see `tests/clients/README.md`).

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use headwater_tests::binary::workspace;
use serde_json::Value;

use crate::kcat;
use crate::member::Member;

/// No program may run for longer than this.
const SECONDS_MAX: &str = "240";

/// A client that is installed here.
pub enum Client {
    /// A program of `tests/clients`.
    Program { name: &'static str, command: Vec<String> },
    /// kcat, whose options differ from those of the programs.
    Kcat,
}

/// All clients that are there. Prints which ones are not.
pub fn found() -> Vec<Client> {
    let parts = std::env::var_os("HEADWATER_PARTS").map_or_else(|| workspace().join(".parts"), PathBuf::from);
    let path = |name: &str| parts.join(name).to_str().expect("a path in UTF-8").to_owned();
    let program = |name, needed: &str, command: &[&str]| {
        let command = command.iter().map(ToString::to_string).collect();
        (name, PathBuf::from(path(needed)).exists(), Client::Program { name, command })
    };
    let script = workspace().join("tests/clients/client.py");
    let classes = format!("{}:{}", path("clients/java"), path("jars/*"));
    // The first compiler is enough for programs that run for seconds; the log would be printed between the answers.
    let java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8"];
    let java = [&java[..], &["-Dlog4j2.level=OFF", "-cp", &classes, "Client"]].concat();
    let python = path("clients/python/bin/python");
    let clients = [
        program("go", "clients/go/client", &[&path("clients/go/client")]),
        program("java", "clients/java/Client.class", &java),
        program("python", "clients/python/complete", &[&python, "-X", "utf8", script.to_str().unwrap()]),
        ("kcat", kcat::is_installed(), Client::Kcat),
    ];
    let all = std::env::var("HEADWATER_TEST_CLIENTS").is_ok_and(|which| which == "all");
    let mut found = Vec::new();
    for (name, exists, client) in clients {
        match exists {
            true => found.push(client),
            false if all => panic!("no {name}: run tests/clients/prepare"),
            false => println!("skipped: no {name}"),
        }
    }
    found
}

impl Client {
    /// Whether this is not kcat.
    pub fn is_program(&self) -> bool {
        matches!(self, Self::Program { .. })
    }

    /// Whether the client has a way to write this record.
    pub fn can_write(&self, record: &Value) -> bool {
        self.is_program() || kcat::can_write(record)
    }

    /// A record of this client as every client reads it. kcat cannot choose the timestamp.
    pub fn as_read(&self, topic: &str, offset: usize, mut record: Value) -> Value {
        record["topic"] = topic.into();
        record["offset"] = offset.into();
        if !self.is_program() {
            record["timestamp"] = Value::Null;
        }
        record
    }

    /// Writes all records once with each compression. Returns their offsets, one line for each compression;
    /// kcat does not print them.
    pub fn produce(&self, bootstrap: &str, topic: &str, codecs: &[&str], records: &[Value]) -> Vec<Value> {
        match self {
            Self::Program { command, .. } => {
                let input: String = records.iter().map(|record| format!("{record}\n")).collect();
                let arguments = [&[bootstrap, "produce", topic], codecs].concat();
                answers(&output(command, &arguments, &input))
            }
            Self::Kcat => {
                for codec in codecs {
                    records.iter().for_each(|record| kcat::write(bootstrap, topic, codec, record));
                }
                Vec::new()
            }
        }
    }

    /// Reads the topics from the beginning to the end.
    pub fn consume(&self, bootstrap: &str, isolation: &str, topics: &[&str]) -> Vec<Value> {
        match self {
            Self::Program { .. } => self.run(bootstrap, "consume", &[&[isolation], topics].concat()),
            Self::Kcat => topics.iter().flat_map(|topic| kcat::read(bootstrap, isolation, topic)).collect(),
        }
    }

    /// Two members share the topic, one leaves, and a third one resumes at the committed offsets.
    pub fn group(&self, bootstrap: &str, topic: &str, group: &str) -> Vec<Value> {
        match self {
            Self::Program { .. } => {
                crate::fill(bootstrap, topic, |_| 6);
                self.run(bootstrap, "group", &[topic, group])
            }
            Self::Kcat => kcat::group(bootstrap, topic, group),
        }
    }

    /// Joins a group until it is asked to leave.
    pub fn join(&self, bootstrap: &str, topic: &str, group: &str) -> Member {
        match self {
            Self::Program { command, .. } => {
                let mut member = Command::new(&command[0]);
                Member::start(member.args(&command[1..]).args([bootstrap, "member", topic, group]))
            }
            Self::Kcat => kcat::join(bootstrap, topic, group),
        }
    }

    /// Leaves the group of [`Self::join`].
    pub fn leave(&self, member: Member) {
        member.leave(if self.is_program() { None } else { kcat::LEAVES });
    }

    /// What the program answers in another role.
    pub fn run(&self, bootstrap: &str, role: &str, arguments: &[&str]) -> Vec<Value> {
        let Self::Program { command, .. } = self else { panic!("kcat does not have this role") };
        answers(&output(command, &[&[bootstrap, role], arguments].concat(), ""))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program { name, .. } => name,
            Self::Kcat => "kcat",
        })
    }
}

/// The standard output of a program that must succeed.
pub fn output(command: &[impl AsRef<std::ffi::OsStr>], arguments: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new("timeout");
    child.arg(SECONDS_MAX).args(command).args(arguments);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Programs read their input to the end before they print. One that has failed does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{arguments:?}: {}\n{stdout}{stderr}", output.status);
    output.stdout
}

fn answers(printed: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(printed).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}
