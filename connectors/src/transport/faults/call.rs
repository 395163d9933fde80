//! The calls of a transport that can fail, and how they fail.

/// Defines [`Call`] together with the list of all calls, so that the two always agree.
macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident,)*) => {
        /// A call of a transport that can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($(#[$doc])* $call,)*
        }

        impl Call {
            /// All calls, in order.
            pub const ALL: &[Self] = &[$(Self::$call,)*];
        }
    };
}

calls! {
    /// [`Transport::open_sources`](crate::transport::Transport::open_sources)
    OpenSources,
    /// [`Source::poll`](crate::transport::Source::poll)
    Poll,
    /// [`Transport::doorbell`](crate::transport::Transport::doorbell)
    OpenDoorbell,
    /// [`Doorbell::wait`](crate::transport::Doorbell::wait)
    Wait,
    /// [`Transport::open_sink`](crate::transport::Transport::open_sink)
    OpenSink,
    /// [`Sink::write`](crate::transport::Sink::write)
    Write,
    /// [`Sink::flush`](crate::transport::Sink::flush)
    Flush,
    /// [`Sink::begin`](crate::transport::Sink::begin)
    Begin,
    /// [`Sink::commit`](crate::transport::Sink::commit)
    Commit,
    /// [`Sink::abort`](crate::transport::Sink::abort)
    Abort,
    /// [`Transport::join_group`](crate::transport::Transport::join_group)
    JoinGroup,
    /// [`Member::poll`](crate::transport::Member::poll)
    PollMember,
    /// [`Member::release`](crate::transport::Member::release)
    Release,
    /// [`Member::commit`](crate::transport::Member::commit)
    CommitOffsets,
    /// [`Member::committed`](crate::transport::Member::committed)
    Committed,
    /// [`Member::refresh`](crate::transport::Member::refresh)
    Refresh,
    /// [`Admin::topics`](crate::transport::Admin::topics)
    Topics,
    /// [`Admin::topic`](crate::transport::Admin::topic)
    Topic,
    /// [`Admin::create_topic`](crate::transport::Admin::create_topic)
    CreateTopic,
    /// [`Admin::delete_topic`](crate::transport::Admin::delete_topic)
    DeleteTopic,
    /// [`Admin::watermarks`](crate::transport::Admin::watermarks)
    Watermarks,
    /// [`Admin::extent`](crate::transport::Admin::extent)
    Extent,
    /// [`Admin::topic_id`](crate::transport::Admin::topic_id)
    TopicId,
    /// [`Admin::glance`](crate::transport::Admin::glance)
    Glance,
    /// [`Admin::glance_now`](crate::transport::Admin::glance_now)
    GlanceNow,
    /// [`Admin::offsets_for_times`](crate::transport::Admin::offsets_for_times)
    OffsetsForTimes,
    /// [`Admin::topic_settings`](crate::transport::Admin::topic_settings)
    TopicSettings,
    /// [`Admin::committed_offsets`](crate::transport::Admin::committed_offsets)
    CommittedOffsets,
    /// [`Admin::record_limits`](crate::transport::Admin::record_limits)
    RecordLimits,
    /// [`Admin::group_members`](crate::transport::Admin::group_members)
    GroupMembers,
    /// [`Admin::groups`](crate::transport::Admin::groups)
    Groups,
    /// [`Admin::delete_group`](crate::transport::Admin::delete_group)
    DeleteGroup,
    /// [`Admin::delete_records`](crate::transport::Admin::delete_records)
    DeleteRecords,
    /// [`Admin::cluster_id`](crate::transport::Admin::cluster_id)
    ClusterId,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The call is refused: nothing happened.
    Refused,
    /// The call succeeds, but its reply is lost.
    ReplyLost,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 2] = [Self::Refused, Self::ReplyLost];
}
