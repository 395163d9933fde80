//! The columns of a plan that hold the address of each row.
//!
//! A record has ROWTIME, ROWPARTITION and ROWOFFSET. They are columns of every scan; through subqueries they are passed
//! on under names that users cannot write. A row of a join has the addresses of several records. In a UNION ALL, the
//! partitions of different inputs count as different. A row of an aggregate, a DISTINCT or VALUES has no address.
//!
//! ```text
//! rows of               time                lane           position
//! one stream            ROWTIME             ROWPARTITION   ROWOFFSET
//! a stream and tables   of the stream       of the stream  ROWOFFSET of the stream, then the addresses of the tables
//! several streams       the greatest one    -              the time, then all addresses from left to right
//! ```
//!
//! If there are no streams, the tables count as streams.
//!
//! A carrier can also add the stream time of each record of a stream: the highest time so far in its partition. It is that of all
//! records, also of those that a join leaves out.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions_aggregate::min_max::max_udaf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, TableScan, Union, Unnest, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, cast, lit, when,
};
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME, RowKind};

use super::super::topics::TopicTable;
use super::ordinal::ordinals;

/// The columns that hold the address of one of the records a row is made of.
#[derive(Clone, Debug)]
struct Record {
    time: Column,
    partition: Column,
    /// The offset, followed by the positions of array elements that became rows.
    positions: Vec<Column>,
    /// The stream times of its partition at the record and before it, if they are carried.
    stream_times: Option<[Column; 2]>,
    table: bool,
}

impl Record {
    /// The same record with its columns renamed.
    fn renamed(self, mut name: impl FnMut(Column) -> Column) -> Self {
        let (time, partition) = (name(self.time), name(self.partition));
        let stream_times = self.stream_times.map(|times| times.map(&mut name));
        let positions = self.positions.into_iter().map(name).collect();
        Self { time, partition, positions, stream_times, table: self.table }
    }
}

/// A plan with the addresses of its rows.
pub struct Addressed {
    /// The plan, including the columns of the addresses.
    pub plan: LogicalPlan,
    records: Vec<Record>,
}

impl Addressed {
    /// The number of streams that a row is made of. Tables count as none.
    pub fn streams(&self) -> usize {
        self.records.iter().filter(|record| !record.table).count()
    }

    /// Whether a row is made of several records.
    pub fn is_joined(&self) -> bool {
        self.records.len() > 1
    }

    /// The stream times of the partition that a row belongs to, at the row and before it. A row of several streams belongs to the
    /// one whose record came last: they come in the order of their stream times. Empty if they are not carried.
    pub fn stream_times(&self) -> Vec<Expr> {
        let of = |at: usize| -> Vec<Expr> {
            let times = self.records.iter().filter_map(|record| record.stream_times.as_ref());
            times.map(|times| Expr::Column(times[at].clone())).collect()
        };
        match &[of(0), of(1)] {
            [at, _] if at.is_empty() => Vec::new(),
            [at, before] if at.len() == 1 => vec![at[0].clone(), before[0].clone()],
            [at, before] => vec![greatest(at.clone()), greatest(before.clone())],
        }
    }

    /// The partition that a row of several streams belongs to, as a number that differs for each of them: that of the record that came
    /// last, of those with the same stream time of the right one. Stream times must be carried.
    pub fn last_partition(&self) -> Option<Expr> {
        let carried = self.records.iter().filter_map(|record| Some((record, record.stream_times.as_ref()?)));
        let lane = |(at, (record, [time, _])): (i64, (&Record, &[Column; 2]))| {
            let partition = cast(Expr::Column(record.partition.clone()), DataType::Int64);
            (Expr::Column(time.clone()), partition + lit(at * i64::from(i32::MAX)))
        };
        let lanes: Vec<(Expr, Expr)> = (0..).zip(carried).map(lane).collect();
        let last = self.stream_times().into_iter().next()?;
        let (first, others) = lanes.split_first()?;
        let mut cases = others.iter().rev().map(|(time, lane)| (time.clone().eq(last.clone()), lane.clone()));
        let Some((is_last, lane)) = cases.next() else { return Some(first.1.clone()) };
        let mut case = when(is_last, lane);
        cases.for_each(|(is_last, lane)| drop(case.when(is_last, lane)));
        case.otherwise(first.1.clone()).ok()
    }

    /// Time, lane and the numbers of the position; empty if rows have no address.
    pub fn exprs(&self) -> Vec<Expr> {
        let are_tables = self.records.iter().all(|record| record.table);
        let (leading, following): (Vec<&Record>, Vec<&Record>) =
            self.records.iter().partition(|record| are_tables || !record.table);
        let column = |column: &Column| cast(Expr::Column(column.clone()), DataType::Int64);
        let place = |record: &&Record| -> Vec<Expr> {
            std::iter::once(&record.partition).chain(&record.positions).map(column).collect()
        };
        match &leading[..] {
            [] => Vec::new(),
            [record] => {
                let own = std::iter::once(column(&record.time)).chain(place(record));
                own.chain(following.iter().flat_map(place)).collect()
            }
            records => {
                let time = greatest(records.iter().map(|record| column(&record.time)).collect());
                let lane = Expr::Literal(ScalarValue::Int64(Some(0)), None);
                let places = records.iter().chain(&following).flat_map(place);
                [time.clone(), lane, time].into_iter().chain(places).collect()
            }
        }
    }
}

