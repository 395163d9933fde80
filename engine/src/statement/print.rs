//! PRINT: the records of a topic as they arrive, without a declaration.

mod guess;
mod registered;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use headwater_connectors::transport::{
    Isolation, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError,
};
use headwater_formats::record::{RawBatch, TopicPartition, Wanted};
use headwater_language::diagnostic::{Diagnostic, Span, UNKNOWN_TOPIC, nearest};
use headwater_language::sql::ast;
use tokio::sync::mpsc;

use self::guess::Guess;
use self::registered::Registered;
use self::shown::Shown;
use super::{Answered, Context};
use crate::answer::Answer;
use crate::failure::transport as diagnose;
use crate::runtime::{blocking, refused};

/// Most lines that wait for the shell.
const LINES_AHEAD_MAX: usize = 1_024;
/// How long a poll waits before the reader checks whether its lines are still wanted.
const POLL: Duration = Duration::from_millis(100);
/// Most records to take at once.
const BATCH_RECORDS_MAX: usize = 500;

type Line = Result<String, Vec<Diagnostic>>;

/// Starts to print. Without LIMIT it never ends.
pub(crate) async fn run(print: &ast::Print, context: &mut Context<'_>) -> Answered {
    let (transport, span) = (context.process.transport().clone(), context.span);
    let (topic, from_beginning) = (print.topic.value.clone(), print.from_beginning);
    let at = if print.topic.span == Span::default() { span } else { print.topic.span };
    let cluster = transport.clone();
    let ranges = blocking(move || ranges(cluster.as_ref(), &topic, from_beginning, at)).await??;
    let plan = ReadPlan {
        ranges,
        wanted: Wanted { keys: true, values: true, headers: false },
        isolation: Isolation::ReadCommitted,
        batch_records_max: BATCH_RECORDS_MAX,
        ids: TopicIds::new(),
    };
    let (tx, mut rx) = mpsc::channel(LINES_AHEAD_MAX);
    let (interval, limit) = (print.interval.map_or(1, |i| i.value), print.limit.map(|l| l.value));
    let declared = Shown::declared(&*context.catalog().await?, &print.topic.value);
    let mut printer = Printer::new(interval, limit, declared, Registered::new(transport.schemas()));
    let source = blocking(move || transport.open_sources(vec![plan])).await?.map_err(refused)?.pop();
    if let Some(mut source) = source {
        tokio::task::spawn_blocking(move || printer.run(source.as_mut(), &tx));
    }
    Ok(Answer::Lines(Box::pin(stream::poll_fn(move |cx| rx.poll_recv(cx)))))
}

fn ranges(
    transport: &dyn Transport,
    topic: &str,
    from_beginning: bool,
    span: Span,
) -> Result<Vec<ReadRange>, Vec<Diagnostic>> {
    let admin = transport.admin();
    if admin.topic(topic).map_err(refused)?.is_none() {
        return Err(vec![unknown_topic(transport, topic, span)]);
    }
    let marks = admin.watermarks(topic, Isolation::ReadCommitted).map_err(refused)?;
    let name: Arc<str> = Arc::from(topic);
    let range = |(partition, mark): (i32, &headwater_connectors::transport::Watermarks)| ReadRange {
        partition: TopicPartition::new(name.clone(), partition),
        start: if from_beginning { mark.start } else { mark.end },
        end: None,
    };
    Ok((0..).zip(&marks).map(range).collect())
}

fn unknown_topic(transport: &dyn Transport, topic: &str, span: Span) -> Diagnostic {
    let error = Diagnostic::new(UNKNOWN_TOPIC, format!("topic \"{topic}\" does not exist")).at(span);
    let topics = transport.admin().topics().unwrap_or_default();
    match nearest(topic, topics.iter().map(|t| t.name.as_str())) {
        Some(near) if near.eq_ignore_ascii_case(topic) => {
            error.hint(format!("Did you mean \"{near}\"? Topic names are case-sensitive."))
        }
        Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
        None => error.hint("SHOW TOPICS; lists them."),
    }
}

