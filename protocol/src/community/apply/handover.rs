//! Another server becomes the hub.

use super::{Case, Denied};
use crate::{
    community::{Handover, MAX_HANDOVERS, State, Term},
    id::ChannelId,
};

impl Case<'_> {
    pub(super) fn hand_over(&self, handover: &Handover) -> Result<State, Denied> {
        self.need_owner()?;
        let Handover { hub, hub_key, owner_epoch, ends } = handover;
        let state = self.state;
        if *hub_key == state.hub_key {
            return Err(Denied::Already("that server is the hub already"));
        }
        if state.owner_epoch.checked_add(1) != Some(*owner_epoch) {
            return Err(Denied::Not("one period of ownership follows the other"));
        }
        if state.terms.size() >= MAX_HANDOVERS {
            return Err(Denied::TooMany("hand-overs"));
        }
        let named: Vec<ChannelId> = ends.iter().map(|end| end.channel).collect();
        if !named.iter().eq(state.channels.keys()) {
            return Err(Denied::Not("a hand-over names where each channel ends, in their order"));
        }
        let ended = Term {
            hub: state.hub.clone(),
            hub_key: state.hub_key,
            last: self.entry.seen(),
            ends: ends.iter().map(|end| (end.channel, end.last)).collect(),
        };
        Ok(State {
            hub: hub.clone(),
            hub_key: *hub_key,
            owner_epoch: *owner_epoch,
            terms: state.terms.insert(state.owner_epoch, ended),
            ..state.clone()
        })
    }
}
