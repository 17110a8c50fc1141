//! Sealed files against an implementation that shares no code with ours.

use minicbor::to_vec;
use serde_json::json;

use super::{Python, hex};
use crate::e2ee::{
    OsRandom, Unopenable,
    file::{
        FileKey,
        testing::{opened, sealed},
    },
};

#[test]
fn our_files_and_those_of_an_independent_implementation_open_each_other() {
    let mut python = Python::run("file.py");
    for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 200_000] {
        let key = FileKey::draw(&mut OsRandom);
        // A key is a byte string of 32.
        let encoded = to_vec(&key).unwrap();
        let secret = hex(encoded.strip_prefix(&[0x58, 32]).unwrap());
        let text: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let ours = sealed(&key, &text, &mut OsRandom);
        let open = json!({"op": "open", "key": secret, "size": size, "sealed": hex(&ours)});
        assert_eq!(python.bytes(&open, "text"), text, "{size}");
        let seal = json!({"op": "seal", "key": secret, "text": hex(&text)});
        let theirs = python.bytes(&seal, "sealed");
        assert_eq!(theirs.len(), ours.len(), "{size}");
        assert_eq!(opened(&key, size, &theirs), Ok(text), "{size}");
        // Neither takes one that is cut.
        let cut = theirs.len().checked_sub(272).unwrap();
        assert_eq!(opened(&key, size, &theirs[..cut]), Err(Unopenable));
        let open = json!({"op": "open", "key": secret, "size": size, "sealed": hex(&ours[..cut])});
        assert!(python.ask(&open).get("error").is_some(), "{size}");
    }
}
