//! A GROUP BY over the same bids in each format whose schemas are in a registry, next to the one over JSON in the same
//! minute.
//!
//! A continuous query writes the bids of a topic in JSON to a topic of each format, which is also measured. Every
//! answer is compared with that over JSON before its cost is used.

use std::error::Error;

use clap::Args;
use headwater_tests::binary;
use headwater_tests::scratch::Scratch;
use headwater_tests::usage::{Run, measure};

use crate::bounded::{GROUP_BY, define_bids};
use crate::shell::{Shell, sum_of};
use crate::table::{Table, Target};

const COPY: &str =
    "CREATE STREAM measured WITH (KAFKA_TOPIC = '{to}', VALUE_FORMAT = '{format}') AS SELECT * FROM bids;";
/// The columns are those of the schema that the copy registered.
const DEFINE: &str = "CREATE OR REPLACE STREAM {name} WITH (KAFKA_TOPIC = '{to}', VALUE_FORMAT = '{format}');";

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// URL of a schema registry, as `tests/real/registry up` prints it
    #[arg(long)]
    schema_registry: String,
    /// A topic that was filled by the program bids
    #[arg(long, default_value = "bids")]
    topic: String,
    /// Number of runs of each measurement
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The formats, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "AVRO,PROTOBUF,JSON_SR")]
    formats: Vec<String>,
}

/// Runs all measurements and prints the table. Fails when an answer is wrong, but not when a target is missed.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut table = Table::default();
    for format in &arguments.formats {
        measure_format(arguments, format, &mut table)?;
    }
    table.print(&format!("{} runs of each", arguments.pairs));
    Ok(())
}

fn measure_format(arguments: &Arguments, format: &str, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let Arguments { bootstrap_server, schema_registry, topic, pairs, .. } = arguments;
    let scratch = Scratch::new(bootstrap_server, "bench");
    let name = format.to_lowercase();
    let to = scratch.topic(&name);
    let fill = |text: &str| text.replace("{to}", &to).replace("{format}", format).replace("{name}", &name);
    let copied = copy(arguments, &scratch, &[define_bids(topic), fill(COPY)].join("\n"))?;
    let shell = Shell::at_cluster(binary::headwater(), bootstrap_server).with_registry(schema_registry);
    shell.run(&[define_bids(topic), fill(DEFINE)].concat())?;
    let grouped = GROUP_BY.replace("bids", &name);
    let (mut json, mut own) = (Vec::new(), Vec::new());
    for number in 0..*pairs {
        let runs = (shell.run(GROUP_BY)?, shell.run(&grouped)?);
        compare(format, &runs.0, &runs.1)?;
        eprintln!("{format} {number}: JSON {:.2} CPU s, {format} {:.2} CPU s", runs.0.cpu_seconds, runs.1.cpu_seconds);
        json.push(runs.0);
        own.push(runs.1);
    }
    // The subject of the topic, too.
    shell.run(&format!("DROP STREAM {name} DELETE TOPIC;"))?;
    let millions = sum_of(&json[0], "N")? as f64 / 1e6;
    let cpu = |runs: &[Run]| runs.iter().map(|run| run.cpu_seconds / millions).collect::<Vec<_>>();
    table.add(&format!("{format}, written from JSON, CPU s/M"), 2, cpu(&[copied]), None);
    table.add("JSON, GROUP BY, CPU s/M", 2, cpu(&json), None);
    table.add(&format!("{format}, GROUP BY, CPU s/M"), 2, cpu(&own), None);
    let ratios = json.iter().zip(&own).map(|(json, own)| own.cpu_seconds / json.cpu_seconds).collect();
    // JSON_SR is JSON with five bytes in front.
    let limit = if format == "JSON_SR" { 1.1 } else { 1.0 };
    table.add(&format!("{format}, GROUP BY, CPU, ratio to JSON"), 2, ratios, Some(Target::Below(limit)));
    Ok(())
}

/// Runs a continuous query until its source has been read.
fn copy(arguments: &Arguments, scratch: &Scratch, statements: &str) -> Result<Run, Box<dyn Error>> {
    let file = tempfile::Builder::new().suffix(".sql").tempfile()?;
    std::fs::write(file.path(), statements)?;
    let (program, file) = (binary::headwater().display().to_string(), file.path().display().to_string());
    let Arguments { bootstrap_server, schema_registry, .. } = arguments;
    let places = ["--bootstrap-server", bootstrap_server, "--schema-registry", schema_registry];
    let options = ["--until-idle", "--service-id", scratch.name()];
    measure(&std::env::current_exe()?, &[&[program.as_str(), "run", &file], &places[..], &options[..]].concat())
}

/// Fails unless both have the same groups.
fn compare(format: &str, json: &Run, own: &Run) -> Result<(), Box<dyn Error>> {
    let sorted = |run: &Run| {
        let mut lines: Vec<_> = run.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    match sorted(json) == sorted(own) {
        true => Ok(()),
        false => Err(format!("the groups over {format} are not those over JSON").into()),
    }
}
