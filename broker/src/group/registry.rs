//! All groups, with the requests that wait for replies.
//!
//! Separate because this is where the coordinator, which does no I/O, meets tasks, locks and the journal. A request
//! that has to wait leaves a channel here under a token. The reply is sent by whoever makes progress later: another
//! request or the timer.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::consumer::{Catalog, Heartbeat, HeartbeatReply, Refusal};
use super::coordinator::Group;
use super::members::Members;
use super::offsets::Offsets;
use super::request::{Caller, Join, JoinReply, Leaver, Reply, Sync, SyncReply, Token};
use crate::meta::{Change, GroupImage, Journal, Membership, PartitionOffset};
use crate::topic_partition::TopicPartition;

/// All groups by id.
#[derive(Debug)]
pub(crate) struct Groups {
    journal: Arc<Journal>,
    timeouts: Timeouts,
    /// Notified when the next deadline may have moved closer.
    timer: Arc<Notify>,
    by_id: Mutex<BTreeMap<String, Arc<Mutex<Slot>>>>,
}

/// The times of all groups.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    /// How long a new classic group waits for more members.
    pub(crate) initial_delay_ms: u64,
    /// How long a member of a group with the protocol of KIP-848 can be silent.
    pub(crate) session_timeout_ms: u64,
}

/// A group with its offsets and waiting requests.
#[derive(Debug)]
struct Slot {
    members: Members,
    offsets: Offsets,
    /// What the journal has.
    noted: Membership,
    waiting: BTreeMap<Token, oneshot::Sender<Reply>>,
    next_token: u64,
    /// The slot was removed from the map; whoever still holds it must look the group up again.
    removed: bool,
}

/// A read-only view of a group.
#[derive(Debug)]
pub(crate) struct GroupView<'a> {
    pub(crate) members: &'a Members,
    pub(crate) offsets: &'a Offsets,
}

impl Groups {
    /// Opens the groups in the journal.
    pub(crate) fn open(journal: &Arc<Journal>, timeouts: Timeouts, timer: &Arc<Notify>, now_ms: i64) -> Groups {
        let kept = journal.read(|image| image.groups.clone());
        let slot = |image| Arc::new(Mutex::new(Slot::restored(timeouts, image, now_ms)));
        let by_id = kept.into_iter().map(|(id, image)| (id, slot(image))).collect();
        Groups { journal: Arc::clone(journal), timeouts, timer: Arc::clone(timer), by_id: Mutex::new(by_id) }
    }

    /// Joins a group and waits for the next generation.
    pub(crate) async fn join(&self, group: &str, join: Join, now_ms: i64) -> JoinReply {
        let member_id = join.member_id.clone();
        let mut join = Some(join);
        let reply = self.change(group, |slot| {
            let (token, reply) = slot.wait();
            let classic = slot.members.become_classic(self.timeouts.initial_delay_ms)?;
            if let Some(join) = join.take() {
                classic.handle_join(join, token, now_ms);
            }
            Some(reply)
        });
        self.timer.notify_one();
        let Some(reply) = reply else {
            return JoinReply::refused(ResponseError::InconsistentGroupProtocol, &member_id);
        };
        match reply.await {
            Ok(Reply::Join(reply)) => reply,
            // A later request of the same member replaced this one.
            _ => JoinReply::refused(ResponseError::RebalanceInProgress, &member_id),
        }
    }

    /// Requests a member's assignment and waits for it.
    pub(crate) async fn sync(&self, group: &str, sync: Sync, now_ms: i64) -> SyncReply {
        let waiting = self.change_known(group, |slot| {
            let (token, reply) = slot.wait();
            slot.members.classic()?.handle_sync(sync, token, now_ms);
            Some(reply)
        });
        let Some(waiting) = waiting.flatten() else { return SyncReply::refused(ResponseError::UnknownMemberId) };
        match waiting.await {
            Ok(Reply::Sync(reply)) => reply,
            _ => SyncReply::refused(ResponseError::RebalanceInProgress),
        }
    }

