//! What the command line means here: which cluster, which work, which settings.
//!
//! Arguments, the properties file and the environment are brought together once; where they speak
//! of one thing the more deliberate wins: an argument over `--set`, over the environment, over the
//! file. Nothing later looks at an environment variable or a file of settings again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use headwater_connectors::transport::kafka::is_client_property;

use crate::args::{Color, Common, LowArgs, Way};
use crate::check::Rules;
use crate::output::Output;
use crate::properties;

/// The variable that names a cluster.
pub const BOOTSTRAP_VARIABLE: &str = "HEADWATER_BOOTSTRAP_SERVER";
/// The prefix of properties that go to the Kafka client as they are.
pub const KAFKA_PREFIX: &str = "kafka.";
/// The service id when none is given: ksqlDB's, so that its definitions are found.
pub const SERVICE_ID_DEFAULT: &str = "default_";

/// What the surroundings say, gathered in one place so that tests can say it too.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// Standard input is a terminal.
    pub input_is_terminal: bool,
    /// Standard output is a terminal.
    pub output_is_terminal: bool,
    /// Standard error is a terminal.
    pub errors_are_terminal: bool,
}

/// What is to be done, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is to be done.
    pub work: Work,
    /// Where the topics are.
    pub place: Place,
    /// The installation that definitions belong to.
    pub service_id: String,
    /// Properties for the Kafka client, by librdkafka's names.
    pub kafka: BTreeMap<String, String>,
    /// Properties of the session; the engine refuses unknown ones.
    pub session: BTreeMap<String, String>,
    /// Variables of the session.
    pub variables: Vec<(String, String)>,
    /// How answers are written.
    pub output: Output,
    /// Whether standard output is coloured.
    pub color_output: bool,
    /// Whether standard error is coloured.
    pub color_errors: bool,
    /// How much the log tells: 0 warnings, 1 changes of state, 2 decisions.
    pub verbosity: u8,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Ask at a prompt.
    Shell,
    /// Run what comes from standard input.
    Input,
    /// Run these files, then these texts.
    Scripts {
        /// Files, run first.
        files: Vec<PathBuf>,
        /// Texts.
        texts: Vec<String>,
    },
    /// Feed topics, show the tour, then the prompt if there is a terminal.
    Demo,
    /// Run the broker alone on this address.
    Broker {
        /// The address to listen on.
        listen: String,
    },
    /// Statements that describe a service, and its queries run.
    Run {
        /// Their files.
        files: Vec<PathBuf>,
        /// End when all input that is there is processed.
        until_idle: bool,
        /// End as soon as one query has stopped for good.
        exit_on_failure: bool,
    },
    /// Check test files, in memory.
    Test {
        /// Files and folders.
        paths: Vec<PathBuf>,
        /// How.
        rules: Rules,
    },
}

/// Where the topics are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a cluster with these brokers.
    Cluster(String),
    /// In a folder, behind the broker inside this process.
    Folder(PathBuf),
    /// Nowhere for long: behind a broker inside this process that forgets.
    Memory,
}

impl Options {
    /// Decides what the arguments mean. Fails in words when they contradict each other or a file
    /// cannot be read.
    pub fn resolve(low: LowArgs, around: &Surroundings) -> Result<Self, String> {
        let mut settings = Settings::gather(&low.common)?;
        settings.check_prefixes()?;
        let mut work = work(&low, around)?;
        let place = place(&low.common, &mut settings, &work, around)?;
        if let Place::Cluster(brokers) = &place {
            check_ports(brokers)?;
        }
        let variables: Vec<(String, String)> =
            low.common.define.iter().map(|text| properties::pair(text)).collect::<Result<_, _>>()?;
        if let Work::Test { rules, .. } = &mut work {
            rules.session = session_statements(&settings.session, &variables);
        }
        let service_id = low.common.service_id.clone().or(settings.service_id);
        Ok(Self {
            work,
            place,
            service_id: service_id.unwrap_or_else(|| SERVICE_ID_DEFAULT.to_string()),
            kafka: settings.kafka,
            session: settings.session,
            variables,
            output: low.common.output,
            color_output: colored(low.common.color, around.output_is_terminal, around),
            color_errors: colored(low.common.color, around.errors_are_terminal, around),
            verbosity: low.common.verbose,
        })
    }
}

