//! The program from its arguments to its exit code.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use headwater_connectors::transport::Transport;
use headwater_registry::Settings as RegistrySettings;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use crate::args::LowArgs;
use crate::ask::{Ask, Serve};
use crate::check::{self, Reporter, Rules};
use crate::cluster::{self, Cluster};
use crate::demo::feeder::Feeder;
use crate::demo::tour::tour;
use crate::interrupt::Interrupt;
use crate::logs::LogOutput;
use crate::options::{Options, Surroundings, Work, history_file, session_statements};
use crate::screen::{Manner, Screen};
use crate::script::Script;
use crate::session::{Session, Stop};
use crate::settings::Settings;
use crate::shell::shell;
use crate::{logs, pager, process};

/// How long to wait for threads at the end.
const THREADS_END_MAX: Duration = Duration::from_secs(2);
/// Stack size of a thread that plans statements: 100 nested queries need 4 MB, 10,000 names in a WITH 30 MB.
const STACK_BYTES: usize = 128 << 20;
/// Printed at the end of a script that created persistent queries.
const RUNS_ELSEWHERE: &str = "note: persistent queries run only while a shell or `headwater run` with their service id is open; this script has ended.";
/// Maximum number of lines of standard input that are read ahead.
const INPUT_LINES_MAX: usize = 64;

/// How the program ends; the value is the exit code. Documented in `--help`; scripts rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was done, or the reader of the output closed it.
    Done = 0,
    /// A statement failed.
    Failed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// The cluster or the broker could not be used.
    Cluster = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A connection to a cluster: what answers statements, what runs queries, and the transport that the demo writes to.
pub struct Connection {
    /// Answers statements.
    pub ask: Arc<dyn Ask>,
    /// Runs persistent queries.
    pub serve: Arc<dyn Serve>,
    /// The transport of the cluster.
    pub transport: Arc<dyn Transport>,
}

/// Connects to the brokers at an address. The error is the text shown to the user.
pub type Connect = fn(&Options, bootstrap: &str, &Handle) -> Result<Connection, String>;

/// Runs the program with the arguments of this process.
pub fn main(connect: Connect) -> ExitCode {
    // clap itself prints help and usage errors, and exits with 0 and 2.
    process::report_panics();
    let low = LowArgs::parse();
    if process::output_is_closed() {
        return ExitCode::from(complain("standard output is closed", Ending::Failed) as u8);
    }
    process::raise_descriptors();
    let ending = run(low, &surroundings(), connect);
    ExitCode::from(ending as u8)
}

fn run(low: LowArgs, around: &Surroundings, connect: Connect) -> Ending {
    let options = match Options::resolve(low, around) {
        Ok(options) => options,
        Err(message) => return complain(&message, Ending::Usage),
    };
    let log = around.variables.get(logs::VARIABLE).map(String::as_str);
    let log_output = LogOutput::default();
    if let Err(message) = logs::start(log, options.verbosity, options.color_errors, log_output.clone()) {
        return complain(&message, Ending::Usage);
    }
    let runtime = match deep_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("could not start the threads: {error}"), Ending::Cluster),
    };
    if let Work::Test { paths, rules } = &options.work {
        return check(&runtime, paths, rules, options.color_output);
    }
    let interrupt = match Interrupt::listen(is_service(&options)) {
        Ok(interrupt) => interrupt,
        Err(error) => return complain(&format!("could not listen for Ctrl-C: {error}"), Ending::Cluster),
    };
    if let Err(message) = cluster::check(&options) {
        return complain(&message, Ending::Usage);
    }
    let cluster = match runtime.block_on(Cluster::open(&options)) {
        Ok(cluster) => cluster,
        Err(message) => return complain(&message, Ending::Cluster),
    };
    if let Some(notice) = cluster.notice().filter(|_| around.errors_are_terminal || is_broker(&options)) {
        print_error(&notice);
    }
    let ending = match &options.work {
        Work::Broker { .. } => serve(&runtime, interrupt),
        _ => work(&options, around, &cluster, &runtime, interrupt, connect, &log_output),
    };
    let ending = match ending {
        // A service that is asked to end succeeds, even while it starts.
        Ending::Interrupted if matches!(options.work, Work::Run { until_idle: false, .. }) => Ending::Done,
        ending => ending,
    };
    runtime.block_on(cluster.close());
    // Threads that still use librdkafka or OpenSSL must not continue while `exit` unloads these libraries: that
    // corrupts the heap. The threads of a cancelled query end within moments.
    runtime.shutdown_timeout(THREADS_END_MAX);
    ending
}

