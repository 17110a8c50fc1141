//! Held against implementations that share no code with ours: `tests/interop/*.py`, run by the Python that `ROOKERY_TEST_PYTHON` names.
//!
//! The ratchet and the seals are not to be had from outside this module, so these tests stand inside it.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

mod community;
mod file;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use data_encoding::HEXLOWER;
use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    envelope::Initiation,
    id::{Digest, RatchetId},
    key::{AgreementKey, HpkeBox, KemKey},
    time::Timestamp,
};
use serde_json::{Value, json};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use vodozemac::{
    Curve25519PublicKey,
    olm::{Account, OlmMessage, SessionConfig},
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    KemSecret, OsRandom, SeededRandom,
    aead::Key,
    handshake::{Agreed, Initiated, Responded},
    kem::{open_box, seal_box},
    random::{Random as _, Source, array, secret},
    session::{Responder, Session},
};

/// A script of `tests/interop` that answers JSON lines.
struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn run(script: &str) -> Self {
        let mut child = command(script)
            .spawn()
            .unwrap_or_else(|error| panic!("ROOKERY_TEST_PYTHON does not run: {error}"));
        let (to, from) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.to, "{request}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the script ended at {request}");
        serde_json::from_str(&line).unwrap()
    }

    /// The text field `name` of the answer.
    fn text(&mut self, request: &Value, name: &str) -> String {
        let answer = self.ask(request);
        answer
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{request} was answered by {answer}"))
            .to_owned()
    }

    fn bytes(&mut self, request: &Value, name: &str) -> Vec<u8> {
        unhex(&self.text(request, name))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// The Python that was named, which is to run `script`.
fn command(script: &str) -> Command {
    let Ok(python) = std::env::var("ROOKERY_TEST_PYTHON") else {
        panic!(
            "the interop tests need a Python with the packages of tests/interop/requirements.txt. Make one and name it:\n  \
             python3 -m venv target/interop-venv\n  \
             target/interop-venv/bin/pip install -r tests/interop/requirements.txt\n  \
             export ROOKERY_TEST_PYTHON=$PWD/target/interop-venv/bin/python"
        );
    };
    let mut command = Command::new(python);
    command.arg("-B").arg(format!("{}/../tests/interop/{script}", env!("CARGO_MANIFEST_DIR")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What `script` prints for one `input`, and the last line of its complaint if it is not content.
fn run(script: &str, input: &Value) -> (Vec<Value>, Option<String>) {
    let mut child = command(script).stderr(Stdio::piped()).spawn().unwrap();
    write!(child.stdin.take().unwrap(), "{input}").unwrap();
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    let error =
        (!output.status.success()).then(|| complaint.lines().last().unwrap_or_default().to_owned());
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), error)
}

/// What `script` prints for an `input` that it is content with.
fn lines(script: &str, input: &Value) -> Vec<Value> {
    let (lines, error) = run(script, input);
    assert_eq!(error, None, "{script} refused it after {lines:?}");
    lines
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn agreed(root: [u8; 32]) -> Agreed {
    Agreed {
        root: Zeroizing::new(root),
        from_initiator: Key::new(Zeroizing::new([1; 32])),
        from_responder: Key::new(Zeroizing::new([2; 32])),
        id: RatchetId::from_bytes([3; 16]),
        names: [[4; 32]; 3],
    }
}

/// A text, and what it was sealed to.
type Sample = (Vec<u8>, Vec<u8>);

/// One of our sessions against the independent one.
struct Duel {
    python: Python,
    ours: Session,
    random: SeededRandom,
    /// How many messages we sealed since we last heard something new, and in the turn before that.
    chain: (u64, u64),
}

impl Duel {
    fn we_seal(&mut self, text: &[u8]) -> Vec<u8> {
        self.chain.0 += 1;
        self.ours.encrypt_bare(text)
    }

    fn they_open(&mut self, message: &[u8]) -> Value {
        self.python.ask(&json!({"op": "open", "message": hex(message), "previous": self.chain.1}))
    }

    /// Each side seals ten, and the other opens them out of order, one of the ten only in the next round. Returns how many were opened.
    fn rounds(&mut self, rounds: usize) -> usize {
        let mut opened = 0;
        let (mut ours_late, mut theirs_late): (Option<Sample>, Option<Sample>) = (None, None);
        for round in 0..rounds {
            let texts: Vec<Vec<u8>> = (0..10)
                .map(|number| format!("{round} {number}").repeat(number + 1).into_bytes())
                .collect();
            let mut sealed: Vec<Sample> =
                texts.iter().map(|text| (text.clone(), self.we_seal(text))).collect();
            self.shuffle(&mut sealed);
            let late = ours_late.replace(sealed.pop().unwrap());
            for (text, message) in sealed.into_iter().chain(late) {
                assert_eq!(self.they_open(&message), json!({"text": hex(&text)}));
                assert!(self.they_open(&message).get("error").is_some(), "a replay");
                opened += 1;
            }
            let mut sealed: Vec<Sample> = texts
                .iter()
                .map(|text| {
                    (
                        text.clone(),
                        self.python.bytes(&json!({"op": "seal", "text": hex(text)}), "message"),
                    )
                })
                .collect();
            self.shuffle(&mut sealed);
            let late = theirs_late.replace(sealed.pop().unwrap());
            for (text, message) in sealed.into_iter().chain(late) {
                assert_eq!(self.ours.decrypt_bare(&message).unwrap(), text);
                assert!(self.ours.decrypt_bare(&message).is_err(), "a replay");
                opened += 1;
            }
            self.chain = (0, self.chain.0);
        }
        opened
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let draw = u32::from_be_bytes(array(&mut self.random)) as usize;
            items.swap(index, draw % (index + 1));
        }
    }
}

#[test]
fn our_session_begun_by_us_talks_with_an_independent_double_ratchet() {
    let mut random = SeededRandom::new(1);
    let (root, own) = (*secret(&mut random), StaticSecret::from(*secret(&mut random)));
    let initiation = Initiation {
        ephemeral: AgreementKey::from_bytes([4; 32]),
        signed_prekey: 1,
        one_time: None,
        kem_prekey: 1,
        kem_is_one_time: false,
        kem_ciphertext: Octets::default(),
        src_head: HeadRef { seq: 0, hash: Digest::ZERO },
        dst_head: HeadRef { seq: 0, hash: Digest::ZERO },
        previous: None,
        resync: None,
    };
    let remote = AgreementKey::from_bytes(PublicKey::from(&own).to_bytes());
    let initiated = Initiated { agreed: agreed(root), remote, initiation };
    let mut ours =
        Session::initiate(initiated, (1, 1), Timestamp::from_millis(0), &mut random).unwrap();
    let mut python = Python::run("ratchet.py");
    let first = ours.encrypt_bare(b"hello");
    let join = json!({"op": "join", "root": hex(&root), "own": hex(&own.to_bytes()), "message": hex(&first)});
    assert_eq!(python.bytes(&join, "text"), b"hello");
    let mut duel = Duel { python, ours, random, chain: (1, 0) };
    assert_eq!(duel.rounds(16), 16 * 20 - 2);
}

#[test]
fn our_session_begun_by_an_independent_double_ratchet_talks_with_it() {
    let mut random = SeededRandom::new(2);
    let (root, own) = (*secret(&mut random), StaticSecret::from(*secret(&mut random)));
    let mut python = Python::run("ratchet.py");
    let remote = PublicKey::from(&own).to_bytes();
    let begin =
        json!({"op": "begin", "root": hex(&root), "remote": hex(&remote), "text": hex(b"hello")});
    let first = python.bytes(&begin, "message");
    let answer = Responded { agreed: agreed(root), ratchet: own, spent: None };
    let (responder, _) = Responder::new(answer, (1, 1), Timestamp::from_millis(0), &mut random);
    let (ours, text) = responder.decrypt_bare(&first).unwrap();
    assert_eq!(text, b"hello");
    let mut duel = Duel { python, ours, random, chain: (0, 0) };
    assert_eq!(duel.rounds(16), 16 * 20 - 2);
}

#[test]
fn vodozemac_still_is_olm_to_libolm() {
    for we_begin in [true, false] {
        let (mut python, mut account) = (Python::run("libolm.py"), Account::new());
        account.generate_one_time_keys(1);
        let keys = python.ask(&json!({"op": "keys"}));
        let key =
            |name: &str| Curve25519PublicKey::from_base64(keys[name].as_str().unwrap()).unwrap();
        let mut session = if we_begin {
            let mut session = account
                .create_outbound_session(
                    SessionConfig::version_1(),
                    key("identity"),
                    key("one_time"),
                )
                .unwrap();
            let OlmMessage::PreKey(first) = session.encrypt("hello").unwrap() else {
                panic!("not a first message")
            };
            assert_eq!(
                python.text(&json!({"op": "join", "body": first.to_base64()}), "text"),
                "hello"
            );
            session
        } else {
            let one_time = account.one_time_keys().values().next().unwrap().to_base64();
            let begin = json!({"op": "begin", "identity": account.curve25519_key().to_base64(), "one_time": one_time, "text": "hello"});
            let first =
                vodozemac::olm::PreKeyMessage::from_base64(&python.text(&begin, "body")).unwrap();
            let made = account
                .create_inbound_session(SessionConfig::version_1(), key("identity"), &first)
                .unwrap();
            assert_eq!(made.plaintext, b"hello");
            made.session
        };
        for round in 0..10 {
            let mut sealed: Vec<Value> = (0..5)
                .map(|number| {
                    python.ask(&json!({"op": "seal", "text": format!("{round} {number}")}))
                })
                .collect();
            sealed.reverse();
            for (number, message) in sealed.iter().enumerate() {
                let kind = usize::try_from(message["type"].as_u64().unwrap()).unwrap();
                let body = data_encoding::BASE64_NOPAD
                    .decode(message["body"].as_str().unwrap().as_bytes())
                    .unwrap();
                let message = OlmMessage::from_parts(kind, &body).unwrap();
                assert_eq!(
                    session.decrypt(&message).unwrap(),
                    format!("{round} {}", 4 - number).into_bytes()
                );
            }
            let answers: Vec<OlmMessage> =
                (0..5).map(|number| session.encrypt(format!("{number}")).unwrap()).collect();
            for (number, message) in answers.into_iter().enumerate().rev() {
                let (kind, body) = message.to_parts();
                let body = data_encoding::BASE64_NOPAD.encode(&body);
                assert_eq!(
                    python.text(&json!({"op": "open", "type": kind, "body": body}), "text"),
                    number.to_string()
                );
            }
        }
    }
}

#[test]
fn our_boxes_and_openssl_s_open_each_other() {
    let mut python = Python::run("hpke.py");
    for round in 0..5_u8 {
        let key = KemSecret::generate(&mut OsRandom);
        let (info, text) = (vec![round; usize::from(round) * 9], vec![7; usize::from(round) * 50]);
        let sealed = seal_box(&key.public(), &info, b"", &text, &mut OsRandom).unwrap();
        let open = json!({"op": "open", "seed": hex(key.seed()), "info": hex(&info), "sealed": hex(sealed.as_slice())});
        assert_eq!(python.bytes(&open, "text"), text);
        let seal = json!({"op": "seal", "public": hex(key.public().as_bytes()), "info": hex(&info), "text": hex(&text)});
        let sealed = HpkeBox::parse(python.bytes(&seal, "sealed")).unwrap();
        assert_eq!(open_box(&key, &info, b"", &sealed).unwrap().as_slice(), &text[..]);
        assert!(open_box(&key, b"other", b"", &sealed).is_err());
        assert!(KemKey::from_slice(key.public().as_bytes()).is_some());
    }
}

#[test]
fn our_key_exchange_by_a_code_agrees_with_its_first_implementation() {
    let mut python = Python::run("pake.py");
    let (new, old) = (b"the new device".as_slice(), b"the old device".as_slice());
    for (ours_is_new, password, same) in
        [(true, "a-b-c", true), (false, "a-b-c", true), (true, "a-b-d", false)]
    {
        let (mine, ids) = (Password::new("a-b-c"), (Identity::new(new), Identity::new(old)));
        let start = if ours_is_new {
            Spake2::<Ed25519Group>::start_a_with_rng
        } else {
            Spake2::start_b_with_rng
        };
        let (ours, message) = start(&mine, &ids.0, &ids.1, Source(&mut OsRandom));
        let side = if ours_is_new { "old" } else { "new" };
        let begin = json!({"op": "start", "side": side, "password": hex(password.as_bytes()), "new": hex(new), "old": hex(old)});
        let theirs = python.bytes(&begin, "message");
        let key = python.bytes(&json!({"op": "finish", "message": hex(&message)}), "key");
        assert_eq!(ours.finish(&theirs).unwrap() == key, same);
    }
    OsRandom.fill(&mut []);
}
