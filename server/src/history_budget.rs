//! How much history the sessions of a server may keep, all together.
//!
//! Each session tells what it takes, in coarse steps; when that is too much, those that take most
//! are told to keep less, and keep to it by themselves from then on. So a session that takes
//! little loses nothing to one that takes much, one that rests is told nothing, and a flood has
//! nothing more to tell once its history is as long as it may be.
//!
//! Pure. The registry's task owns the budget; each session's task what it told.

use std::collections::BTreeMap;

use psess_protocol::identity::SessionId;

/// A session tells what its history takes when that has changed by about so much. A history gives
/// its memory back in blocks of half of it, or less where they are packed.
const STEP: usize = 64 << 10;

/// What all sessions' histories may take, and what each takes.
#[derive(Debug)]
pub(crate) struct HistoryBudget {
    limit_bytes: usize,
    shares: BTreeMap<SessionId, Share>,
}

#[derive(Debug)]
struct Share {
    /// At least what the history takes.
    bytes: usize,
    /// What it was told to take at most; `None`: it goes by its own limits.
    limit: Option<usize>,
}

/// That a session may take so many bytes at most; `usize::MAX` where it goes by its own limits.
pub(crate) type Told = (SessionId, usize);

impl HistoryBudget {
    /// Of so many bytes. Each session keeps a step, or what its newest lines take, also when that
    /// is more.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            shares: BTreeMap::new(),
        }
    }

    /// A session takes so many bytes now. Who is to be told to take less, or may take more.
    pub(crate) fn handle_change(&mut self, session: SessionId, bytes: usize) -> Vec<Told> {
        let share = self.shares.entry(session).or_insert(Share {
            bytes: 0,
            limit: None,
        });
        share.bytes = bytes;
        self.settle()
    }

    /// A session is gone.
    pub(crate) fn forget(&mut self, session: SessionId) -> Vec<Told> {
        self.shares.remove(&session);
        self.settle()
    }

    fn settle(&mut self) -> Vec<Told> {
        let taken: usize = self.shares.values().map(|share| share.bytes).sum();
        // Somewhat less than all of it, so that the next step does not make everybody drop a block.
        let aim = self.limit_bytes - self.limit_bytes / 8;
        if taken > self.limit_bytes {
            return self.level(aim);
        }
        if taken > aim - self.limit_bytes / 8 {
            return Vec::new();
        }
        self.lift()
    }

    /// Has those that take most take equally little, so that all fit into `aim`.
    fn level(&mut self, aim: usize) -> Vec<Told> {
        let mut taken: Vec<_> = self.shares.values().map(|share| share.bytes).collect();
        taken.sort_unstable();
        let level = level(&taken, aim).max(STEP);
        let mut told = Vec::new();
        for (session, share) in &mut self.shares {
            if share.bytes > level {
                // It will have dropped the rest before it tells anything again.
                share.bytes = level;
                share.limit = Some(level);
                told.push((*session, level));
            }
        }
        told
    }

    /// There is room again.
    fn lift(&mut self) -> Vec<Told> {
        let limited = self
            .shares
            .iter_mut()
            .filter_map(|(session, share)| share.limit.take().map(|_| *session));
        limited.map(|session| (session, usize::MAX)).collect()
    }
}

/// The level to which those above it have to go down for all to fit into `aim`, in whole steps.
/// `taken` is sorted.
fn level(taken: &[usize], aim: usize) -> usize {
    let mut left = aim;
    for (index, bytes) in taken.iter().enumerate() {
        let level = left / (taken.len() - index);
        if *bytes > level {
            return level / STEP * STEP;
        }
        left -= bytes;
    }
    usize::MAX
}

/// What a session told of its history: that it takes no more than this, and not much less.
#[derive(Debug, Default)]
pub(crate) struct ToldHistory(usize);

impl ToldHistory {
    /// What to tell now that the history takes `bytes`; `None`: that is known well enough.
    pub(crate) fn change(&mut self, bytes: usize) -> Option<usize> {
        if bytes <= self.0 && self.0 - bytes < 2 * STEP {
            return None;
        }
        Some(self.tell(bytes))
    }