/// A runtime whose threads have enough stack for the deepest statement that is accepted (K0204). Memory is only
/// allocated as it is used.
fn deep_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()
}

/// Runs test files; Ctrl-C ends the process with the default action.
fn check(runtime: &Runtime, paths: &[PathBuf], rules: &Rules, colored: bool) -> Ending {
    let mut out = std::io::stdout();
    let mut reporter = Reporter { out: &mut out, colored };
    match runtime.block_on(check::check(paths, rules, &mut reporter)) {
        Ok(tally) if tally.failed == 0 => Ending::Done,
        Ok(_) => Ending::Failed,
        Err(message) => complain(&message, Ending::Usage),
    }
}

/// Runs the broker until the process is asked to end.
fn serve(runtime: &Runtime, mut interrupt: Interrupt) -> Ending {
    runtime.block_on(interrupt.pressed());
    Ending::Done
}

fn work(
    options: &Options,
    around: &Surroundings,
    cluster: &Cluster,
    runtime: &Runtime,
    interrupt: Interrupt,
    connect: Connect,
    log_output: &LogOutput,
) -> Ending {
    let mut interrupt = interrupt;
    let connected = runtime.block_on(connected(options, cluster, connect, &mut interrupt));
    let Connection { ask, serve, transport } = match connected {
        Ok(connection) => connection,
        Err(ending) => return ending,
    };
    let screen = Screen::standard(manner(options, around));
    let mut session = Session::new(ask, screen, Settings::new(options.output), interrupt, runtime.handle().clone());
    let ran = set_up(&mut session, options).and_then(|()| match &options.work {
        Work::Scripts { files, texts } => scripts(&mut session, files, texts),
        Work::Input => input(&mut session),
        Work::Shell => {
            serve.work();
            prompt(&mut session, options, around, cluster, log_output)
        }
        Work::Demo => demo(&mut session, options, around, cluster, &transport, log_output),
        Work::Run { files, until_idle: true, .. } => {
            apply(&mut session, &serve, files).and_then(|()| session.until_idle())
        }
        Work::Run { files, exit_on_failure, .. } => headless(&mut session, &serve, files, *exit_on_failure),
        Work::Broker { .. } | Work::Test { .. } => Ok(()),
    });
    if matches!(options.work, Work::Scripts { .. } | Work::Input) && serve.is_working() {
        session.screen.note(RUNS_ELSEWHERE);
    }
    // Commits what this process's queries have done so far, and releases their partitions at once.
    serve.stop_queries();
    ending(ran)
}

/// Connects on another thread, so that Ctrl-C does not wait for a cluster that does not answer.
async fn connected(
    options: &Options,
    cluster: &Cluster,
    connect: Connect,
    interrupt: &mut Interrupt,
) -> Result<Connection, Ending> {
    let (mut options, bootstrap, runtime) = (options.clone(), cluster.bootstrap().to_string(), Handle::current());
    // The registry beside the broker, unless another one is given.
    options.registry = options.registry.or_else(|| RegistrySettings::at(&cluster.registry()?).ok());
    let connecting = tokio::task::spawn_blocking(move || connect(&options, &bootstrap, &runtime));
    tokio::select! {
        () = interrupt.pressed() => Err(Ending::Interrupted),
        connected = connecting => match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(message)) => Err(complain(&message, Ending::Cluster)),
            Err(error) => Err(complain(&format!("internal error while connecting: {error}"), Ending::Cluster)),
        },
    }
}

/// Runs the settings of `--set` and `--define` as SET and DEFINE statements, which the engine checks.
fn set_up(session: &mut Session, options: &Options) -> Result<(), Stop> {
    let statements = session_statements(&options.session, &options.variables);
    statements.iter().try_for_each(|statement| session.run_quietly(statement)).inspect_err(|stop| {
        if *stop == Stop::Failed {
            print_error("headwater: this statement comes from --config, --set or --define");
        }
    })
}

fn scripts(session: &mut Session, files: &[PathBuf], texts: &[String]) -> Result<(), Stop> {
    files.iter().try_for_each(|file| session.run_file(file))?;
    texts.iter().try_for_each(|text| session.run_text(text))
}

/// Applies the files that describe a service.
fn apply(session: &mut Session, serve: &Arc<dyn Serve>, files: &[PathBuf]) -> Result<(), Stop> {
    session.apply_with(serve.clone());
    let texts = session.read_all(files)?;
    // Report the errors of all files, not only the first one.
    let scripts = || files.iter().zip(&texts);
    let checked: Vec<_> =
        scripts().map(|(file, text)| session.within(file, |session| session.check_text(text))).collect();
    checked.into_iter().collect::<Result<(), Stop>>()?;
    scripts().try_for_each(|(file, text)| session.within(file, |session| session.run_text(text)))
}