    /// Extends a member's session.
    pub(crate) fn heartbeat(&self, group: &str, caller: &Caller, now_ms: i64) -> Result<(), ResponseError> {
        let heard = self.change_known(group, |slot| Some(slot.members.classic()?.handle_heartbeat(caller, now_ms)));
        heard.flatten().unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// Handles a heartbeat of the protocol of KIP-848. In a group that does not exist a member is unknown, and joins again: after a
    /// restart nothing is known of a group without offsets.
    pub(crate) fn consumer_heartbeat(
        &self,
        group: &str,
        beat: &Heartbeat,
        catalog: &dyn Catalog,
        now_ms: i64,
    ) -> Result<HeartbeatReply, Refusal> {
        let beaten = |slot: &mut Slot| match slot.members.become_consumer(self.timeouts.session_timeout_ms) {
            Some(consumers) => consumers.handle_heartbeat(beat, catalog, now_ms),
            None => {
                let message = format!("Group {group} is not a consumer group.");
                Err(Refusal::new(ResponseError::GroupIdNotFound, message))
            }
        };
        let reply = match beat.joins() {
            true => self.change(group, beaten),
            false => self.change_known(group, beaten).unwrap_or_else(|| Err(Refusal::unknown_member(&beat.member_id))),
        };
        // Only these bring a deadline closer, or change who is a member.
        if beat.epoch <= 0 || reply.as_ref().is_ok_and(|reply| reply.assignment.is_some()) {
            self.timer.notify_one();
        }
        reply
    }

    /// Removes a member from its group.
    pub(crate) fn leave(&self, group: &str, leaver: &Leaver, now_ms: i64) -> Result<(), ResponseError> {
        let left = self.change_known(group, |slot| slot.members.handle_leave(leaver, now_ms));
        self.timer.notify_one();
        left.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// Commits offsets.
    pub(crate) fn commit(
        &self,
        group: &str,
        caller: &Caller,
        offsets: &[PartitionOffset],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        self.change(group, |slot| {
            slot.members.handle_commit(caller, false, now_ms)?;
            if !offsets.is_empty() {
                self.write_to_journal(Change::OffsetsCommitted { group: group.to_owned(), offsets: offsets.to_vec() })?;
                slot.offsets.commit(offsets.to_vec());
            }
            Ok(())
        })
    }

    /// Stores offsets that are pending until a transaction ends.
    pub(crate) fn prepare(
        &self,
        group: &str,
        caller: &Caller,
        producer_id: i64,
        offsets: &[PartitionOffset],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        self.change(group, |slot| {
            slot.members.handle_commit(caller, true, now_ms)?;
            slot.offsets.prepare(producer_id, offsets.to_vec());
            Ok(())
        })
    }

    /// Stores the pending offsets of a transaction that goes on after a restart; they were checked before it.
    pub(crate) fn resume(&self, group: &str, producer_id: i64, offsets: &[PartitionOffset]) {
        self.change(group, |slot| slot.offsets.prepare(producer_id, offsets.to_vec()));
    }

    /// The offsets that a transaction would commit in a group.
    pub(crate) fn prepared(&self, group: &str, producer_id: i64) -> Vec<PartitionOffset> {
        self.change_known(group, |slot| slot.offsets.prepared(producer_id)).unwrap_or_default()
    }

    /// Ends a transaction in a group and commits its offsets; they are already in the journal.
    pub(crate) fn end(&self, group: &str, producer_id: i64, committed: &[PartitionOffset]) {
        self.change(group, |slot| slot.offsets.end(producer_id, committed.to_vec()));
    }

    /// Calls `inspect` with a view of a group; `None` if there is no such group.
    pub(crate) fn inspect<T>(&self, group: &str, inspect: impl FnOnce(GroupView<'_>) -> T) -> Option<T> {
        self.change_known(group, |slot| inspect(GroupView { members: &slot.members, offsets: &slot.offsets }))
    }

    /// The ids of all groups.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.by_id.lock().keys().cloned().collect()
    }

    /// Deletes a group that has no members.
    pub(crate) fn delete(&self, group: &str) -> Result<(), ResponseError> {
        let mut by_id = self.by_id.lock();
        let slot = by_id.get(group).cloned().ok_or(ResponseError::GroupIdNotFound)?;
        let mut slot = slot.lock();
        if !slot.members.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.write_to_journal(Change::GroupDeleted { group: group.to_owned() })?;
        slot.removed = true;
        by_id.remove(group);
        Ok(())
    }

    /// Deletes a group's offsets for some partitions.
    pub(crate) fn delete_offsets(&self, group: &str, partitions: Vec<TopicPartition>) -> Result<(), ResponseError> {
        let deleted = self.change_known(group, |slot| self.delete_offsets_of(group, slot, partitions));
        deleted.unwrap_or(Err(ResponseError::GroupIdNotFound))
    }

    fn delete_offsets_of(
        &self,
        group: &str,
        slot: &mut Slot,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), ResponseError> {
        self.write_to_journal(Change::OffsetsDeleted { group: group.to_owned(), partitions: partitions.clone() })?;
        slot.offsets.delete(&partitions);
        Ok(())
    }

    /// Deletes the committed offsets that nobody has needed since `before_ms`, and groups of which nothing is left. Errors are logged:
    /// it is tried again.
    pub(crate) fn expire_offsets(&self, before_ms: i64) {
        for group in self.ids() {
            self.change_known(&group, |slot| {
                let expired = slot.members.expired(&slot.offsets, before_ms);
                let offsets = expired.len();
                if offsets == 0 {
                    return;
                }
                match self.delete_offsets_of(&group, slot, expired) {
                    Ok(()) => tracing::info!(group, offsets, "deleted expired offsets"),
                    Err(error) => tracing::warn!(group, %error, "could not delete expired offsets"),
                }
            });
        }
        self.remove_unused();
    }

    /// Removes all offsets of a deleted topic; the deletion is already in the journal.
    pub(crate) fn forget_topic(&self, topic: &str) {
        for slot in self.slots() {
            slot.lock().offsets.delete_topic(topic);
        }
    }

    /// When [`Groups::handle_timeouts`] must be called next.
    pub(crate) fn poll_timeout(&self) -> Option<i64> {
        self.slots().iter().filter_map(|slot| slot.lock().members.poll_timeout()).min()
    }

    /// Handles everything that is due, notes in the journal which groups have members, and removes those without members and offsets.
    pub(crate) fn handle_timeouts(&self, now_ms: i64) {
        for group in self.ids() {
            self.change_known(&group, |slot| {
                if slot.members.poll_timeout().is_some_and(|deadline_ms| deadline_ms <= now_ms) {
                    slot.members.handle_timeout(now_ms);
                }
                self.note_membership(&group, slot);
            });
        }
        self.remove_unused();
    }

    /// Joining and leaving do not wait for the journal. A broker that is killed in between does not know the latest change; its next
    /// start has the members join again before any offset expires.
    fn note_membership(&self, group: &str, slot: &mut Slot) {
        let membership = slot.members.membership();
        if membership == slot.noted {
            return;
        }
        let change = Change::GroupMembersChanged { group: group.to_owned(), membership: membership.clone() };
        if self.write_to_journal(change).is_ok() {
            slot.noted = membership;
        }
    }

    /// Has the journal keep members before they are told what they are assigned, so that they go on after a restart. If it cannot,
    /// they only have to join again then.
    fn keep_members(&self, group: &str, slot: &mut Slot) {
        if let Some(kept) = slot.members.classic().and_then(Group::poll_kept) {
            let _ = self.write_to_journal(Change::GroupMembersKept { group: group.to_owned(), kept });
        }
    }

    fn remove_unused(&self) {
        self.by_id.lock().retain(|group, slot| {
            let mut slot = slot.lock();
            slot.removed = slot.members.is_empty() && slot.offsets.is_empty() && self.forget(group);
            !slot.removed
        });
    }

    /// Has the journal forget a group. Returns false if that fails; it is tried again.
    fn forget(&self, group: &str) -> bool {
        let is_known = self.journal.read(|image| image.groups.contains_key(group));
        !is_known || self.write_to_journal(Change::GroupDeleted { group: group.to_owned() }).is_ok()
    }

    fn slots(&self) -> Vec<Arc<Mutex<Slot>>> {
        self.by_id.lock().values().cloned().collect()
    }

    /// Changes a group, which is created if it does not exist, and sends the resulting replies.
    fn change<T>(&self, group: &str, mut change: impl FnMut(&mut Slot) -> T) -> T {
        loop {
            let fresh = || Arc::new(Mutex::new(Slot::new(Group::new(self.timeouts.initial_delay_ms))));
            let slot = Arc::clone(self.by_id.lock().entry(group.to_owned()).or_insert_with(fresh));
            let mut slot = slot.lock();
            if !slot.removed {
                let changed = change(&mut slot);
                self.keep_members(group, &mut slot);
                slot.send_replies();
                return changed;
            }
        }
    }

    /// Changes a group if it exists.
    fn change_known<T>(&self, group: &str, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let slot = self.by_id.lock().get(group).cloned()?;
        let mut slot = slot.lock();
        if slot.removed {
            return None;
        }
        let changed = change(&mut slot);
        self.keep_members(group, &mut slot);
        slot.send_replies();
        Some(changed)
    }

    /// Kafka clients retry after this error; the cause is in the log.
    fn write_to_journal(&self, change: Change) -> Result<(), ResponseError> {
        self.journal.write(change).map_err(|_| ResponseError::CoordinatorNotAvailable)
    }
}

impl Slot {
    fn new(group: Group) -> Slot {
        let (offsets, noted, waiting) = Default::default();
        Slot { members: Members::Classic(group), offsets, noted, waiting, next_token: 0, removed: false }
    }

    /// A group of the last broker.
    fn restored(timeouts: Timeouts, image: GroupImage, now_ms: i64) -> Slot {
        let GroupImage { membership: noted, kept, offsets } = image;
        // Earlier versions wrote no times and noted no members: there may have been some until now.
        let is_dated = offsets.values().all(|committed| committed.committed_ms.is_some());
        let had_members = !noted.protocol_type.is_empty() || !is_dated;
        let group = Group::restored(timeouts.initial_delay_ms, &noted, had_members, now_ms);
        let group = match kept {
            Some(kept) => group.resumed(kept, now_ms),
            None => group,
        };
        Slot { offsets: Offsets::from_journal(offsets), noted, ..Slot::new(group) }
    }

    fn wait(&mut self) -> (Token, oneshot::Receiver<Reply>) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.retain(|_, sender| !sender.is_closed());
        self.waiting.insert(token, sender);
        (token, receiver)
    }

    fn send_replies(&mut self) {
        let Some(group) = self.members.classic() else { return };
        while let Some((token, reply)) = group.poll_reply() {
            if let Some(sender) = self.waiting.remove(&token) {
                let _ = sender.send(reply); // the client is gone; its session will end
            }
        }
    }
}