    /// What to tell in any case.
    pub(crate) fn tell(&mut self, bytes: usize) -> usize {
        self.0 = bytes.next_multiple_of(STEP);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn session(number: u8) -> SessionId {
        SessionId([number; 16])
    }

    fn taken(budget: &HistoryBudget) -> usize {
        budget.shares.values().map(|share| share.bytes).sum()
    }

    #[test]
    fn the_sessions_that_take_most_give_up_first() {
        let mut budget = HistoryBudget::new(8 * MIB);
        for (number, bytes) in [(1, MIB), (2, 4 * MIB), (3, 3 * MIB)] {
            assert_eq!(budget.handle_change(session(number), bytes), []);
        }
        // 7 MiB are aimed at: 1 MiB is not touched, and three share the rest.
        let told = budget.handle_change(session(4), 2 * MIB + STEP);
        let level = 2 * MIB;
        assert_eq!(told, [2, 3, 4].map(|number| (session(number), level)));
        assert_eq!(taken(&budget), 7 * MIB);
    }

    #[test]
    fn a_session_that_grows_past_the_level_lowers_it_for_all_that_take_as_much() {
        let mut budget = HistoryBudget::new(8 * MIB);
        budget.handle_change(session(1), 4 * MIB);
        let told = budget.handle_change(session(2), 5 * MIB);
        let level = 7 * MIB / 2 / STEP * STEP;
        assert_eq!(told, [1, 2].map(|number| (session(number), level)));
        // Within what is left of the budget nobody is disturbed.
        assert_eq!(budget.handle_change(session(3), 8 * MIB - 2 * level), []);
        let told = budget.handle_change(session(3), 8 * MIB - 2 * level + STEP);
        let lower = (7 * MIB - (MIB + STEP)) / 2 / STEP * STEP;
        assert_eq!(told, [1, 2].map(|number| (session(number), lower)));
    }

    #[test]
    fn sessions_go_by_their_own_limits_again_when_there_is_room() {
        let mut budget = HistoryBudget::new(8 * MIB);
        for number in 1..=4 {
            budget.handle_change(session(number), 2 * MIB);
        }
        assert_eq!(budget.handle_change(session(5), 2 * MIB).len(), 5);
        // Of 7 MiB 1.4 went: that is not little enough to be taken for room.
        let level = 7 * MIB / 5 / STEP * STEP;
        assert_eq!(budget.handle_change(session(1), 2 * STEP + level / 2), []);
        let told = budget.forget(session(1));
        assert_eq!(told, [2, 3, 4, 5].map(|n| (session(n), usize::MAX)));
        assert_eq!(budget.forget(session(2)), []);
    }

    #[test]
    fn a_budget_that_is_too_small_for_all_leaves_each_a_step() {
        for limit in [0, 1, STEP] {
            let mut budget = HistoryBudget::new(limit);
            for number in 0..20 {
                let told = budget.handle_change(session(number), MIB);
                assert_eq!(told, [(session(number), STEP)], "{limit}");
                // That it obeyed changes nothing.
                assert_eq!(budget.handle_change(session(number), STEP), [], "{limit}");
            }
        }
    }

    #[test]
    fn a_budget_is_kept_and_small_sessions_are_left_alone_whatever_the_others_do() {
        let limit = 16 * MIB;
        let mut budget = HistoryBudget::new(limit);
        let mut random = 1_u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005);
            random = random.wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as u8 % 20;
            // The first five take up to 512 KiB: less than their part of the budget.
            let most = if number < 5 { 8 } else { 128 };
            let bytes = (random >> 41) as usize % (most + 1) * STEP;
            let told = if random >> 60 == 0 {
                budget.forget(session(number))
            } else {
                budget.handle_change(session(number), bytes)
            };
            let small = |(id, _): &Told| id.0[0] < 5;
            assert!(!told.iter().any(small));
            assert!(taken(&budget) <= limit);
        }
    }

    #[test]
    fn what_is_told_is_never_too_little_and_seldom_said() {
        let mut told = ToldHistory::default();
        let mut known = 0;
        let mut messages = 0;
        // It grows row by row, and then loses half a step and grows again, for ever.
        for bytes in (0..MIB).chain((0..100).flat_map(|_| MIB - STEP / 2 - 99..MIB)) {
            if let Some(change) = told.change(bytes) {
                known = change;
                messages += 1;
            }
            assert!((bytes..bytes + 2 * STEP).contains(&known));
        }
        assert_eq!(messages, MIB / STEP);
        assert_eq!(told.change(10), Some(STEP));
        assert_eq!(told.change(0), None);
        assert_eq!(told.tell(0), 0);
    }
}
