//! Kafka Streams for comparison: builds the Maven project `tests/streams` once and runs its queries.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::query::Query;

/// Producer settings tuned for throughput.
const TUNED: [&str; 4] = ["--linger-ms", "100", "--batch-bytes", "262144"];
const HEAP: &str = "-Xmx1g";

/// The built program.
pub struct Peer {
    class_path: String,
}

/// The configuration of a run.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Number of stream threads.
    pub threads: u32,
    /// Kafka Streams' default producer settings instead of the tuned ones.
    pub plain_producer: bool,
}

impl Peer {
    /// Builds the project; Maven downloads missing dependencies. Needs Maven and a JDK of version 17 or later.
    pub fn build(project: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = std::path::absolute(process::parts().join("streams"))?;
        if !maven(project, &folder, &["--offline"])? && !maven(project, &folder, &[])? {
            return Err(
                format!("could not build {}: run \"mvn package\" there to see the error", project.display()).into()
            );
        }
        let folder = folder.display();
        Ok(Self { class_path: format!("{folder}/classes:{folder}/jars/*") })
    }

    /// The command that runs a query to the end of the topic of the bids. `place` is the broker, the topics of bids and
    /// auctions, and the output topic, which must exist.
    pub fn command(&self, place: [&str; 4], id: &str, query: Query, tuning: Tuning) -> Vec<String> {
        let [bootstrap, topic, auctions, to] = place;
        let threads = tuning.threads.to_string();
        let places = ["--bootstrap-server", bootstrap, "--topic", topic, "--auctions-topic", auctions, "--to", to];
        let options = ["--query", query.name(), "--threads", &threads, "--id", id];
        let tuned: &[&str] = if tuning.plain_producer { &[] } else { &TUNED };
        self.java(&[places.as_slice(), &options, tuned].concat())
    }

    /// The command that reads the windowed table of a query in a topic with the deserializers of Kafka Streams, and prints its
    /// totals as a line of JSON.
    pub fn reading(&self, bootstrap: &str, topic: &str, query: Query) -> Vec<String> {
        self.java(&["--bootstrap-server", bootstrap, "--topic", topic, "--windows", query.name()])
    }

    fn java(&self, options: &[&str]) -> Vec<String> {
        let java = ["java", HEAP, "-cp", &self.class_path, "headwater.streams.Peer"];
        java.iter().chain(options).map(|part| (*part).to_owned()).collect()
    }
}

fn maven(project: &Path, folder: &Path, options: &[&str]) -> Result<bool, Box<dyn Error>> {
    let file: PathBuf = project.join("pom.xml");
    let built = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&file)
        .arg(format!("-Dfolder={}", folder.display()))
        .args(options)
        .arg("package")
        .output()
        .map_err(|error| format!("could not run mvn (Maven and a JDK are required): {error}"))?;
    Ok(built.status.success())
}

/// The summary that a run prints, measured from the start of the JVM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Records read.
    pub records: f64,
    /// Seconds until all of them were committed.
    pub seconds: f64,
    /// Number of records in the second half, when the JVM has compiled most of the code.
    pub warm_records: f64,
    /// Seconds for the second half.
    pub warm_seconds: f64,
    /// CPU time of the whole process in the second half.
    pub warm_cpu_seconds: f64,
}

impl Summary {
    /// Parses the output of a run.
    pub fn parse(stdout: &str) -> Result<Self, Box<dyn Error>> {
        let summary: serde_json::Value = serde_json::from_str(stdout.trim())?;
        let number = |name: &str| summary[name].as_f64().ok_or_else(|| format!("no \"{name}\" in {stdout}"));
        Ok(Self {
            records: number("records")?,
            seconds: number("seconds")?,
            warm_records: number("warm_records")?,
            warm_seconds: number("warm_seconds")?,
            warm_cpu_seconds: number("warm_cpu_seconds")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_is_one_line_of_json() {
        let line = r#"{"records":10,"seconds":2.5,"cpu_seconds":3.0,"warm_records":5,"warm_seconds":1.0,"warm_cpu_seconds":0.5}"#;
        let summary = Summary::parse(&format!("{line}\n")).unwrap();
        assert_eq!((summary.records, summary.warm_cpu_seconds), (10.0, 0.5));
        assert!(Summary::parse("{}").is_err());
    }
}
