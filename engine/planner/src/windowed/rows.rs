//! The rows below an aggregation, in their windows.
//!
//! ```text
//! time windows                                   sessions
//! Aggregate by the groups and both bounds        Aggregate by the groups and the start; the end is the last time
//!   Unnest the open windows of each row            Window: the start of each row's session, by group, in order of time
//!                                                    Filter rows that were late
//!                                                      Window: which rows were late, by group, in order of arrival
//!     Window: stream time, by partition                  Window: stream time, by partition
//!       Filter groups without NULL                         Filter groups without NULL
//! ```
//!
//! Over a join, stream time is computed below it, where all records of a stream are. A row of two streams has the later one: its record
//! comes last, since records are joined in the order of the stream times of their partitions.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue, UnnestOptions};
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::functions_aggregate::min_max::max_udaf;
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition,
};
use headwater_language::definition::WindowDef;
use headwater_language::diagnostic::{Diagnostic, STREAMING};

use super::super::aggregate::{Addressed, Carrier};
use super::{Windowed, bound, lateness, sessions, time};

/// The column with the stream time of a row.
const STREAM_TIME: &str = "headwater_stream_time";

/// The column with the window of a row, or the start of its session.
const WINDOW: &str = "headwater_window";

/// The column with the stream time of the row before it in its partition.
const PREVIOUS: &str = "headwater_previous_stream_time";

/// The column with the partition of a row of several streams.
const LANE: &str = "headwater_window_partition";

/// The column with what a session starts after; NULL for a row that is late.
const FLOOR: &str = "headwater_session_floor";

/// Assigns the rows of the aggregation that has windows to them.
pub fn settle(plan: LogicalPlan, windowed: Windowed) -> Result<LogicalPlan> {
    let mut carrier = Carrier::named("headwater_window_address");
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.iter().any(|group| bound::of(group).is_some()) => {
            let aggregate = in_windows(aggregate, windowed, &mut carrier)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        plan => Ok(Transformed::no(plan)),
    })?;
    Ok(settled.data)
}

fn in_windows(aggregate: Aggregate, windowed: Windowed, carrier: &mut Carrier) -> Result<Aggregate> {
    let Aggregate { input, group_expr, mut aggr_expr, .. } = aggregate;
    let input = Arc::unwrap_or_clone(input);
    let mut addressed = carrier.carry(input.clone())?;
    if addressed.is_joined() {
        // Records that the join leaves out advance stream time, too.
        addressed = carrier.carry_with_stream_times(input)?;
    }
    let arrival = Arrival::of(&addressed, windowed)?;
    let (bounds, groups): (Vec<Expr>, Vec<Expr>) = group_expr.into_iter().partition(|group| bound::of(group).is_some());
    let (plan, groups, mut group_expr) = present(addressed.plan, groups)?;
    let column = column(WINDOW);
    let windows = windowed.windows;
    let (plan, [start, end]) = match windows.def {
        WindowDef::Session => {
            let start = (column, max(arrival.time.clone()));
            (arrival.in_sessions(plan, windowed, &groups)?, start.into())
        }
        _ => {
            let bounds = ["start", "end"].map(|field| get_field(column.clone(), field));
            (arrival.in_time_windows(plan, windowed)?, bounds)
        }
    };
    for written in bounds {
        let name = written.schema_name().to_string();
        match (bound::of(&written), windows.def) {
            (Some(0), _) => group_expr.push(start.clone().alias(name)),
            (_, WindowDef::Session) => aggr_expr.push(end.clone().alias(name)),
            _ => group_expr.push(end.clone().alias(name)),
        }
    }
    Aggregate::try_new(Arc::new(plan), group_expr, aggr_expr)
}

/// The rows without NULL in a group, and the columns of the groups. The last part is the same columns under the names that the
/// plan above uses.
fn present(plan: LogicalPlan, groups: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>, Vec<Expr>)> {
    let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let (mut computed, mut named) = (Vec::new(), Vec::new());
    for (at, group) in groups.into_iter().enumerate() {
        if matches!(group, Expr::Column(_)) {
            computed.push(group.clone());
            named.push(group);
            continue;
        }
        let (name, own) = (group.schema_name().to_string(), format!("headwater_group_{at}"));
        columns.push(group.unalias().alias(own.clone()));
        computed.push(column(&own));
        named.push(column(&own).alias(name));
    }
    let are_present = conjunction(computed.iter().cloned().map(Expr::is_not_null));
    let plan = LogicalPlanBuilder::from(plan).project(columns)?;
    let plan = match are_present {
        Some(are_present) => plan.filter(are_present)?.build()?,
        None => plan.build()?,
    };
    Ok((plan, computed, named))
}

