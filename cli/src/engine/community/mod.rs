//! Communities: logs that are checked, secrets that are had and given, channels that are read and written.
//!
//! [`book`] holds what the logs come to; [`log`] and [`channel`] take in what the hub sends, by the chains of authors that [`histories`] brings; [`keys`] gets the epochs' secrets; [`draft`] makes
//! statements and [`post`] messages; [`keep`] does what a member owes the others; [`sight`] is a large community's before its log is checked, and [`vouch`] what its owner does for that; [`abroad`] is about hubs on other servers, [`fork`] about those that sign two histories. What people ask for is in [`act`], [`join`], [`leave`], [`moderate`] and
//! [`say`]; what they see in [`view`], [`list`] and [`history`] (a message with all that is about it by [`merge`](mod@merge)); what they call things in [`target`] and [`link`].

mod abroad;
mod act;
mod book;
mod channel;
mod draft;
mod epochs;
mod fork;
mod heads;
mod histories;
mod history;
mod join;
mod keep;
mod keeper;
mod keys;
mod leave;
mod line;
mod link;
mod list;
mod log;
mod merge;
mod moderate;
mod moving;
mod post;
mod report;
mod say;
mod sight;
mod target;

mod view;
mod vouch;

use rookery_protocol::{
    chain::HeadRef,
    id::{ChainId, ChannelId, CommunityId},
    io::client::Client,
    session::FollowedChain,
};

use self::log::Reader;
pub(super) use self::{
    abroad::HubsAway,
    book::{Book, Books},
    keeper::Owed,
    keys::MetadataKeys,
    leave::{Departure, leave_refused},
    merge::merge,
    target::handle,
};
pub(crate) use self::{
    act::{FoundOrder, InviteOrder},
    history::LogOrder,
    join::Joined,
    leave::Left,
    moderate::{ChannelOrder, Grant, MemberChange, NewChannel, RoleOrder, Whom},
    report::Reported,
    say::SayOrder,
    target::{Room, is_room},
    view::{ReadOrder, Spot},
};
use super::{Engine, chains::ChainError};
use crate::store::{Standing, StoreError};

impl Engine {
    /// The chains of communities to follow, with what is here of each.
    pub(super) async fn community_chains(&self) -> Result<Vec<FollowedChain>, StoreError> {
        self.load_books().await?;
        let mut chains = vec![];
        for book in self.books.all() {
            if book.row.alarm.is_some() || book.row.standing == Standing::Gone {
                continue;
            }
            let Some(state) = &book.state else { continue };
            let community = book.row.community;
            let have = Some(HeadRef::from(state.head));
            chains.push(FollowedChain { chain: ChainId::of_log(community), have });
            if book.row.is_leaving() {
                continue;
            }
            for channel in state.channels.keys() {
                if state.may_read(self.user, *channel) {
                    let chain = ChainId::of_channel(community, *channel);
                    let row = self.store.read().await?.channel(chain).await?;
                    let have = row.and_then(|row| row.have).map(HeadRef::from);
                    chains.push(FollowedChain { chain, have });
                }
            }
        }
        let mut followed = self.followed();
        followed.clear();
        followed.extend(chains.iter().map(|followed| followed.chain));
        drop(followed);
        Ok(chains)
    }

    /// Fetches what is missing of a log or a channel.
    pub(super) async fn fetch_community_chain(
        &self,
        client: &Client,
        (community, channel): (CommunityId, Option<ChannelId>),
    ) -> Result<(), ChainError> {
        match channel {
            Some(channel) => self.fetch_channel(client, community, channel).await,
            None => self.fetch_log(client, community, &Reader::Member).await,
        }
    }
}
