//! The meaning of the command line: which cluster, which work, which settings.
//!
//! Combines arguments, the properties file and the environment once. An argument overrides `--set`, which overrides the
//! environment, which overrides the file. Nothing else reads environment variables or files of settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use headwater_connectors::transport::kafka::is_client_property;
use headwater_engine::config::STATE_MEMORY;
use headwater_registry::Settings as RegistrySettings;

use crate::args::{Color, Common, LowArgs, Way};
use crate::check::Rules;
use crate::output::Output;
use crate::properties;
use crate::registry_properties::{self, RegistryProperties};

/// The environment variable with the cluster's address.
pub const BOOTSTRAP_VARIABLE: &str = "HEADWATER_BOOTSTRAP_SERVER";
/// The environment variable with the URL of the Schema Registry.
pub const REGISTRY_VARIABLE: &str = "HEADWATER_SCHEMA_REGISTRY";
/// The prefix of properties that are passed to the Kafka client.
pub const KAFKA_PREFIX: &str = "kafka.";
/// The default service id: ksqlDB's, so that its definitions are found.
pub const SERVICE_ID_DEFAULT: &str = "default_";

/// The environment of the process, in one location so that tests can replace it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// Whether standard input is a terminal.
    pub input_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub output_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub errors_are_terminal: bool,
}

/// What to do, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub work: Work,
    /// Where the topics are.
    pub location: Location,
    /// Whether a data folder was given.
    pub is_data_given: bool,
    /// The folder for local snapshots of the state of persistent queries, and for what does not fit in memory, if there is one.
    pub state_folder: Option<PathBuf>,
    /// The service that definitions belong to.
    pub service_id: String,
    /// How much memory the state of persistent queries may have, if that was given.
    pub state_memory: Option<String>,
    /// The Schema Registry to use, if one is given; otherwise the one beside the broker inside this process, if there is one.
    pub registry: Option<RegistrySettings>,
    /// Properties of the Kafka client, by librdkafka's names.
    pub kafka: BTreeMap<String, String>,
    /// Properties of the session; the engine rejects unknown ones.
    pub session: BTreeMap<String, String>,
    /// Variables of the session.
    pub variables: Vec<(String, String)>,
    /// The output format.
    pub output: Output,
    /// Whether standard output is colored.
    pub color_output: bool,
    /// Whether standard error is colored.
    pub color_errors: bool,
    /// How much to log: 0 warnings, 1 changes of state, 2 decisions.
    pub verbosity: u8,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Open the shell.
    Shell,
    /// Run standard input.
    Input,
    /// Run these files, then these texts.
    Scripts {
        /// Files, run first.
        files: Vec<PathBuf>,
        /// Texts.
        texts: Vec<String>,
    },
    /// Write demo records, show the tour, then open the shell if there is a terminal.
    Demo,
    /// Run only the broker.
    Broker {
        /// The address to listen on, if one was given.
        listen: Option<String>,
        /// The Schema Registry beside it.
        registry: RegistryChoice,
        /// Kafka's own properties, a later one of a name in place of an earlier one.
        properties: Vec<(String, String)>,
    },
    /// Apply the statements that describe a service, and run its queries.
    Run {
        /// The files of statements.
        files: Vec<PathBuf>,
        /// Exit when all existing input is processed.
        until_idle: bool,
        /// Exit as soon as one query has stopped permanently.
        exit_on_failure: bool,
    },
    /// Run test files, in memory.
    Test {
        /// Files and folders.
        paths: Vec<PathBuf>,
        /// How.
        rules: Rules,
    },
}

/// The Schema Registry beside a broker that runs alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryChoice {
    /// Where it usually is.
    Default,
    /// At this address.
    At(String),
    /// There is none.
    None,
}

/// Where the topics are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On the cluster with these brokers.
    Cluster(String),
    /// In a folder, on the broker inside this process.
    Folder(PathBuf),
    /// In memory, on a broker inside this process.
    Memory,
}

