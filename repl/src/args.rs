//! The command line as it was typed. What it means is decided in [`crate::options`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::check::{GUIDE, Mode};
use crate::output::Output;

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "headwater", version, about = ABOUT, after_help = AFTER_HELP)]
pub struct LowArgs {
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,

    /// SQL to run instead of a shell; may be given several times
    #[arg(short = 'e', long = "execute", value_name = "SQL", allow_hyphen_values = true)]
    pub execute: Vec<String>,

    /// A file of statements to run instead of a shell; runs before -e
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,

    /// Another way of running
    #[command(subcommand)]
    pub way: Option<Way>,
}

/// Arguments of the shell, of scripts and of the demo.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// The Kafka cluster; without it a broker runs inside this process [env: HEADWATER_BOOTSTRAP_SERVER]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,

    /// The folder of the broker inside this process [default: ~/.local/share/headwater]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// The installation that definitions belong to; processes with one id see each other's
    #[arg(long, global = true, value_name = "NAME")]
    pub service_id: Option<String>,

    /// A file of properties, one `name=value` a line; `kafka.*` go to the Kafka client
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A property, as in the file; wins over it
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    pub set: Vec<String>,

    /// A variable, used as ${NAME} in statements
    #[arg(short = 'd', long = "define", global = true, value_name = "NAME=VALUE")]
    pub define: Vec<String>,

    /// How answers are written
    #[arg(long, global = true, value_enum, default_value_t, ignore_case = true)]
    pub output: Output,

    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,

    /// Tell more in the log; twice for still more [env: HEADWATER_LOG]
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When output is coloured.
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

/// Ways of running other than the shell.
#[derive(Clone, Debug, Subcommand)]
pub enum Way {
    /// Runs the broker alone, for other processes and other Kafka clients
    Broker {
        /// The address to listen on
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
        listen: String,
    },
    /// Applies files of statements and runs their persistent queries, until SIGTERM or Ctrl-C
    Run {
        /// Statements: CREATE, CREATE … AS SELECT, INSERT INTO … SELECT, SET, DEFINE; anything that already exists is left unchanged
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// End when all input that is there now is processed and committed
        #[arg(long)]
        until_idle: bool,

        /// End with 1 as soon as one query has stopped for good; without it the process ends when all have
        #[arg(long, conflicts_with = "until_idle")]
        exit_on_failure: bool,
    },
    /// Runs files of statements with the answers they must give, in memory: `headwater test --help` shows how to write one
    #[command(after_help = GUIDE)]
    Test {
        /// Test files, and folders in which every *.test is one
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Write the answers that are found into the files; read what changed
        #[arg(long)]
        accept: bool,

        /// How persistent queries are driven; what a file answers must be the same in all
        #[arg(long, value_enum, value_delimiter = ',', value_name = "MODE", default_values_t = Mode::ALL)]
        modes: Vec<Mode>,

        /// Also compare each stream that a query made with what the bounded query gives, unless the file says
        /// `-- not judged: why`
        #[arg(long)]
        judge: bool,
    },
    /// Starts everything, feeds two topics, shows a tour of queries, and leaves you in the shell
    Demo,
}

const ABOUT: &str = "SQL over Kafka topics in one binary.

Without arguments it starts a shell on a Kafka broker inside this process; with --bootstrap-server
the same shell works on your cluster. Statements end with `;`. Type `help` in the shell.";

const AFTER_HELP: &str = "\
Examples:
  headwater demo
      streams that are alive, a tour of queries over them, then a shell to ask your own
  headwater
      a shell; the broker inside it keeps its topics in a folder and can be written to by any client
  headwater --bootstrap-server kafka-1:9092 -e 'SHOW TOPICS;'
      one statement on a cluster
  headwater --output json -e 'SELECT * FROM orders LIMIT 10;' | jq .AMOUNT
      rows for another program: one JSON object a line, nothing else
  headwater -f schema.sql --define topic=orders_v2
      a script, with ${topic} replaced in it; `cat schema.sql | headwater` does the same
  headwater --config prod.properties --set kafka.sasl.password=...
      prod.properties: bootstrap.servers=..., kafka.security.protocol=SASL_SSL, kafka.sasl.username=...
  headwater --bootstrap-server kafka-1:9092 run service.sql
      runs the persistent queries of a file; start it as often as you like, on as many machines
  headwater test queries/ --accept
      runs the statements of every *.test file and writes what they answer; without --accept, compares
  headwater broker --listen 127.0.0.1:9092 --data ./topics
      the broker alone

Exit codes:
  0  everything was done          1  a statement, a test or a query failed; a script stops there
  2  wrong usage                  3  the cluster or the broker could not be used
  130  Ctrl-C outside the shell";
