//! Messages that do not stay: gone from every device, and the ciphertext from the server.

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::{Message, Profile},
    world::{befriend, eventually},
};

use crate::scene::{Scene, exit, id_of};

/// The message with that id, as somebody sees it without reading it.
async fn seen(by: &Profile, room: &str, id: &str) -> Result<Message> {
    let messages = by.run(&["read", room, "--peek", "--json"]).await?.success()?;
    let found = rookery_tests::profile::messages(messages.json_lines()?)?;
    found.into_iter().find(|message| message.id == id).with_context(|| format!("no {id}"))
}

async fn until_expired(by: &Profile, room: &str, id: &str) -> Result<()> {
    eventually(PATIENCE, async || {
        let message = seen(by, room, id).await?;
        ensure!(message.more.get("expired") == Some(&true.into()), "{message:?}");
        ensure!(message.text.is_empty(), "{message:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_expires_in_a_channel_is_gone_from_every_device_and_from_the_hub() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    scene.club(&[]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    alice.ask(&["settings", "expire", "6s", "--of", "club#general"]).await?;
    let fleeting = alice.send("club#general", "a fleeting remark").await?;
    bob.send("club#general", "a lasting one").await?;
    let shown = bob.read_until("club#general", &["a fleeting remark", "a lasting one"]).await?;
    ensure!(id_of(&shown, "a fleeting remark")? == fleeting);
    let message = seen(bob, "club#general", &fleeting).await?;
    ensure!(message.more.get("expires_after") == Some(&6.into()), "{message:?}");
    alice.ask(&["edit", "club#general", &fleeting, "a fleeting remark, edited"]).await?;
    for person in [alice, bob] {
        until_expired(person, "club#general", &fleeting).await?;
        for words in ["fleeting", "edited"] {
            let found = person.run(&["search", words, "--json"]).await?.success()?;
            ensure!(found.stdout.is_empty(), "{found}");
        }
        person.read_until("club#general", &["a lasting one"]).await?;
    }
    // Somebody who comes now and reads all from its beginning: their own device had nothing to forget.
    let carol = scene.world.profile("carol", "laptop")?;
    carol.register(&scene.server.invite(1).await?).await?;
    let link = alice.link_into("club", &[]).await?;
    carol.ask(&["community", "join", &link]).await?;
    eventually(PATIENCE, async || {
        let message = seen(&carol, "club#general", &fleeting).await?;
        ensure!(message.more.get("erased").is_some(), "{message:?}");
        ensure!(message.more.get("expired").is_none(), "the hub still has it: {message:?}");
        Ok(())
    })
    .await?;
    for bad in ["0s", "367d", "soon"] {
        let refused = alice.run(&["settings", "expire", bad, "--of", "club#general"]).await?;
        ensure!(refused.code() == exit::USAGE, "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_direct_message_expires_once_it_was_read() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    befriend(alice, bob).await?;
    let sent = ["send", "@bob", "for your eyes only", "--expire", "2s"];
    let id = alice.ask(&sent).await?.get("id").and_then(|id| id.as_str()).context("id")?.to_owned();
    alice.send("@bob", "for everybody's").await?;
    // Its author's copy goes by itself; the reader's waits for them.
    until_expired(alice, "@bob", &id).await?;
    let message = seen(bob, "@alice", &id).await?;
    ensure!(message.text == "for your eyes only", "{message:?}");
    ensure!(message.more.get("expires_after") == Some(&2.into()), "{message:?}");
    bob.read_until("@alice", &["for your eyes only", "for everybody's"]).await?;
    until_expired(bob, "@alice", &id).await?;
    // A device that is linked later does not get it from the account's archive.
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(bob, &scene.server.ready().invite).await?;
    let shown = phone.read_until("@alice", &["for everybody's"]).await?;
    ensure!(shown.iter().all(|message| message.id != id), "{shown:?}");
    Ok(())
}