/// What `--set` and `--define` said, as the statements they stand for: the engine checks them.
pub fn session_statements(session: &BTreeMap<String, String>, variables: &[(String, String)]) -> Vec<String> {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let sets = session.iter().map(|(name, value)| format!("SET {} = {};", text(name), text(value)));
    let defines = variables.iter().map(|(name, value)| format!("DEFINE {name} = {};", text(value)));
    sets.chain(defines).collect()
}

/// Properties sorted by who they are for.
#[derive(Default)]
struct Settings {
    bootstrap_set: Option<String>,
    bootstrap_in_file: Option<String>,
    service_id: Option<String>,
    kafka: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
}

impl Settings {
    fn gather(common: &Common) -> Result<Self, String> {
        let mut settings = Self::default();
        if let Some(path) = &common.config {
            properties::read(path)?.into_iter().for_each(|(name, value)| settings.put(name, value));
            settings.bootstrap_in_file = settings.bootstrap_set.take();
        }
        for argument in &common.set {
            let (name, value) = properties::pair(argument)?;
            settings.put(name, value);
        }
        Ok(settings)
    }

    /// A property of the Kafka client without its prefix would be refused with its value beside it, which may be a password.
    fn check_prefixes(&self) -> Result<(), String> {
        match self.session.keys().find(|name| is_client_property(name)) {
            Some(name) => Err(format!("property \"{name}\" does not exist; did you mean {KAFKA_PREFIX}{name}?")),
            None => Ok(()),
        }
    }

    fn put(&mut self, name: String, value: String) {
        match name.as_str() {
            "bootstrap.servers" | "kafka.bootstrap.servers" => self.bootstrap_set = Some(value),
            "ksql.service.id" | "service.id" => self.service_id = Some(value),
            _ => match name.strip_prefix(KAFKA_PREFIX) {
                Some(kafka) => drop(self.kafka.insert(kafka.to_string(), value)),
                None => drop(self.session.insert(name, value)),
            },
        }
    }
}

fn work(low: &LowArgs, around: &Surroundings) -> Result<Work, String> {
    let has_scripts = !low.execute.is_empty() || !low.file.is_empty();
    match &low.way {
        Some(_) if has_scripts => Err("-e and -f run statements; they cannot be given with a subcommand".into()),
        Some(Way::Broker { listen }) => Ok(Work::Broker { listen: listen.clone() }),
        Some(Way::Demo) => Ok(Work::Demo),
        Some(Way::Run { files, until_idle, exit_on_failure }) => {
            let (until_idle, exit_on_failure) = (*until_idle, *exit_on_failure);
            Ok(Work::Run { files: files.clone(), until_idle, exit_on_failure })
        }
        Some(Way::Test { paths, accept, modes, judge }) => {
            let rules = Rules { modes: modes.clone(), judge: *judge, accept: *accept, session: Vec::new() };
            Ok(Work::Test { paths: paths.clone(), rules })
        }
        None if has_scripts => Ok(Work::Scripts { files: low.file.clone(), texts: low.execute.clone() }),
        None if around.input_is_terminal => Ok(Work::Shell),
        None => Ok(Work::Input),
    }
}

fn place(common: &Common, settings: &mut Settings, work: &Work, around: &Surroundings) -> Result<Place, String> {
    let argument = common.bootstrap_server.clone();
    let variable = around.variables.get(BOOTSTRAP_VARIABLE).filter(|value| !value.is_empty()).cloned();
    let chosen = argument.clone().or(settings.bootstrap_set.take());
    let surrounding = variable.or(settings.bootstrap_in_file.take());
    if matches!(work, Work::Test { .. }) {
        // Whatever the surroundings say: tests touch no cluster.
        let is_given = chosen.is_some() || common.data.is_some();
        let fact = "`headwater test` runs in memory; it takes no cluster and no --data";
        return if is_given { Err(fact.into()) } else { Ok(Place::Memory) };
    }
    match (chosen, &common.data, surrounding) {
        (Some(_), Some(_), _) => {
            Err("a cluster and --data were given; the folder is for the broker inside this process".into())
        }
        (Some(_), None, _) if matches!(work, Work::Broker { .. }) => {
            Err("a cluster was given; `headwater broker` runs a broker of its own".into())
        }
        (Some(brokers), None, _) => Ok(Place::Cluster(brokers)),
        (None, Some(folder), _) => Ok(Place::Folder(folder.clone())),
        (None, None, Some(brokers)) if !matches!(work, Work::Broker { .. }) => Ok(Place::Cluster(brokers)),
        (None, None, _) if *work == Work::Demo => Ok(Place::Memory),
        (None, None, _) => data_folder(around).map(Place::Folder),
    }
}

