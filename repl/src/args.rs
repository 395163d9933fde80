//! The command line as it was typed. [`crate::options`] decides what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::check::{GUIDE, Mode};
use crate::output::Output;

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "headwater", version, about = ABOUT, after_help = AFTER_HELP)]
pub struct LowArgs {
    /// Options that every subcommand has.
    #[command(flatten)]
    pub common: Common,

    /// SQL to run instead of a shell; may be given several times
    #[arg(short = 'e', long = "execute", value_name = "SQL", allow_hyphen_values = true)]
    pub execute: Vec<String>,

    /// A file of statements to run instead of a shell; may be given several times, and runs before -e
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,

    /// The subcommand
    #[command(subcommand)]
    pub way: Option<Way>,
}

/// Options of the shell, scripts and all subcommands.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// The Kafka cluster to use; without it, a broker runs inside this process [env: HEADWATER_BOOTSTRAP_SERVER]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,

    /// The Schema Registry to use; of several, the first one that answers. Without it, one answers beside the broker inside
    /// this process [env: HEADWATER_SCHEMA_REGISTRY]
    #[arg(long, global = true, value_name = "URL[,URL]")]
    pub schema_registry: Option<String>,

    /// The data folder of the broker inside this process [default: ~/.local/share/headwater]; with a cluster, the folder for
    /// local snapshots of the state of persistent queries and for state that does not fit in memory [default: none]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// The service that definitions belong to; processes with the same id share their definitions
    #[arg(long, global = true, value_name = "NAME")]
    pub service_id: Option<String>,

    /// A file of properties, one `name=value` per line; properties with the prefix `kafka.` configure the Kafka client
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets a property, as in the file, and overrides it
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    pub set: Vec<String>,

    /// Defines a variable, used as ${NAME} in statements
    #[arg(short = 'd', long = "define", global = true, value_name = "NAME=VALUE")]
    pub define: Vec<String>,

    /// The output format
    #[arg(long, global = true, value_enum, default_value_t, ignore_case = true)]
    pub output: Output,

    /// When to use colors
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,

    /// Log more; twice for even more [env: HEADWATER_LOG]
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When output is colored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Way {
    /// Runs only the broker, for other processes and other Kafka clients
    #[command(after_help = BROKER_HELP)]
    Broker {
        /// The address to listen on [default: 127.0.0.1:9092, or that of the property listeners]
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<String>,

        /// The loopback address of the Schema Registry beside it, or `none` [default: 127.0.0.1:8081 beside port 9092,
        /// otherwise a free port that the folder keeps]
        #[arg(long, value_name = "HOST:PORT")]
        registry: Option<String>,
    },
    /// Applies files of statements and runs their persistent queries until SIGTERM or Ctrl-C
    Run {
        /// Files of statements: CREATE, CREATE … AS SELECT, INSERT INTO … SELECT, SET, DEFINE; anything that already
        /// exists is left unchanged
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// Exit when all input that exists now is processed and committed
        #[arg(long)]
        until_idle: bool,

        /// Exit with status 1 as soon as one query has stopped permanently; without it, the process exits when all have
        #[arg(long, conflicts_with = "until_idle")]
        exit_on_failure: bool,
    },
    /// Runs test files, which contain statements and their expected answers, in memory; see `headwater test --help` for
    /// the format
    #[command(after_help = GUIDE)]
    Test {
        /// Test files, and folders whose *.test files are run
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Write the actual answers to the files; review the changes afterwards
        #[arg(long)]
        accept: bool,

        /// How persistent queries are run; the answers of a file must be the same in all modes
        #[arg(long, value_enum, value_delimiter = ',', value_name = "MODE", default_values_t = Mode::ALL)]
        modes: Vec<Mode>,

        /// Also compare each stream and table written by a query with the result of the bounded query, unless the file
        /// contains `-- not judged: why`
        #[arg(long)]
        judge: bool,
    },
    /// Starts a broker, writes to two topics, shows a tour of queries, and opens the shell
    Demo,
}