/// Where rows come from.
struct Arrival {
    time: Expr,
    partition: Expr,
    /// The partition of rows of several streams, which is computed with the stream times.
    lane: Option<Expr>,
    /// The offset, and what follows it.
    positions: Vec<Expr>,
    /// The stream times at a row and before it; empty if they are those of the rows themselves.
    stream_times: Vec<Expr>,
}

impl Arrival {
    /// Fails if the rows do not come from a stream.
    fn of(addressed: &Addressed, windowed: Windowed) -> Result<Self> {
        let refuse =
            |message: &str| DataFusionError::External(Box::new(Diagnostic::new(STREAMING, message).at(windowed.span)));
        let mut address = addressed.exprs().into_iter();
        let (Some(time), Some(partition), true) = (address.next(), address.next(), addressed.streams() > 0) else {
            return Err(refuse("WINDOW is only for rows of a stream"));
        };
        let lane = addressed.last_partition().filter(|_| addressed.streams() > 1);
        let partition = if lane.is_some() { column(LANE) } else { partition };
        Ok(Self { time, partition, lane, positions: address.collect(), stream_times: addressed.stream_times() })
    }

    /// The highest time of the rows up to `last` in the partition of each row.
    fn highest(&self, last: WindowFrameBound) -> Result<Expr> {
        let function = WindowFunctionDefinition::AggregateUDF(max_udaf());
        let call = Expr::from(WindowFunction::new(function, vec![self.time.clone()]));
        let order = ascending(self.positions.clone());
        call.partition_by(vec![self.partition.clone()]).order_by(order).window_frame(until(last)).build()
    }

    /// The rows with the stream time of each, and with that before it if it `has_previous`.
    fn with_stream_times(&self, plan: LogicalPlan, has_previous: bool) -> Result<LogicalPlan> {
        let names = [STREAM_TIME, PREVIOUS];
        let names = &names[..1 + usize::from(has_previous)];
        if !self.stream_times.is_empty() {
            let times = self.stream_times.iter().zip(names).map(|(time, name)| time.clone().alias(*name));
            let lane = self.lane.iter().map(|lane| lane.clone().alias(LANE));
            let columns = plan.schema().columns().into_iter().map(Expr::Column).chain(times).chain(lane);
            return LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build();
        }
        let lasts = [WindowFrameBound::CurrentRow, WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1)))];
        let times = lasts.into_iter().zip(names).map(|(last, name)| Ok(self.highest(last)?.alias(*name)));
        LogicalPlanBuilder::from(plan).window(times.collect::<Result<Vec<_>>>()?)?.build()
    }

    /// A row for each window that is open when the row arrives.
    fn in_time_windows(&self, plan: LogicalPlan, windowed: Windowed) -> Result<LogicalPlan> {
        let plan = self.with_stream_times(plan, false)?;
        let windows = time::windows(windowed.windows, vec![self.time.clone(), column(STREAM_TIME)]).alias(WINDOW);
        let columns = plan.schema().columns().into_iter().map(Expr::Column).chain([windows]);
        let plan = LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?;
        let options = UnnestOptions::new().with_preserve_nulls(false);
        plan.unnest_columns_with_options(vec![Column::new_unqualified(WINDOW)], options)?.build()
    }

    /// The rows that are not late for their session, with its start. Rows of several partitions arrive in the order of their
    /// stream times.
    fn in_sessions(&self, plan: LogicalPlan, windowed: Windowed, groups: &[Expr]) -> Result<LogicalPlan> {
        let (time, partition) = (self.time.clone(), self.partition.clone());
        let arrival: Vec<Expr> =
            [column(STREAM_TIME), partition.clone()].into_iter().chain(self.positions.clone()).collect();
        let floor = vec![time.clone(), column(STREAM_TIME), column(PREVIOUS), partition];
        let floor = of_groups(lateness::floor(windowed.windows, floor), groups, arrival.clone())?.alias(FLOOR);
        let start = sessions::start(windowed.windows, vec![time.clone(), column(FLOOR)]);
        let start = of_groups(start, groups, [time].into_iter().chain(arrival).collect())?.alias(WINDOW);
        let plan = LogicalPlanBuilder::from(self.with_stream_times(plan, true)?).window([floor])?;
        plan.filter(column(FLOOR).is_not_null())?.window([start])?.build()
    }
}

/// A call of a window function over the rows of each group.
fn of_groups(call: Expr, groups: &[Expr], order: Vec<Expr>) -> Result<Expr> {
    call.partition_by(groups.to_vec())
        .order_by(ascending(order))
        .window_frame(until(WindowFrameBound::CurrentRow))
        .build()
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn ascending(exprs: Vec<Expr>) -> Vec<Sort> {
    exprs.into_iter().map(|expr| expr.sort(true, true)).collect()
}

/// All rows up to `last`.
fn until(last: WindowFrameBound) -> WindowFrame {
    let first = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    WindowFrame::new_bounds(WindowFrameUnits::Rows, first, last)
}