/// Applies files and runs the service's queries until the process is asked to end, or until all of them (with `first`,
/// one of them) have failed permanently.
fn headless(session: &mut Session, serve: &Arc<dyn Serve>, files: &[PathBuf], first: bool) -> Result<(), Stop> {
    apply(session, serve, files)?;
    serve.work();
    session.screen.note(
        "Running the persistent queries of this service, including those created later. SIGTERM or Ctrl-C ends this process; \
         all work done until then is committed.",
    );
    session.end_asked(first)
}

/// Runs standard input statement by statement, as it arrives. Another thread reads it, so that Ctrl-C works even while
/// no input arrives.
fn input(session: &mut Session) -> Result<(), Stop> {
    let mut script = Script::default();
    let mut lines = input_lines();
    while let Some(line) = session.wait(lines.recv())? {
        match line {
            Ok(line) => script.push(&format!("{line}\n")),
            Err(error) => {
                session.screen.error(&format!("could not read standard input: {error}"));
                return Err(Stop::Failed);
            }
        }
        session.run(&mut script)?;
    }
    script.finish();
    session.run(&mut script)
}

fn input_lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel(INPUT_LINES_MAX);
    std::thread::spawn(move || {
        // Nobody receives lines after a statement has failed.
        std::io::stdin().lock().lines().try_for_each(|line| sender.blocking_send(line)).ok()
    });
    receiver
}

fn prompt(
    session: &mut Session,
    options: &Options,
    around: &Surroundings,
    cluster: &Cluster,
    log_output: &LogOutput,
) -> Result<(), Stop> {
    let greeting = format!("Headwater {} on {}. Type help, or exit.", env!("CARGO_PKG_VERSION"), cluster.bootstrap());
    session.screen.say(&greeting).map_err(|_| Stop::Closed)?;
    // A log that is redirected stays redirected.
    let log_output = around.errors_are_terminal.then_some(log_output);
    match shell(session, history_file(around), options.color_output, log_output) {
        Ok(left) => left,
        Err(error) => {
            session.screen.error(&format!("could not read from the terminal: {error}"));
            Err(Stop::Failed)
        }
    }
}

fn demo(
    session: &mut Session,
    options: &Options,
    around: &Surroundings,
    cluster: &Cluster,
    transport: &Arc<dyn Transport>,
    log_output: &LogOutput,
) -> Result<(), Stop> {
    let _feeder = Feeder::start(transport).map_err(|error| {
        session.screen.error(&format!("could not write to the topics of the demo: {error}"));
        Stop::Failed
    })?;
    // The tour is one page to scroll through, not nine results that are paged one by one.
    session.settings.pager = false;
    tour(session)?;
    session.settings.pager = true;
    if around.input_is_terminal && around.output_is_terminal {
        return prompt(session, options, around, cluster, log_output);
    }
    Ok(())
}

fn ending(ran: Result<(), Stop>) -> Ending {
    match ran {
        Ok(()) | Err(Stop::Exit | Stop::Closed) => Ending::Done,
        Err(Stop::Failed) => Ending::Failed,
        Err(Stop::Unreachable) => Ending::Cluster,
        Err(Stop::Interrupted) => Ending::Interrupted,
    }
}

/// Whether the work runs until the process is asked to end.
fn is_service(options: &Options) -> bool {
    matches!(options.work, Work::Run { .. } | Work::Broker { .. })
}

fn is_broker(options: &Options) -> bool {
    matches!(options.work, Work::Broker { .. })
}

fn complain(message: &str, ending: Ending) -> Ending {
    print_error(&format!("headwater: {message}"));
    ending
}

/// Writes to standard error; if that is closed, the text is dropped.
fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn manner(options: &Options, around: &Surroundings) -> Manner {
    Manner {
        is_terminal: around.output_is_terminal,
        color_errors: options.color_errors,
        progress: around.errors_are_terminal,
        // The output of scripts is not paged.
        pager: pager::find(&around.variables).filter(|_| matches!(options.work, Work::Shell | Work::Demo)),
    }
}

fn surroundings() -> Surroundings {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Surroundings {
        variables: std::env::vars_os().filter_map(text).collect::<BTreeMap<_, _>>(),
        input_is_terminal: std::io::stdin().is_terminal(),
        output_is_terminal: std::io::stdout().is_terminal(),
        errors_are_terminal: std::io::stderr().is_terminal(),
    }
}