/// librdkafka cuts a port that is too large to one that is not, and asks there.
fn check_ports(brokers: &str) -> Result<(), String> {
    let port = |broker: &'_ str| broker.rsplit_once(':').map(|(_, port)| port.to_owned());
    let is_wrong =
        |port: &String| port.bytes().all(|b| b.is_ascii_digit()) && !port.parse::<u16>().is_ok_and(|p| p > 0);
    match brokers.split(',').filter_map(port).find(is_wrong) {
        Some(port) => Err(format!("\"{brokers}\" has the port {port}; ports are from 1 to 65535")),
        None => Ok(()),
    }
}

/// `$XDG_DATA_HOME/headwater`, else `~/.local/share/headwater`.
fn data_folder(around: &Surroundings) -> Result<PathBuf, String> {
    folder(around, "XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| "HOME is not set; say with --data where topics are kept".into())
}

/// `$XDG_STATE_HOME/headwater/history`, else `~/.local/state/headwater/history`; none without a home.
pub fn history_file(around: &Surroundings) -> Option<PathBuf> {
    folder(around, "XDG_STATE_HOME", ".local/state").map(|folder| folder.join("history"))
}

fn folder(around: &Surroundings, variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| around.variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("headwater"))
}

fn colored(choice: Color, is_terminal: bool, around: &Surroundings) -> bool {
    let says = |name: &str| around.variables.get(name).map(String::as_str).unwrap_or("");
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && says("NO_COLOR").is_empty() && says("TERM") != "dumb",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_none_is_refused() {
        for (brokers, good) in [("a:9092,b", true), ("a:70000", false), ("a:1,b:0", false), ("[::1]:9092", true)] {
            assert_eq!(check_ports(brokers).is_ok(), good, "{brokers}");
        }
    }
    use clap::Parser;

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Surroundings { variables: variables.collect(), input_is_terminal: true, ..Surroundings::default() }
    }

    fn resolve(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let low = LowArgs::try_parse_from([&["headwater"], arguments].concat()).map_err(|error| error.to_string())?;
        Options::resolve(low, &around(variables))
    }

    fn place_of(arguments: &[&str], variables: &[(&str, &str)]) -> Place {
        resolve(arguments, variables).unwrap().place
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        LowArgs::command().debug_assert();
    }

    #[test]
    fn topics_are_where_the_most_deliberate_word_says() {
        let env = [(BOOTSTRAP_VARIABLE, "env:1"), ("HOME", "/home/u")];
        let home = [("HOME", "/home/u")];
        let cluster = |address: &str| Place::Cluster(address.into());
        assert_eq!(place_of(&[], &home), Place::Folder("/home/u/.local/share/headwater".into()));
        assert_eq!(place_of(&[], &[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), Place::Folder("/d/headwater".into()));
        assert_eq!(place_of(&[], &env), cluster("env:1"));
        assert_eq!(place_of(&["--bootstrap-server", "a:1", "--set", "bootstrap.servers=s:1"], &env), cluster("a:1"));
        assert_eq!(place_of(&["--set", "bootstrap.servers=s:1"], &env), cluster("s:1"));
        assert_eq!(place_of(&["--data", "here"], &env), Place::Folder("here".into()));
        assert_eq!(place_of(&["demo"], &home), Place::Memory);
        assert_eq!(place_of(&["test", "a.test"], &env), Place::Memory);
        assert_eq!(place_of(&["broker"], &env), Place::Folder("/home/u/.local/share/headwater".into()));
    }

    #[test]
    fn contradictions_are_refused() {
        for arguments in [
            &["--bootstrap-server", "a:1", "--data", "d"][..],
            &["-e", "SELECT 1;", "demo"],
            &["broker", "--bootstrap-server", "a:1"],
            &["test", "a.test", "--data", "d"],
            &["test", "a.test", "--bootstrap-server", "a:1"],
            &["test"],
            &["test", "a.test", "--modes", "none"],
            &["--set", "novalue"],
            &["--output", "xml"],
        ] {
            assert!(resolve(arguments, &[("HOME", "/h")]).is_err(), "{arguments:?}");
        }
        assert!(resolve(&[], &[]).unwrap_err().contains("--data"));
    }

    #[test]
    fn properties_go_to_whom_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.properties");
        std::fs::write(&file, "bootstrap.servers=f:1\nkafka.sasl.username=u\nksql.service.id=s1\na.b=1\nc=2\n")
            .unwrap();
        let file = file.to_str().unwrap();
        let options = resolve(&["--config", file, "--set", "a.b=3", "--set", "kafka.debug=all"], &[]).unwrap();
        assert_eq!(options.place, Place::Cluster("f:1".into()));
        assert_eq!(options.service_id, "s1");
        let pairs = |map: &BTreeMap<String, String>| format!("{map:?}");
        assert_eq!(pairs(&options.kafka), r#"{"debug": "all", "sasl.username": "u"}"#);
        assert_eq!(pairs(&options.session), r#"{"a.b": "3", "c": "2"}"#);
        let env = [(BOOTSTRAP_VARIABLE, "env:1")];
        assert_eq!(place_of(&["--config", file], &env), Place::Cluster("env:1".into()));
    }

    #[test]
    fn a_client_property_without_its_prefix_is_refused_without_its_value() {
        for name in ["sasl.password", "ssl.key.password", "security.protocol", "sasl.oauthbearer.client.secret"] {
            let error = resolve(&["--set", &format!("{name}=hidden")], &[("HOME", "/h")]).unwrap_err();
            assert_eq!(error, format!("property \"{name}\" does not exist; did you mean kafka.{name}?"));
        }
        assert!(resolve(&["--set", "isolation.level=read_uncommitted"], &[("HOME", "/h")]).is_ok());
    }

    #[test]
    fn work_is_what_was_asked_for() {
        let home = [("HOME", "/h")];
        let work = |arguments: &[&str]| resolve(arguments, &home).unwrap().work;
        assert_eq!(work(&[]), Work::Shell);
        assert_eq!(
            work(&["-e", "a;", "-f", "x.sql", "-e", "b;"]),
            Work::Scripts { files: vec!["x.sql".into()], texts: vec!["a;".into(), "b;".into()] }
        );
        assert_eq!(work(&["broker", "--listen", "h:1"]), Work::Broker { listen: "h:1".into() });
        let test = |arguments: &[&str]| match work(arguments) {
            Work::Test { rules, .. } => rules,
            other => panic!("{other:?}"),
        };
        let rules = test(&["test", "a", "b", "--set", "x=it's"]);
        assert_eq!(rules, Rules { session: vec!["SET 'x' = 'it''s';".into()], ..Rules::default() });
        assert_eq!(test(&["test", "a", "--modes", "two-instances,one-batch"]).modes.len(), 2);
        let mut piped = around(&home);
        piped.input_is_terminal = false;
        let low = LowArgs::try_parse_from(["headwater"]).unwrap();
        assert_eq!(Options::resolve(low, &piped).unwrap().work, Work::Input);
    }

    #[test]
    fn colour_is_for_terminals() {
        let on = Surroundings { output_is_terminal: true, ..around(&[("HOME", "/h")]) };
        assert!(colored(Color::Auto, true, &on));
        assert!(!colored(Color::Auto, false, &on));
        assert!(!colored(Color::Auto, true, &around(&[("NO_COLOR", "1")])));
        assert!(colored(Color::Always, false, &on));
        assert!(!colored(Color::Never, true, &on));
    }
}