impl Options {
    /// Interprets the arguments. Fails when they contradict each other or a file cannot be read.
    pub fn resolve(low: LowArgs, around: &Surroundings) -> Result<Self, String> {
        let mut work = work(&low, around)?;
        // Those of a broker are Kafka's own.
        let is_broker = matches!(work, Work::Broker { .. });
        let mut settings = if is_broker { Settings::default() } else { Settings::gather(&low.common)? };
        settings.check_prefixes()?;
        let location = location(&low.common, &mut settings, &work, around)?;
        if let Location::Cluster(brokers) = &location {
            check_ports(brokers)?;
        }
        let registry = registry(&low.common, &settings, (&work, &location), around)?;
        let variables: Vec<(String, String)> =
            low.common.define.iter().map(|text| properties::pair(text)).collect::<Result<_, _>>()?;
        if let Work::Test { rules, .. } = &mut work {
            rules.session = session_statements(&settings.session, &variables);
        }
        let service_id = low.common.service_id.clone().or(settings.service_id);
        Ok(Self {
            work,
            state_folder: state_folder(&location, &low.common),
            location,
            is_data_given: low.common.data.is_some(),
            service_id: service_id.unwrap_or_else(|| SERVICE_ID_DEFAULT.to_string()),
            state_memory: settings.state_memory,
            registry,
            kafka: settings.kafka,
            session: settings.session,
            variables,
            output: low.common.output,
            color_output: colored(low.common.color, around.output_is_terminal, around),
            color_errors: colored(low.common.color, around.errors_are_terminal, around),
            verbosity: low.common.verbose,
        })
    }

    /// The folder for state that does not fit in memory: in the data folder, if there is one.
    pub fn cold_folder(&self) -> PathBuf {
        self.state_folder.as_ref().map_or_else(std::env::temp_dir, |folder| folder.join("cold"))
    }
}

/// The settings of `--set` and `--define` as SET and DEFINE statements, which the engine checks.
pub fn session_statements(session: &BTreeMap<String, String>, variables: &[(String, String)]) -> Vec<String> {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let sets = session.iter().map(|(name, value)| format!("SET {} = {};", text(name), text(value)));
    let defines = variables.iter().map(|(name, value)| format!("DEFINE {name} = {};", text(value)));
    sets.chain(defines).collect()
}

/// Properties, sorted by their recipient.
#[derive(Default)]
struct Settings {
    bootstrap_set: Option<String>,
    bootstrap_in_file: Option<String>,
    service_id: Option<String>,
    state_memory: Option<String>,
    registry: RegistryProperties,
    kafka: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
}

impl Settings {
    /// Those of the file and of the command line.
    fn gather(common: &Common) -> Result<Self, String> {
        let mut settings = Self::default();
        if let Some(path) = &common.config {
            properties::read(path)?.into_iter().for_each(|(name, value)| settings.put(name, value));
            settings.bootstrap_in_file = settings.bootstrap_set.take();
            settings.registry.end_of_file();
        }
        for argument in &common.set {
            let (name, value) = properties::pair(argument)?;
            settings.put(name, value);
        }
        Ok(settings)
    }

    /// Rejects a Kafka client property without its prefix, because the engine's error would show its value, which may
    /// be a password.
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
            STATE_MEMORY => self.state_memory = Some(value),
            _ if registry_properties::is_one(&name) => self.registry.set(name, value),
            _ => match name.strip_prefix(KAFKA_PREFIX) {
                Some(kafka) => drop(self.kafka.insert(kafka.to_string(), value)),
                None => drop(self.session.insert(name, value)),
            },
        }
    }
}

/// The properties of the file, and after them those of the command line.
fn all_properties(common: &Common) -> Result<Vec<(String, String)>, String> {
    let mut all = common.config.as_deref().map_or(Ok(Vec::new()), properties::read)?;
    for argument in &common.set {
        all.push(properties::pair(argument)?);
    }
    Ok(all)
}

