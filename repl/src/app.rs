//! The program from its arguments to its exit code, readable top to bottom.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use headwater_connectors::transport::Transport;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use crate::args::LowArgs;
use crate::ask::{Ask, Serve};
use crate::check::{self, Reporter, Rules};
use crate::cluster::Cluster;
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

/// How long threads are waited for at the end.
const THREADS_END_MAX: Duration = Duration::from_secs(2);
/// Stack of a thread that plans statements: 100 queries inside each other need 4 MB, 10,000 names in a WITH 30 MB.
const STACK_BYTES: usize = 128 << 20;
/// Said at the end of a script that made persistent queries.
const RUNS_ELSEWHERE: &str =
    "note: persistent queries run while a shell or `headwater run` of their service is open; this script ends here.";
/// Lines of standard input that are read ahead.
const INPUT_LINES_MAX: usize = 64;

/// How the program ends. Documented in `--help`; scripts rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was done, or nobody wanted to read the rest.
    Done = 0,
    /// A statement failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The cluster or the broker could not be used.
    Cluster = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A connection to a cluster: who answers statements, and the way the demo writes.
pub struct Connection {
    /// Who answers.
    pub ask: Arc<dyn Ask>,
    /// Who runs persistent queries.
    pub serve: Arc<dyn Serve>,
    /// The cluster.
    pub transport: Arc<dyn Transport>,
}

/// Connects to the brokers at an address. Fails in words, as they are shown to the user.
pub type Connect = fn(&Options, bootstrap: &str, &Handle) -> Result<Connection, String>;

/// Runs the program on the arguments of this process.
pub fn main(connect: Connect) -> ExitCode {
    // clap shows help and wrong usage itself, and ends with 0 and 2.
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
        Err(error) => return complain(&format!("could not listen to Ctrl-C: {error}"), Ending::Cluster),
    };
    let cluster = match runtime.block_on(Cluster::open(&options)) {
        Ok(cluster) => cluster,
        Err(message) => return complain(&message, Ending::Cluster),
    };
    if let Some(notice) = cluster.notice().filter(|_| around.errors_are_terminal || is_broker(&options)) {
        tell(&notice);
    }
    let ending = match &options.work {
        Work::Broker { .. } => serve(&runtime, interrupt),
        _ => work(&options, around, &cluster, &runtime, interrupt, connect, &log_output),
    };
    let ending = match ending {
        // A service that is asked to end ends well, also while it starts.
        Ending::Interrupted if matches!(options.work, Work::Run { until_idle: false, .. }) => Ending::Done,
        ending => ending,
    };
    runtime.block_on(cluster.close());
    // Threads that still use librdkafka or OpenSSL must not run on while `exit` takes these libraries
    // down: that corrupts the heap. A query that was given up ends its threads within moments.
    runtime.shutdown_timeout(THREADS_END_MAX);
    ending
}

/// Threads that plan: what a statement may nest (K0204) must not outgrow them. Memory is taken as it is used.
fn deep_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()
}

/// Checks test files; Ctrl-C ends the process as it does any other.
fn check(runtime: &Runtime, paths: &[PathBuf], rules: &Rules, colored: bool) -> Ending {
    let mut out = std::io::stdout();
    let mut reporter = Reporter { out: &mut out, colored };
    match runtime.block_on(check::check(paths, rules, &mut reporter)) {
        Ok(tally) if tally.failed == 0 => Ending::Done,
        Ok(_) => Ending::Failed,
        Err(message) => complain(&message, Ending::Usage),
    }
}

/// Keeps the broker running until the process is asked to end.
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
    // What this process's queries have done so far is committed, and their partitions are free at once.
    serve.rest();
    ending(ran)
}

/// Connects on another thread, so that Ctrl-C need not wait for a cluster that does not answer.
async fn connected(
    options: &Options,
    cluster: &Cluster,
    connect: Connect,
    interrupt: &mut Interrupt,
) -> Result<Connection, Ending> {
    let (options, bootstrap, runtime) = (options.clone(), cluster.bootstrap().to_string(), Handle::current());
    let connecting = tokio::task::spawn_blocking(move || connect(&options, &bootstrap, &runtime));
    tokio::select! {
        () = interrupt.pressed() => Err(Ending::Interrupted),
        connected = connecting => match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(message)) => Err(complain(&message, Ending::Cluster)),
            Err(error) => Err(complain(&format!("connecting ran into a fault of ours: {error}"), Ending::Cluster)),
        },
    }
}

/// What `--set` and `--define` said, as the statements they stand for: the engine checks them.
fn set_up(session: &mut Session, options: &Options) -> Result<(), Stop> {
    let statements = session_statements(&options.session, &options.variables);
    statements.iter().try_for_each(|statement| session.run_quietly(statement)).inspect_err(|stop| {
        if *stop == Stop::Failed {
            tell("headwater: the statement is made of --config, --set or --define");
        }
    })
}

fn scripts(session: &mut Session, files: &[PathBuf], texts: &[String]) -> Result<(), Stop> {
    files.iter().try_for_each(|file| session.run_file(file))?;
    texts.iter().try_for_each(|text| session.run_text(text))
}

/// Applies files, which describe a service.
fn apply(session: &mut Session, serve: &Arc<dyn Serve>, files: &[PathBuf]) -> Result<(), Stop> {
    session.apply_with(serve.clone());
    let texts = session.read_all(files)?;
    // All that is wrong is reported, not only the first of it.
    let scripts = || files.iter().zip(&texts);
    let checked: Vec<_> =
        scripts().map(|(file, text)| session.within(file, |session| session.check_text(text))).collect();
    checked.into_iter().collect::<Result<(), Stop>>()?;
    scripts().try_for_each(|(file, text)| session.within(file, |session| session.run_text(text)))
}

/// Applies files and runs the service's queries until the process is asked to end, or they have stopped for good: all
/// of them, or the first when that is enough.
fn headless(session: &mut Session, serve: &Arc<dyn Serve>, files: &[PathBuf], first: bool) -> Result<(), Stop> {
    apply(session, serve, files)?;
    serve.work();
    session.screen.note(
        "Persistent queries of this service run here, also those that are created later. SIGTERM or Ctrl-C ends this process; \
         what is done by then is committed.",
    );
    session.end_asked(first)
}

/// Runs standard input statement by statement, as it comes. It is read by another thread, so that
/// Ctrl-C is heard also while nothing comes.
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
        // Nobody receives once a statement has failed.
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
    // A log that goes elsewhere is left to go there.
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
        session.screen.error(&format!("could not feed the topics of the demo: {error}"));
        Stop::Failed
    })?;
    // The tour is one page to scroll through, not nine results to leave one by one.
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

/// Whether it works until it is asked to end.
fn is_service(options: &Options) -> bool {
    matches!(options.work, Work::Run { .. } | Work::Broker { .. })
}

fn is_broker(options: &Options) -> bool {
    matches!(options.work, Work::Broker { .. })
}

fn complain(message: &str, ending: Ending) -> Ending {
    tell(&format!("headwater: {message}"));
    ending
}

/// Writes to standard error; that it is closed is no reason to panic.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn manner(options: &Options, around: &Surroundings) -> Manner {
    Manner {
        is_terminal: around.output_is_terminal,
        color_errors: options.color_errors,
        progress: around.errors_are_terminal,
        // Scripts are not read page by page.
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
