use std::sync::Arc;

use rookery_protocol::id::{DeviceId, UserId};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::Place,
    e2ee::{OsRandom, identity::DeviceSecrets},
    engine::Engine,
    store::{self, Account, AccountStage, Name, Secret},
};

async fn engine() -> (tempfile::TempDir, Arc<Engine>) {
    let home = tempfile::tempdir().unwrap();
    let place = Place::find(Some(home.path().to_owned()), None).unwrap();
    let store = store::create(&place, Secret::Found).await.unwrap();
    let secrets = DeviceSecrets::generate(&mut OsRandom);
    let account = Account {
        user: UserId::from_bytes([1; 32]),
        device: DeviceId::from_bytes([2; 32]),
        name: "alice".parse().unwrap(),
        server: "nest".parse().unwrap(),
        address: "127.0.0.1:9".to_owned(),
        pin: None,
        stage: AccountStage::Certified,
        device_name: "laptop".to_owned(),
        added: 0,
        archive: true,
        read_receipts: true,
    };
    let mut unit = store.write().await.unwrap();
    unit.put_value(Name::Account, &account).await.unwrap();
    unit.put_value_bytes(Name::Device, &secrets.to_bytes()).await.unwrap();
    unit.commit().await.unwrap();
    (home, Engine::open(place, store).await.unwrap())
}

/// Writes lines to a served stream, closes it, and gives every line that came back.
async fn exchange(lines: &[String]) -> Vec<Value> {
    let (_home, engine) = engine().await;
    let (caller, agent) = tokio::io::duplex(64 * 1024);
    let (agent_reads, agent_writes) = tokio::io::split(agent);
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(serve_stream(
        BufReader::new(agent_reads),
        agent_writes,
        engine,
        CancellationToken::new(),
    ));
    let (reads, mut writes) = tokio::io::split(caller);
    for line in lines {
        writes.write_all(line.as_bytes()).await.unwrap();
        writes.write_all(b"\n").await.unwrap();
    }
    writes.shutdown().await.unwrap();
    let mut answers = vec![];
    let mut lines = BufReader::new(reads).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        answers.push(serde_json::from_str(&line).unwrap());
    }
    answers
}

fn call(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

#[tokio::test]
async fn a_caller_is_answered_by_id_and_the_version_is_told() {
    let answers =
        exchange(&[call(1, "hello", &json!({ "version": 1 })), call(2, "whoami", &json!({}))])
            .await;
    let answer = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answer(1)["result"]["version"], 1);
    assert_eq!(answer(2)["result"]["name"], "alice@nest");
    assert_eq!(answer(2)["result"]["state"], "certified");
    assert!(answers.iter().all(|answer| answer["jsonrpc"] == "2.0"));
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_rest_still_answered() {
    let lines = [
        "not json".to_owned(),
        call(1, "frobnicate", &json!({})),
        call(2, "read", &json!({ "wiht": "@bob" })),
        call(3, "whoami", &Value::Null),
    ];
    let answers = exchange(&lines).await;
    assert_eq!(answers.len(), 4);
    assert!(
        answers.iter().any(|answer| answer["id"].is_null() && answer["error"]["code"] == -32700)
    );
    let code = |id: u64| {
        answers.iter().find(|answer| answer["id"] == id).unwrap()["error"]["code"].clone()
    };
    assert_eq!(code(1), 1002, "an unknown method is wrong usage");
    assert_eq!(code(2), 1002, "so is a parameter that does not exist");
    assert_eq!(code(3), Value::Null);
}

#[tokio::test]
async fn at_the_end_of_input_an_endless_call_ends() {
    let answers = exchange(&[call(1, "tail", &json!({})), call(2, "whoami", &json!({}))]).await;
    assert_eq!(answers.len(), 1, "the one that ends by itself is answered");
    assert_eq!(answers[0]["id"], 2);
}

#[tokio::test]
async fn a_profile_has_one_owner() {
    let home = tempfile::tempdir().unwrap();
    let place = Place::find(Some(home.path().to_owned()), None).unwrap();
    let lock = Lock::try_take(&place).unwrap().unwrap();
    assert!(Lock::try_take(&place).unwrap().is_none());
    drop(lock);
    assert!(Lock::try_take(&place).unwrap().is_some());
}
