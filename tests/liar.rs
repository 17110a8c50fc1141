//! A hub that lies is caught: each lie is refused or shown, and none makes an honest device seal for a stranger.

#![expect(
    clippy::indexing_slicing,
    reason = "a subject fails by panicking, and names people that it has made"
)]

#[path = "liar/forks.rs"]
mod forks;
#[path = "liar/heads.rs"]
mod heads;
#[path = "liar/wraps.rs"]
mod wraps;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rookery_protocol::{
    chain::{Entry, Kind, Submission},
    codec::Octets,
    community::{Action, Ban, Join, JoinBy},
    id::ChainId,
    request::community::AppendLog,
};
use rookery_tests::{
    liar::{
        item_of, relink,
        scene::{Scene, reads},
        statement_of,
    },
    process::PATIENCE,
    world::eventually,
};
use serde_json::Value;

/// A lie about the log after which the victim believes the hub no more.
async fn log_lie(
    scene: &Scene,
    why: &str,
    lie: impl Fn(Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static,
) -> Result<()> {
    scene.show_log(scene.users[1], lie);
    scene.finds_out(1, why).await?;
    scene.stranger_has_nothing().await
}

fn with(extra: Entry) -> impl Fn(Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static {
    move |mut log| {
        log.push(extra.clone());
        relink(log)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_opens_what_a_stranger_does_not() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    scene.stranger_has_nothing().await?;
    scene.person(0).ask(&["community", "edit", "club", "--policy", "open"]).await?;
    let stranger = &scene.stranger;
    let join = Action::Join(Join { puk: stranger.pin()?, by: JoinBy::Open });
    let head = (stranger.user, stranger.head);
    let joined = scene.forge(head, stranger.device.signing(), join).await?;
    let body = joined.body.context("a body")?;
    let statements = vec![Submission { signed: joined.signed, body }];
    let request = AppendLog { community: scene.community, statements, hub: None };
    stranger.client.call(&request).await?;
    eventually(PATIENCE, async || {
        ensure!(
            stranger.opens(&scene.liar, scene.community).await? > 0,
            "nobody gave them the epoch"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_somebody_s_name_is_not_believed() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let owner = (scene.users[0], statement_of(&scene.log_entries().await?[0])?.author_head);
    let kick = Action::Kick(Ban { user: scene.users[1], reason: None });
    let forged = scene.forge(owner, scene.stranger.device.signing(), kick).await?;
    log_lie(&scene, "none of its author's", with(forged)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_with_another_body_is_not_believed() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    // Both are here already; somebody who is away finds it when they come back.
    let change = |mut log: Vec<Entry>| {
        if let Some(last) = log.last_mut() {
            last.body = last.body.as_ref().and_then(|body| {
                let mut bytes = body.as_slice().to_vec();
                *bytes.last_mut()? ^= 1;
                Octets::parse(bytes).ok()
            });
        }
        log
    };
    scene.show_log(scene.users[1], change);
    scene.person(0).ask(&["member", "nick", "club", "@alice", "empress"]).await?;
    scene.finds_out(1, "not what the author signed").await?;
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_brought_in_by_the_hub() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let stranger = &scene.stranger;
    let join = Action::Join(Join { puk: stranger.pin()?, by: JoinBy::Open });
    let forged =
        scene.forge((stranger.user, stranger.head), stranger.device.signing(), join).await?;
    log_lie(&scene, "breaks the rules", with(forged)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_is_added_by_the_hub() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let owner = scene.users[0];
    let chain = ChainId::of_user(owner);
    let head = scene.liar.entries(chain).await?.last().context("a chain")?.seen();
    let added = scene.stranger.add_own_device_to(owner, head)?;
    // The stranger's device kicks in the owner's name, by the head at which it is a device of theirs.
    let kick = Action::Kick(Ban { user: scene.users[1], reason: None });
    let signing = scene.stranger.device.signing();
    let forged = scene.forge((owner, added.seen()), signing, kick).await?;
    let (victim, log) = (scene.users[1], scene.log());
    scene.liar.lie_about_chains(move |to, shown, mut entries| {
        if to == victim && shown == chain {
            entries.push(added.clone());
        } else if to == victim && shown == log {
            entries.push(forged.clone());
            return relink(entries);
        }
        entries
    });
    scene.finds_out(1, "devices").await?;
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_log_is_noticed_by_who_has_it() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    for name in ["queen", "empress"] {
        scene.person(0).ask(&["member", "nick", "club", "@alice", name]).await?;
    }
    let length = scene.log_entries().await?.len();
    wait_for_log(&scene, 1, length).await?;
    log_lie(&scene, "another entry", |mut log| {
        let end = log.len();
        log.swap(end - 1, end - 2);
        relink(log)
    })
    .await
}

async fn wait_for_log(scene: &Scene, index: usize, length: usize) -> Result<()> {
    eventually(PATIENCE, async || {
        let log =
            scene.person(index).run(&["community", "log", "club", "--json"]).await?.success()?;
        ensure!(
            log.stdout.lines().count() == length,
            "{} statements of {length}",
            log.stdout.lines().count()
        );
        Ok(())
    })
    .await
}

/// Whether messages of one side of the fork reach the other.
static CROSSES: AtomicBool = AtomicBool::new(false);

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_found_out_by_the_first_message_that_crosses_it() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (bob, log, channel) = (scene.users[1], scene.log(), scene.channel());
    let (before, heard) =
        (scene.log_entries().await?.len(), scene.liar.entries(channel).await?.len());
    // Bob is not shown what alice states, and what she says only when his log is as long as hers was then.
    scene.liar.lie_about_chains(move |to, chain, mut entries| {
        if (to, chain) == (bob, log) && entries.len() > before {
            entries.remove(before);
            return relink(entries);
        }
        if (to, chain) == (bob, channel) && !CROSSES.load(Ordering::Relaxed) {
            entries.truncate(heard);
        }
        entries
    });
    scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    scene.person(0).send("club#general", "across").await?;
    scene.person(1).ask(&["member", "nick", "club", "@bob", "jester"]).await?;
    wait_for_log(&scene, 1, before + 1).await?;
    let shown = scene.person(1).ask(&["community", "show", "club"]).await?;
    ensure!(shown.get("alarm").is_none(), "each side of a fork is right in itself: {shown}");
    CROSSES.store(true, Ordering::Relaxed);
    scene.person(0).send("club#general", "and again").await?;
    scene.finds_out(1, "another log").await?;
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_epoch_or_statement_does_not_come_back() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let log = scene.log_entries().await?;
    let is_epoch = |entry: &&Entry| {
        statement_of(entry).is_ok_and(|statement| matches!(statement.action, Action::Epoch(_)))
    };
    let epoch = log.iter().find(is_epoch).context("an epoch")?.clone();
    log_lie(&scene, "not for this place", with(epoch)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loose_statement_is_not_placed_twice() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    let nickname = scene.log_entries().await?.last().context("a statement")?.clone();
    log_lie(&scene, "has that statement already", with(nickname)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_not_resurrected() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let carol = scene.users[2];
    let log = scene.log_entries().await?;
    let is_join = |entry: &&Entry| {
        statement_of(entry).is_ok_and(|statement| {
            statement.author == carol && matches!(statement.action, Action::Join(_))
        })
    };
    let join = log.iter().find(is_join).context("a join")?.clone();
    scene.person(0).ask(&["member", "kick", "club", "@carol"]).await?;
    scene.person(0).send("club#general", "without carol").await?;
    reads(scene.person(1), "without carol").await?;
    log_lie(&scene, "has that statement already", with(join)).await?;
    let shown = scene.person(2).read("club#general", 50).await?;
    ensure!(shown.iter().all(|message| message.text != "without carol"), "{shown:?}");
    Ok(())
}

/// Whether it is a message, and not the announcement of a key.
fn is_message(entry: &Entry) -> bool {
    item_of(entry).is_ok_and(|item| item.kind == Kind::Message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_repeated_is_shown_once_and_counted() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    scene.show(scene.users[1], scene.channel(), |mut entries| {
        let first = entries.iter().find(|entry| is_message(entry)).cloned();
        if let Some(first) = first.filter(|_| entries.len() > 2) {
            entries.insert(2, Entry { log_pos: entries[1].log_pos, ..first });
        }
        relink(entries)
    });
    scene.all_hear("next").await?;
    ensure!(scene.refused(1).await? == 1, "one was refused");
    reads(scene.person(1), "at first").await?;
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_withheld_is_missed() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let have = scene.liar.entries(scene.channel()).await?.len();
    scene.show(scene.users[1], scene.channel(), move |mut entries| {
        if entries.len() > have {
            entries.remove(have);
        }
        relink(entries)
    });
    for text in ["withheld", "after it", "and more"] {
        scene.person(0).send("club#general", text).await?;
    }
    let after = reads(scene.person(1), "after it").await?;
    ensure!(doubt(&after).contains("theirs before this one was withheld"), "{after}");
    // Nothing of hers is missing before this one; but what she has seen of the channel is not what bob was shown.
    let more = reads(scene.person(1), "and more").await?;
    ensure!(!doubt(&more).contains("before this one"), "{more}");
    scene.stranger_has_nothing().await
}

/// What is doubted of a message.
fn doubt(shown: &Value) -> &str {
    shown.get("doubt").and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_two_senders_in_another_order_are_doubted() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    // Everybody's key has been announced: from here on an entry is a message.
    scene.person(2).send("club#general", "carol is here").await?;
    for index in 0..3 {
        let shown = reads(scene.person(index), "carol is here").await?;
        ensure!(doubt(&shown).is_empty(), "{shown}");
    }
    let have = scene.liar.entries(scene.channel()).await?.len();
    scene.show(scene.users[1], scene.channel(), move |mut entries| {
        entries.truncate(if entries.len() < have + 2 { have } else { entries.len() });
        if entries.len() >= have + 2 {
            entries.swap(have, have + 1);
        }
        relink(entries)
    });
    scene.person(0).send("club#general", "question").await?;
    reads(scene.person(2), "question").await?;
    scene.person(2).send("club#general", "answer").await?;
    let answer = reads(scene.person(1), "answer").await?;
    ensure!(doubt(&answer).contains("another order"), "{answer}");
    let question = reads(scene.person(1), "question").await?;
    ensure!(doubt(&question).is_empty(), "{question}");
    ensure!(scene.refused(1).await? == 0, "each of them is right in itself");
    // Who was told the truth doubts nothing, and nobody is locked out.
    let answer = reads(scene.person(0), "answer").await?;
    ensure!(doubt(&answer).is_empty(), "{answer}");
    scene.person(0).send("club#general", "and later").await?;
    let later = reads(scene.person(1), "and later").await?;
    ensure!(doubt(&later).contains("another order"), "{later}");
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_another_order_are_refused_or_doubted() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let have = scene.liar.entries(scene.channel()).await?.len();
    scene.show(scene.users[1], scene.channel(), move |mut entries| {
        entries.truncate(if entries.len() < have + 2 { have } else { entries.len() });
        if entries.len() >= have + 2 {
            entries.swap(have, have + 1);
        }
        relink(entries)
    });
    for text in ["first", "second"] {
        scene.person(0).send("club#general", text).await?;
    }
    let second = reads(scene.person(1), "second").await?;
    ensure!(doubt(&second).contains("theirs before this one was withheld"), "{second}");
    ensure!(scene.refused(1).await? == 1, "the first came too late");
    scene.stranger_has_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_their_log_are_not_believed() -> Result<()> {
    for is_disguised in [false, true] {
        let scene = Scene::of(&["alice", "bob"]).await?;
        let (bob, log, channel) = (scene.users[1], scene.log(), scene.channel());
        let length = scene.log_entries().await?.len();
        let last = u64::try_from(length)?.saturating_sub(1);
        scene.liar.lie_about_chains(move |to, chain, mut entries| {
            if (to, chain) == (bob, log) {
                entries.truncate(length);
            }
            if (to, chain) == (bob, channel) && is_disguised {
                for entry in &mut entries {
                    entry.log_pos = entry.log_pos.map(|position| position.min(last));
                }
                return relink(entries);
            }
            entries
        });
        scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
        scene.person(0).send("club#general", "after it").await?;
        scene
            .finds_out(1, if is_disguised { "another log" } else { "position in the log" })
            .await?;
        scene.stranger_has_nothing().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_chain_of_a_member_hides_nothing_for_good() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let alice = ChainId::of_user(scene.users[0]);
    scene.show(scene.users[1], alice, |mut entries| {
        entries.truncate(1);
        entries
    });
    let phone = scene.world.profile("alice", "phone")?;
    phone.link_to(scene.person(0), &scene.liar.invite(1).await?.to_string()).await?;
    phone.send("club#general", "from the phone").await?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let shown = scene.person(1).read("club#general", 50).await?;
    ensure!(shown.iter().all(|message| message.text != "from the phone"), "{shown:?}");
    scene.stranger_has_nothing().await?;
    // Nothing is lost for good by it.
    scene.liar.tell_the_truth();
    reads(scene.person(1), "from the phone").await?;
    scene.all_hear("all is well").await
}