fn work(low: &LowArgs, around: &Surroundings) -> Result<Work, String> {
    let has_scripts = !low.execute.is_empty() || !low.file.is_empty();
    match &low.way {
        Some(_) if has_scripts => Err("-e and -f cannot be used with a subcommand".into()),
        Some(Way::Broker { listen, registry }) => {
            let registry = match registry.as_deref() {
                None => RegistryChoice::Default,
                Some("none") => RegistryChoice::None,
                Some(address) => RegistryChoice::At(address.to_owned()),
            };
            Ok(Work::Broker { listen: listen.clone(), registry, properties: all_properties(&low.common)? })
        }
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

fn location(common: &Common, settings: &mut Settings, work: &Work, around: &Surroundings) -> Result<Location, String> {
    let argument = common.bootstrap_server.clone();
    let variable = around.variables.get(BOOTSTRAP_VARIABLE).filter(|value| !value.is_empty()).cloned();
    let chosen = argument.clone().or(settings.bootstrap_set.take());
    let in_file = settings.bootstrap_in_file.take();
    if matches!(work, Work::Test { .. }) {
        // Whatever the environment says, tests use no cluster.
        let is_given = chosen.is_some() || common.data.is_some();
        let fact = "`headwater test` runs in memory; a cluster or --data cannot be given";
        return if is_given { Err(fact.into()) } else { Ok(Location::Memory) };
    }
    let is_broker = matches!(work, Work::Broker { .. });
    // A file that was named beside --data means its cluster. The environment may be that of another program: it does not.
    let surrounding = match common.data {
        Some(_) => in_file,
        None => variable.or(in_file),
    };
    match (chosen, surrounding, &common.data) {
        (Some(_), ..) if is_broker => Err("`headwater broker` runs its own broker; a cluster cannot be given".into()),
        (Some(brokers), ..) => Ok(Location::Cluster(brokers)),
        (None, Some(brokers), _) if !is_broker => Ok(Location::Cluster(brokers)),
        (None, _, Some(folder)) => Ok(Location::Folder(folder.clone())),
        (None, ..) if *work == Work::Demo => Ok(Location::Memory),
        (None, ..) => data_folder(around).map(Location::Folder),
    }
}

/// The registry that is given; as for the cluster, an environment that may be that of another program does not count
/// beside --data.
fn registry(
    common: &Common,
    settings: &Settings,
    (work, location): (&Work, &Location),
    around: &Surroundings,
) -> Result<Option<RegistrySettings>, String> {
    let argument = common.schema_registry.as_deref();
    match work {
        Work::Broker { .. } if argument.is_some() => {
            return Err("`headwater broker` has a Schema Registry of its own; --registry says where, or none".into());
        }
        Work::Test { .. } if argument.is_some() || settings.registry.is_set() => {
            return Err("`headwater test` runs in memory; a Schema Registry cannot be given".into());
        }
        Work::Broker { .. } | Work::Test { .. } => return Ok(None),
        _ => {}
    }
    let is_own = common.data.is_some() && !matches!(location, Location::Cluster(_));
    let variable = around.variables.get(REGISTRY_VARIABLE).map(String::as_str).filter(|_| !is_own);
    settings.registry.resolve(argument, variable, &settings.kafka)
}

/// The folder `state` in the data folder, with a cluster only if one is given.
fn state_folder(location: &Location, common: &Common) -> Option<PathBuf> {
    let folder = match location {
        Location::Folder(folder) => Some(folder),
        Location::Cluster(_) => common.data.as_ref(),
        Location::Memory => None,
    };
    folder.map(|folder| folder.join("state"))
}

/// librdkafka truncates a port that is too large, and connects to the wrong port.
fn check_ports(brokers: &str) -> Result<(), String> {
    let port = |broker: &'_ str| broker.rsplit_once(':').map(|(_, port)| port.to_owned());
    let is_wrong =
        |port: &String| port.bytes().all(|b| b.is_ascii_digit()) && !port.parse::<u16>().is_ok_and(|p| p > 0);
    match brokers.split(',').filter_map(port).find(is_wrong) {
        Some(port) => Err(format!("invalid port {port} in \"{brokers}\"; ports are from 1 to 65535")),
        None => Ok(()),
    }
}

/// `$XDG_DATA_HOME/headwater`, otherwise `~/.local/share/headwater`.
fn data_folder(around: &Surroundings) -> Result<PathBuf, String> {
    folder(around, "XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| "HOME is not set; choose the data folder with --data".into())
}

/// `$XDG_STATE_HOME/headwater/history`, otherwise `~/.local/state/headwater/history`; `None` without a home.
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
    fn an_invalid_port_is_rejected() {
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

    fn location_of(arguments: &[&str], variables: &[(&str, &str)]) -> Location {
        resolve(arguments, variables).unwrap().location
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        LowArgs::command().debug_assert();
    }

    #[test]
    fn the_location_of_topics_follows_the_order_of_precedence() {
        let env = [(BOOTSTRAP_VARIABLE, "env:1"), ("HOME", "/home/u")];
        let home = [("HOME", "/home/u")];
        let cluster = |address: &str| Location::Cluster(address.into());
        assert_eq!(location_of(&[], &home), Location::Folder("/home/u/.local/share/headwater".into()));
        assert_eq!(
            location_of(&[], &[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]),
            Location::Folder("/d/headwater".into())
        );
        assert_eq!(location_of(&[], &env), cluster("env:1"));
        assert_eq!(location_of(&["--bootstrap-server", "a:1", "--set", "bootstrap.servers=s:1"], &env), cluster("a:1"));
        assert_eq!(location_of(&["--set", "bootstrap.servers=s:1"], &env), cluster("s:1"));
        assert_eq!(location_of(&["--data", "here"], &env), Location::Folder("here".into()));
        assert_eq!(location_of(&["demo"], &home), Location::Memory);
        assert_eq!(location_of(&["test", "a.test"], &env), Location::Memory);
        assert_eq!(location_of(&["broker"], &env), Location::Folder("/home/u/.local/share/headwater".into()));
    }

    #[test]
    fn state_is_kept_in_the_data_folder() {
        let folder_of = |arguments: &[&str]| resolve(arguments, &[("HOME", "/h")]).unwrap().state_folder;
        assert_eq!(folder_of(&["--data", "d"]), Some("d/state".into()));
        assert_eq!(folder_of(&["--bootstrap-server", "a:1"]), None);
        assert_eq!(folder_of(&["--bootstrap-server", "a:1", "--data", "d"]), Some("d/state".into()));
        assert_eq!(location_of(&["--bootstrap-server", "a:1", "--data", "d"], &[]), Location::Cluster("a:1".into()));
        assert_eq!(folder_of(&["demo"]), None);
    }

    #[test]
    fn contradictions_are_rejected() {
        for arguments in [
            &["-e", "SELECT 1;", "demo"][..],
            &["broker", "--bootstrap-server", "a:1"],
            &["test", "a.test", "--data", "d"],
            &["test", "a.test", "--bootstrap-server", "a:1"],
            &["test", "a.test", "--schema-registry", "http://a:1"],
            &["test", "a.test", "--set", "schema.registry.url=http://a:1"],
            &["broker", "--schema-registry", "http://a:1"],
            &["--schema-registry", "a:1"],
            &["--set", "schema.registry.urls=http://a:1"],
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
    fn properties_go_to_their_recipients() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.properties");
        std::fs::write(&file, "bootstrap.servers=f:1\nkafka.sasl.username=u\nksql.service.id=s1\na.b=1\nc=2\n")
            .unwrap();
        let file = file.to_str().unwrap();
        let sets = ["--set", "a.b=3", "--set", "kafka.debug=all", "--set", "query.state.memory.max=64MB"];
        let options = resolve(&[&["--config", file][..], &sets].concat(), &[]).unwrap();
        assert_eq!(options.state_memory.as_deref(), Some("64MB"));
        assert_eq!(options.location, Location::Cluster("f:1".into()));
        assert_eq!(options.service_id, "s1");
        let pairs = |map: &BTreeMap<String, String>| format!("{map:?}");
        assert_eq!(pairs(&options.kafka), r#"{"debug": "all", "sasl.username": "u"}"#);
        assert_eq!(pairs(&options.session), r#"{"a.b": "3", "c": "2"}"#);
        let env = [(BOOTSTRAP_VARIABLE, "env:1")];
        assert_eq!(location_of(&["--config", file], &env), Location::Cluster("env:1".into()));
        let beside = resolve(&["--config", file, "--data", "d"], &env).unwrap();
        assert_eq!((beside.location, beside.state_folder), (Location::Cluster("f:1".into()), Some("d/state".into())));
    }

    #[test]
    fn the_registry_follows_the_order_of_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.properties");
        std::fs::write(&file, "ksql.schema.registry.url=http://file:1,http://file:2\nbasic.auth.user.info=u:p\n")
            .unwrap();
        let file = ["--config", file.to_str().unwrap()];
        let env = [(REGISTRY_VARIABLE, "http://env:1"), ("HOME", "/h")];
        let home = [("HOME", "/h")];
        let urls = |arguments: &[&[&str]], variables: &[(&str, &str)]| {
            let registry = resolve(&arguments.concat(), variables).unwrap().registry;
            let urls = registry.map(|settings| settings.urls).unwrap_or_default();
            urls.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect::<Vec<_>>()
        };
        let (argument, set) = (["--schema-registry", "http://a:1"], ["--set", "schema.registry.url=http://s:1"]);
        assert_eq!(urls(&[], &home), [""; 0]);
        assert_eq!(urls(&[&file], &home), ["http://file:1", "http://file:2"]);
        assert_eq!(urls(&[&file], &env), ["http://env:1"]);
        assert_eq!(urls(&[&file, &set], &env), ["http://s:1"]);
        assert_eq!(urls(&[&file, &set, &argument], &env), ["http://a:1"]);
        // The environment of another program does not count beside --data, that of the cluster does.
        assert_eq!(urls(&[&["--data", "d"]], &env), [""; 0]);
        assert_eq!(urls(&[&["--data", "d"], &file], &env), ["http://file:1", "http://file:2"]);
        assert_eq!(urls(&[&["--data", "d", "--bootstrap-server", "a:1"]], &env), ["http://env:1"]);
        assert_eq!(urls(&[&["broker"]], &env), [""; 0]);
        assert_eq!(urls(&[&["test", "a.test"]], &env), [""; 0]);
        // Credentials are properties, wherever the URL is from.
        let settings = resolve(&[&file[..], &argument].concat(), &home).unwrap().registry.unwrap();
        assert!(settings.credentials.is_some());
        assert!(resolve(&file, &home).unwrap().session.is_empty());
    }

    #[test]
    fn state_that_does_not_fit_in_memory_is_in_the_data_folder_or_the_temporary_one() {
        let folder_of = |arguments: &[&str]| resolve(arguments, &[("HOME", "/h")]).unwrap().cold_folder();
        assert_eq!(folder_of(&["--data", "d"]), PathBuf::from("d/state/cold"));
        assert_eq!(folder_of(&["--data", "d", "--bootstrap-server", "a:1"]), PathBuf::from("d/state/cold"));
        assert_eq!(folder_of(&["--bootstrap-server", "a:1"]), std::env::temp_dir());
    }

    #[test]
    fn a_client_property_without_its_prefix_is_rejected_without_its_value() {
        for name in ["sasl.password", "ssl.key.password", "security.protocol", "sasl.oauthbearer.client.secret"] {
            let error = resolve(&["--set", &format!("{name}=hidden")], &[("HOME", "/h")]).unwrap_err();
            assert_eq!(error, format!("property \"{name}\" does not exist; did you mean kafka.{name}?"));
        }
        assert!(resolve(&["--set", "isolation.level=read_uncommitted"], &[("HOME", "/h")]).is_ok());
    }

    #[test]
    fn arguments_decide_the_work() {
        let home = [("HOME", "/h")];
        let work = |arguments: &[&str]| resolve(arguments, &home).unwrap().work;
        assert_eq!(work(&[]), Work::Shell);
        assert_eq!(
            work(&["-e", "a;", "-f", "x.sql", "-e", "b;"]),
            Work::Scripts { files: vec!["x.sql".into()], texts: vec!["a;".into(), "b;".into()] }
        );
        let broker = Work::Broker {
            listen: Some("h:1".into()),
            registry: RegistryChoice::Default,
            properties: vec![("num.partitions".into(), "2".into())],
        };
        assert_eq!(work(&["broker", "--listen", "h:1", "--set", "num.partitions=2"]), broker);
        let registry = |address: &str| match work(&["broker", "--registry", address]) {
            Work::Broker { registry, .. } => registry,
            other => panic!("{other:?}"),
        };
        assert_eq!(registry("none"), RegistryChoice::None);
        assert_eq!(registry("h:2"), RegistryChoice::At("h:2".into()));
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
    fn colors_are_for_terminals() {
        let on = Surroundings { output_is_terminal: true, ..around(&[("HOME", "/h")]) };
        assert!(colored(Color::Auto, true, &on));
        assert!(!colored(Color::Auto, false, &on));
        assert!(!colored(Color::Auto, true, &around(&[("NO_COLOR", "1")])));
        assert!(colored(Color::Always, false, &on));
        assert!(!colored(Color::Never, true, &on));
    }
}
