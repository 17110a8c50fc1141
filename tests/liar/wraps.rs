//! Lies about the wraps of epochs: what does not open, or opens to something else, is said to be lacking, and given again by a member.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, ensure};
use rookery_cli::e2ee::{
    OsRandom,
    epoch::{EpochPlace, EpochSecret, Receiver, UnwrapError, WrapContext},
};
use rookery_protocol::{
    chain::Entry,
    community::Action,
    id::{ChainId, UserId},
    key::KemKey,
    user,
};
use rookery_tests::liar::{
    scene::{Scene, reads},
    statement_of,
};

/// Bob says that the epoch does not open, is given it by a member, reads what is said in it, and answers; carol, who was sent away, reads nothing.
async fn is_given_again(scene: &Scene) -> Result<()> {
    scene.person(0).send("club#general", "for two").await?;
    reads(scene.person(1), "for two").await?;
    let log = scene.log_entries().await?;
    let said = |wanted: fn(&Action) -> bool| {
        log.iter().any(|entry| statement_of(entry).is_ok_and(|said| wanted(&said.action)))
    };
    ensure!(
        said(|action| matches!(action, Action::Lacking { .. })),
        "nobody said that it is lacking"
    );
    let shown = scene.person(2).read("club#general", 50).await?;
    ensure!(shown.iter().all(|message| message.text != "for two"), "{shown:?}");
    scene.person(1).send("club#general", "thank you").await?;
    reads(scene.person(0), "thank you").await?;
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_absent_wrap_is_given_again_by_a_member() -> Result<()> {
    for is_absent in [false, true] {
        let scene = Scene::of(&["alice", "bob", "carol"]).await?;
        let bob = scene.users[1];
        scene.liar.lie_about_blobs(move |to, _, mut bytes| {
            if to == bob {
                if is_absent {
                    return None;
                }
                for byte in &mut bytes {
                    *byte ^= 1;
                }
            }
            Some(bytes)
        });
        // A new epoch, whose wraps bob cannot get from the hub.
        scene.person(0).ask(&["member", "kick", "club", "@carol"]).await?;
        is_given_again(&scene).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_in_a_wrap_is_not_taken() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (bob, log, channel) = (scene.users[1], scene.log(), scene.channel());
    let length = scene.log_entries().await?.len();
    let heard = scene.liar.entries(channel).await?.len();
    // Bob is shown nothing new until the wrap is ready.
    scene.liar.lie_about_chains(move |to, chain, mut entries| {
        if to == bob && chain == log {
            entries.truncate(length);
        } else if to == bob && chain == channel {
            entries.truncate(heard);
        }
        entries
    });
    scene.person(0).ask(&["member", "kick", "club", "@carol"]).await?;
    let start = scene.log_entries().await?.iter().rev().find_map(|entry| {
        match statement_of(entry).ok()?.action {
            Action::Epoch(start) => Some(start),
            _ => None,
        }
    });
    let start = start.context("an epoch for two")?;
    // Made as an honest one is, for the key that bob's chain names, with a secret that the hub knows.
    let place =
        EpochPlace { community: scene.community, audience: start.audience, epoch: start.epoch };
    let context = WrapContext { place, roster_root: start.roster_root };
    let wrap_for = |user: UserId, key: &KemKey| {
        let known = EpochSecret::generate(&mut OsRandom);
        known.wrap(key, &context, Receiver::User(user), &mut OsRandom)
    };
    let wrap =
        wrap_for(bob, &per_user_key(bob, &scene.liar.entries(ChainId::of_user(bob)).await?)?)?;
    // It opens for whom it is for: the stranger's own, made alike, fails by the commitment alone.
    let own = scene.stranger.ring.kem(1).context("a key")?;
    let alike = wrap_for(scene.stranger.user, &own.public())?;
    let receiver = Receiver::User(scene.stranger.user);
    let opened = EpochSecret::unwrap(&own, &context, receiver, &alike, &start.commit);
    ensure!(opened.err() == Some(UnwrapError::OtherSecret), "it would have been taken");
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    scene.liar.lie_about_blobs(move |to, blob, bytes| {
        if to == bob && blob == start.wraps {
            count.fetch_add(1, Ordering::Relaxed);
            return Some(wrap.as_slice().to_vec());
        }
        Some(bytes)
    });
    scene.liar.lie_about_chains(|_, _, entries| entries);
    is_given_again(&scene).await?;
    ensure!(given.load(Ordering::Relaxed) > 0, "bob never asked for his wrap");
    Ok(())
}

/// The per-user key that a user's chain names last.
fn per_user_key(user: UserId, chain: &[Entry]) -> Result<KemKey> {
    let mut history = user::History::new(user);
    for entry in chain {
        history.extend(entry)?;
    }
    Ok(history.latest().and_then(user::State::puk).context("a per-user key")?.public.clone())
}