const ABOUT: &str = "SQL over Kafka topics in one binary.

Without arguments it starts a shell on a Kafka broker inside this process, with a Schema Registry
beside it; with --bootstrap-server and --schema-registry the same shell works on your cluster. Statements end with `;`. Type `help` in the shell.";

const BROKER_HELP: &str = "\
It is one Kafka broker for your laptop, your tests and for trying things out. Any Kafka client can
use it: producers with idempotence and transactions, consumer groups, admin tools. Topics are kept
in the data folder, and are there again after a restart or a kill -9.

A Schema Registry answers beside it, on loopback only, for serializers and tools that speak the API
of Confluent's registry: schemas in AVRO, PROTOBUF and JSON with references, compatibility levels
and deletion. They are kept in the topic _schemas. It has no users, contexts and data contracts.

Use a real Kafka cluster for production data. Here nothing is replicated, so a lost disk is lost
data; there is no TLS and no user, so anyone who reaches the port can read and change everything;
and there is no second broker that goes on when this one ends.

--config takes a file of Kafka's own properties, and --set single ones: listeners,
advertised.listeners, log.dirs, num.partitions, auto.create.topics.enable,
group.initial.rebalance.delay.ms, group.consumer.session.timeout.ms,
group.consumer.heartbeat.interval.ms, log.retention.check.interval.ms, offsets.retention.minutes,
offsets.retention.check.interval.ms, and the defaults of all settings of topics by the broker's
names for them, such as log.retention.hours, log.segment.bytes, log.cleanup.policy and
log.flush.interval.ms. What the broker does not have, such as ssl.keystore.location or
replica.fetch.max.bytes, is refused by name.

Examples:
  headwater broker
      on 127.0.0.1:9092, with the topics that `headwater` without arguments uses, and a Schema
      Registry on http://127.0.0.1:8081, unless another program has that port
  headwater broker --data ./topics --listen 127.0.0.1:19092
      another folder and another port; port 0 takes a free one
  headwater broker --registry 127.0.0.1:18081
      the Schema Registry on another port; `--registry none` starts only the broker
  headwater broker --set num.partitions=4 --set log.retention.hours=168
      new topics have four partitions, and records are deleted after a week, not kept for ever
  headwater broker --config server.properties
      listeners=PLAINTEXT://0.0.0.0:9092, advertised.listeners=PLAINTEXT://host.docker.internal:9092:
      for clients in containers; anyone in the network can reach it, too";

const AFTER_HELP: &str = "\
Examples:
  headwater demo
      live streams and a tour of queries over them, then a shell for your own queries
  headwater
      a shell; the broker inside it keeps its topics in a folder and can be written to by any client
  headwater --bootstrap-server kafka-1:9092 -e 'SHOW TOPICS;'
      one statement on a cluster
  headwater --output json -e 'SELECT * FROM orders LIMIT 10;' | jq .AMOUNT
      rows for another program: one JSON object per line and nothing else
  headwater -f schema.sql --define topic=orders_v2
      a script, with ${topic} replaced in it; `cat schema.sql | headwater` does the same
  headwater --config prod.properties --set kafka.sasl.password=...
      prod.properties: bootstrap.servers=..., kafka.security.protocol=SASL_SSL, kafka.sasl.username=...
  headwater --bootstrap-server kafka-1:9092 --schema-registry https://registry-1:8081
      with the registry of your cluster; its credentials are properties, by Confluent's names:
      schema.registry.url, basic.auth.user.info, bearer.auth.token, schema.registry.ssl.ca.location
  headwater --bootstrap-server kafka-1:9092 run service.sql
      runs the persistent queries of a file; start it as often as you like, on as many machines
  headwater test queries/ --accept
      runs the statements of every *.test file and writes what they answer; without --accept, compares
  headwater broker --listen 127.0.0.1:9092 --data ./topics
      only the broker

Exit codes:
  0  everything was done          1  a statement, a test or a query failed; a script stops there
  2  invalid usage                3  the cluster or the broker could not be used
  130  Ctrl-C outside the shell";