/// Formats records as lines.
struct Printer {
    interval: u64,
    left: Option<u64>,
    seen: u64,
    keys: Guess,
    values: Guess,
    /// How keys and values are shown that are declared to be bare.
    declared: [Option<Shown>; 2],
    registered: Registered,
}

impl Printer {
    fn new(interval: u64, left: Option<u64>, declared: [Option<Shown>; 2], registered: Registered) -> Self {
        let (keys, values) = (Guess::default(), Guess::default());
        Self { interval: interval.max(1), left, seen: 0, keys, values, declared, registered }
    }

    fn run(&mut self, source: &mut dyn Source, tx: &mpsc::Sender<Line>) {
        while self.left != Some(0) && !tx.is_closed() {
            let sent = match source.poll(POLL) {
                Ok(SourceEvent::Batch(batch)) => self.batch(&batch, tx),
                Ok(SourceEvent::Lost(lost)) if lost.ends_range() => self.fail(&lost.into(), tx),
                Ok(SourceEvent::Lost(lost)) => tx.blocking_send(Ok(lost.to_string())).ok(),
                Ok(SourceEvent::Idle | SourceEvent::Finished(_) | SourceEvent::Passed(..)) => Some(()),
                Err(error) => self.fail(&error, tx),
            };
            if sent.is_none() {
                return;
            }
        }
    }

    fn fail(&self, error: &TransportError, tx: &mpsc::Sender<Line>) -> Option<()> {
        // If the receiver is gone, there is nobody to report to.
        let _ = tx.blocking_send(Err(vec![diagnose(error)]));
        None
    }

    fn batch(&mut self, batch: &RawBatch, tx: &mpsc::Sender<Line>) -> Option<()> {
        for row in 0..batch.len() {
            self.seen += 1;
            if self.left == Some(0) || !(self.seen - 1).is_multiple_of(self.interval) {
                continue;
            }
            for line in self.record(batch, row) {
                tx.blocking_send(Ok(line)).ok()?;
            }
            self.left = self.left.map(|left| left - 1);
        }
        Some(())
    }

    /// The lines of one record: first what is new, such as the detected formats, then the record itself.
    fn record(&mut self, batch: &RawBatch, row: usize) -> Vec<String> {
        use arrow::array::Array;
        let payload = |column: &Option<arrow::array::BinaryArray>| {
            column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row).to_vec())
        };
        let (key, value) = (payload(&batch.keys), payload(&batch.values));
        let mut by_schema = |payload: &Option<Vec<u8>>, declared: Option<&mut Shown>| {
            let payload = payload.as_deref()?;
            declared.and_then(|declared| declared.show(payload)).or_else(|| self.registered.show(payload))
        };
        let [key_declared, value_declared] = self.declared.each_mut().map(Option::as_mut);
        let (key_shown, value_shown) = (by_schema(&key, key_declared), by_schema(&value, value_declared));
        let keys = self.keys.learn(key.as_deref(), key_shown.as_ref().map(|(format, _)| *format));
        let values = self.values.learn(value.as_deref(), value_shown.as_ref().map(|(format, _)| *format));
        let news = [("Key format", keys), ("Value format", values)];
        let news = news.into_iter().filter_map(|(what, is)| is.map(|is| format!("{what}: {is}")));
        let mut lines: Vec<String> = self.registered.failure().into_iter().chain(news).collect();
        let rowtime = rowtime(batch.timestamps_ms[row]);
        let key = key_shown.map_or_else(|| self.keys.show(key.as_deref()), |(_, json)| json);
        let value = value_shown.map_or_else(|| self.values.show(value.as_deref()), |(_, json)| json);
        lines.push(format!("rowtime: {rowtime}, key: {key}, value: {value}, partition: {}", batch.origin.partition));
        lines
    }
}

fn rowtime(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |t| t.format("%Y/%m/%d %H:%M:%S%.3f Z").to_string())
}