/// Passes addresses up to the top of a plan.
pub struct Carrier {
    /// The beginning of the names of columns.
    prefix: &'static str,
    /// The number of columns named so far, so that all names differ.
    named: usize,
    /// Whether stream times are carried, too.
    has_stream_times: bool,
}

impl Carrier {
    /// A carrier whose columns have names of their own.
    pub fn named(prefix: &'static str) -> Self {
        Self { prefix, named: 0, has_stream_times: false }
    }

    /// Adds the addresses of the rows to the columns of a plan, and the stream times of its streams.
    pub fn carry_with_stream_times(&mut self, plan: LogicalPlan) -> Result<Addressed> {
        self.has_stream_times = true;
        let carried = self.carry(plan);
        self.has_stream_times = false;
        carried
    }

    /// Adds the addresses of the rows to the columns of a plan.
    pub fn carry(&mut self, plan: LogicalPlan) -> Result<Addressed> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let record = record(&scan);
                let plan = LogicalPlan::TableScan(scan);
                match record {
                    Some(record) if self.has_stream_times && !record.table => self.with_stream_times(plan, record),
                    record => Ok(Addressed { plan, records: record.into_iter().collect() }),
                }
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Window(_) => {
                let (plan, mut inputs) = self.inputs(plan)?;
                Ok(Addressed { plan, records: inputs.pop().unwrap_or_default() })
            }
            LogicalPlan::Projection(_) => self.projection(plan),
            LogicalPlan::SubqueryAlias(aliased) => {
                let inner = self.carry(Arc::unwrap_or_clone(aliased.input))?;
                let outside = |column: Column| Column::new(Some(aliased.alias.clone()), column.name);
                let records = inner.records.into_iter().map(|record| record.renamed(outside)).collect();
                let plan = LogicalPlanBuilder::from(inner.plan).alias(aliased.alias.clone())?.build()?;
                Ok(Addressed { plan, records })
            }
            LogicalPlan::Join(_) => self.join(plan),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            plan => Ok(Addressed { plan, records: Vec::new() }),
        }
    }

    /// The scan of a stream with the stream times of its records.
    fn with_stream_times(&mut self, scan: LogicalPlan, record: Record) -> Result<Addressed> {
        let (names, offset) = ([self.name(), self.name()], Expr::Column(record.positions[0].clone()));
        let highest = |last: WindowFrameBound, name: &String| {
            let first = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
            let time = cast(Expr::Column(record.time.clone()), DataType::Int64);
            let call = Expr::from(WindowFunction::new(WindowFunctionDefinition::AggregateUDF(max_udaf()), vec![time]));
            let call = call.partition_by(vec![Expr::Column(record.partition.clone())]);
            let call = call.order_by(vec![offset.clone().sort(true, true)]);
            let frame = WindowFrame::new_bounds(WindowFrameUnits::Rows, first, last);
            call.window_frame(frame).build().map(|call| call.alias(name.clone()))
        };
        let before = WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1)));
        let times = [highest(WindowFrameBound::CurrentRow, &names[0])?, highest(before, &names[1])?];
        let plan = LogicalPlanBuilder::from(scan).window(times)?.build()?;
        let stream_times = Some(names.map(Column::new_unqualified));
        Ok(Addressed { plan, records: vec![Record { stream_times, ..record }] })
    }

    /// The plan over inputs that pass their addresses on, with the records of each input.
    fn inputs(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Vec<Record>>)> {
        let inputs = plan.inputs().into_iter().cloned().map(|input| self.carry(input));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let (plans, records) = inputs.into_iter().map(|input| (input.plan, input.records)).unzip();
        Ok((plan.with_new_exprs(plan.expressions(), plans)?, records))
    }

    fn projection(&mut self, plan: LogicalPlan) -> Result<Addressed> {
        let exprs = plan.expressions();
        let LogicalPlan::Projection(projection) = plan else { return Ok(Addressed { plan, records: Vec::new() }) };
        let inner = self.carry(Arc::unwrap_or_clone(projection.input))?;
        let mut carried = Vec::new();
        let records = inner.records.into_iter().map(|record| {
            record.renamed(|column| {
                let name = self.name();
                carried.push(Expr::Column(column).alias(name.clone()));
                Column::new_unqualified(name)
            })
        });
        let records: Vec<Record> = records.collect();
        let plan = LogicalPlanBuilder::from(inner.plan).project(exprs.into_iter().chain(carried))?.build()?;
        Ok(Addressed { plan, records })
    }

    /// Rows made from arrays have the positions of their elements after the address of the record.
    fn unnest(&mut self, unnest: Unnest) -> Result<Addressed> {
        let mut inner = self.carry(Arc::unwrap_or_clone(unnest.input))?;
        let mut columns = unnest.exec_columns;
        let schema = inner.plan.schema().clone();
        let is_array = |column: &&Column| {
            let field = schema.qualified_field_from_column(column);
            field.is_ok_and(|(_, field)| matches!(field.data_type(), DataType::List(_)))
        };
        let arrays: Vec<Expr> = columns.iter().filter(is_array).cloned().map(Expr::Column).collect();
        let is_flat = unnest.options.recursions.iter().all(|recursion| recursion.depth == 1);
        if let Some(record) = inner.records.last_mut().filter(|_| is_flat && !arrays.is_empty()) {
            let name = self.name();
            let all = schema.columns().into_iter().map(Expr::Column);
            let all: Vec<Expr> = all.chain([ordinals(arrays).alias(name.clone())]).collect();
            inner.plan = LogicalPlanBuilder::from(inner.plan).project(all)?.build()?;
            record.positions.push(Column::new_unqualified(name.clone()));
            columns.push(Column::new_unqualified(name));
        }
        let plan =
            LogicalPlanBuilder::from(inner.plan).unnest_columns_with_options(columns, unnest.options)?.build()?;
        Ok(Addressed { plan, records: inner.records })
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("{}_{}", self.prefix, self.named)
    }

    fn union(&mut self, union: Union) -> Result<Addressed> {
        let inputs = union.inputs.iter().map(|input| self.carry(input.as_ref().clone()));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        if inputs.iter().any(|input| input.records.len() != 1) {
            return Ok(Addressed { plan: LogicalPlan::Union(union), records: Vec::new() });
        }
        let positions = inputs.iter().map(|input| input.records[0].positions.len()).max().unwrap_or(0);
        let names: Vec<String> = (0..positions + 2).map(|_| self.name()).collect();
        let (parts, width) = (inputs.len(), union.schema.fields().len());
        let table = inputs.iter().all(|input| input.records[0].table);
        let inputs = inputs.into_iter().enumerate();
        let inputs =
            inputs.map(|(at, input)| part(input.plan, &input.records[0], width, (at, parts), &names).map(Arc::new));
        let address = names.iter().map(|name| (None, Arc::new(Field::new(name, DataType::Int64, true))));
        let fields = union.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), field.clone())).chain(address);
        let schema = DFSchema::new_with_metadata(fields.collect(), union.schema.metadata().clone())?;
        let plan = LogicalPlan::Union(Union { inputs: inputs.collect::<Result<_>>()?, schema: Arc::new(schema) });
        let mut columns = names.into_iter().map(Column::new_unqualified);
        let (Some(time), Some(partition)) = (columns.next(), columns.next()) else {
            return Ok(Addressed { plan, records: Vec::new() });
        };
        Ok(Addressed {
            plan,
            records: vec![Record { time, partition, positions: columns.collect(), stream_times: None, table }],
        })
    }

    fn join(&mut self, plan: LogicalPlan) -> Result<Addressed> {
        let LogicalPlan::Join(join) = &plan else { return Ok(Addressed { plan, records: Vec::new() }) };
        let kind = join.join_type;
        let (plan, mut inputs) = self.inputs(plan)?;
        let (right, left) = (inputs.pop().unwrap_or_default(), inputs.pop().unwrap_or_default());
        let records = match kind {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                left.into_iter().chain(right).collect()
            }
        };
        Ok(Addressed { plan, records })
    }
}

