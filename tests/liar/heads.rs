//! Lies about the end of a log: what members tell one another in direct messages, the hub cannot change.

use anyhow::{Result, ensure};
use rookery_tests::{
    liar::{relink, scene::Scene},
    process::PATIENCE,
    world::{befriend, eventually},
};
use serde_json::Value;

/// Person number `index` is warned of the community's log with these words in it, or not at all.
async fn is_warned(scene: &Scene, index: usize, words: Option<&str>) -> Result<()> {
    eventually(PATIENCE, async || {
        let shown = scene.person(index).ask(&["community", "show", "club"]).await?;
        let warning = shown.get("warning").and_then(Value::as_str);
        let is_so = match words {
            Some(words) => warning.is_some_and(|warning| warning.contains(words)),
            None => warning.is_none(),
        };
        ensure!(is_so, "wanted {words:?}: {shown}");
        ensure!(shown.get("alarm").is_none(), "nobody but a member has said so: {shown}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_withheld_is_told_of_by_another_member() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    befriend(scene.person(0), scene.person(1)).await?;
    is_warned(&scene, 1, None).await?;
    let length = scene.log_entries().await?.len();
    scene.show_log(scene.users[1], move |mut log| {
        log.truncate(length);
        log
    });
    scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    scene.person(0).send("@bob", "have you seen my new name?").await?;
    let count = length.saturating_add(1);
    is_warned(&scene, 1, Some(&format!("has seen {count} statements"))).await?;
    scene.stranger_has_nothing().await?;
    // The other way round there is nothing to be said, and the truth makes it good.
    scene.person(1).send("@alice", "no").await?;
    is_warned(&scene, 0, None).await?;
    scene.liar.tell_the_truth();
    is_warned(&scene, 1, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_told_of_by_another_member() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    befriend(scene.person(0), scene.person(1)).await?;
    let before = scene.log_entries().await?.len();
    scene.show_log(scene.users[1], move |mut log| {
        if log.len() > before {
            log.remove(before);
        }
        relink(log)
    });
    scene.person(0).ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    scene.person(0).send("@bob", "have you seen my new name?").await?;
    is_warned(&scene, 1, Some("has seen")).await?;
    // His own statement stands there, where hers was taken out.
    scene.person(1).ask(&["member", "nick", "club", "@bob", "jester"]).await?;
    is_warned(&scene, 1, Some("was shown another log")).await?;
    scene.stranger_has_nothing().await
}
