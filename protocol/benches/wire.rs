//! What the protocol's own work costs: encoding, decoding, signatures, a statement's rules.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use rookery_protocol::{
    chain::{Kind, Submission},
    codec,
    id::{ChainId, ItemId},
    key::{Domain, SigningKey},
    request::message::SendMessage,
    schema::Schema,
    time::Timestamp,
};

fn wire(criterion: &mut Criterion) {
    let message = SendMessage::sample();
    let bytes = codec::encode(&message);
    criterion.bench_function("encode message/send/1", |bencher| {
        bencher.iter(|| codec::encode(&message));
    });
    criterion.bench_function("decode message/send/1", |bencher| {
        bencher.iter(|| codec::decode::<SendMessage>(&bytes).unwrap());
    });
}

fn signatures(criterion: &mut Criterion) {
    let key = SigningKey::from_seed(&[1; 32]);
    let public = key.verifying_key();
    let signature = key.sign(Domain::ITEM, &[7; 300]);
    criterion.bench_function("sign 300 bytes", |bencher| {
        bencher.iter(|| key.sign(Domain::ITEM, &[7; 300]));
    });
    criterion.bench_function("verify 300 bytes", |bencher| {
        bencher.iter(|| public.verify(Domain::ITEM, &[7; 300], &signature).unwrap());
    });
    let chain = ChainId::from_bytes([2; 32]);
    let submission = Submission::sign(
        &key,
        chain,
        ItemId::from_bytes([3; 16]),
        Kind::Journal,
        vec![4; 300],
        Timestamp::from_millis(0),
        None,
    )
    .unwrap();
    criterion.bench_function("verify a journal item", |bencher| {
        bencher.iter(|| submission.verify(chain).unwrap());
    });
}

criterion_group!(benches, wire, signatures);
criterion_main!(benches);