/// A plan's first columns, followed by the address of its only record, whose partition is distinguished from those of
/// the other inputs.
fn part(
    plan: LogicalPlan,
    record: &Record,
    width: usize,
    (at, parts): (usize, usize),
    names: &[String],
) -> Result<LogicalPlan> {
    let number = |number: usize| Expr::Literal(ScalarValue::Int64(i64::try_from(number).ok()), None);
    let column = |column: &Column| cast(Expr::Column(column.clone()), DataType::Int64);
    let lane = column(&record.partition) * number(parts) + number(at);
    // Other inputs may have more positions.
    let positions = record.positions.iter().map(column).chain(std::iter::repeat(number(0)));
    let address = [column(&record.time), lane].into_iter().chain(positions);
    let address = address.zip(names).map(|(expr, name)| expr.alias(name.clone()));
    let columns = plan.schema().columns().into_iter().take(width).map(Expr::Column);
    let columns: Vec<Expr> = columns.chain(address).collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The address of the records of a topic.
fn record(scan: &TableScan) -> Option<Record> {
    let provider = source_as_provider(&scan.source).ok()?;
    let topic = provider.downcast_ref::<TopicTable>()?;
    let [time, partition, offset] =
        [ROWTIME, ROWPARTITION, ROWOFFSET].map(|name| Column::new(Some(scan.table_name.clone()), name));
    let are_there = [&time, &partition, &offset].iter().all(|column| scan.projected_schema.has_column(column));
    let table = topic.spec().kind == RowKind::LatestPerKey;
    are_there.then_some(Record { time, partition, positions: vec![offset], stream_times: None, table })
}
