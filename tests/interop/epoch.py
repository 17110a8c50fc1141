"""A second, small implementation of how communities are sealed: epochs, names, Sender Keys, messages.

It shares no code with the first: CBOR, HPKE's key schedule over X-Wing, XChaCha20 and Megolm are written out here, over pyca/cryptography's
primitives and Python's own hashes. It reads one JSON object, from the file that is named or from standard input, and prints JSON lines.

{"vectors": {...}} is the object of tests/vectors/epoch.json: each value is made again, and the texts of its messages are printed.

Anything else is a dump of a community, as one member sees it, all bytes in hex:

  {"community": id, "log": [entry, ...], "channels": {"1": [entry, ...]}, "blobs": {name: bytes},
   "member": {"user": id, "puks": {"1": the 32 bytes that this generation's X-Wing key is expanded from}}}

Printed are {"log": place, "what": ..., "of": ..., "text": ...} for each sealed text of the log, null where this member cannot read it, and
{"channel": ..., "place": ..., "author": ..., "item": ..., "kind": ..., "text": ...} for each message of a channel, with "erased": true or
"sealed": true instead of kind and text where it was erased or was never for this member. Exits with an error where something is not as it
has to be: a chain that does not link, a signature that does not hold, a secret that was not committed to.
"""

import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

COMMUNITY_STATEMENT, ANNOUNCE, MESSAGE, REDACT = 3, 4, 5, 6
CREATE, EDIT, ROLE_SET, CHANNEL_SET, NICKNAME, KICK, BAN, EPOCH, ADMIT = 1, 2, 3, 7, 18, 19, 20, 23, 24


class Unopenable(Exception):
    """It was sealed for somebody or something else."""


def check(holds, what):
    if not holds:
        raise ValueError(what)


# CBOR, the deterministic part of it that the protocol uses.


def cbor(data):
    value, end = cbor_item(data, 0)
    check(end == len(data), "bytes after the end")
    return value


def cbor_item(data, at):
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low >= 24:
        width = {24: 1, 25: 2, 26: 4, 27: 8}[low]
        low, at = int.from_bytes(data[at : at + width]), at + width
    if major == 0:
        return low, at
    if major in (2, 3):
        check(at + low <= len(data), "it ends too early")
        taken = data[at : at + low]
        return (taken if major == 2 else taken.decode()), at + low
    if major == 4:
        items = []
        for _ in range(low):
            item, at = cbor_item(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(low):
            key, at = cbor_item(data, at)
            check(key not in pairs, "a key twice")
            pairs[key], at = cbor_item(data, at)
        return pairs, at
    return {20: False, 21: True, 22: None}[low if major == 7 else -1], at


# Hashes and keys.


def labelled(tag, *parts):
    data = b"rookery/1/" + tag.encode() + b"\0"
    return hashlib.sha256(data + b"".join(struct.pack(">I", len(part)) + part for part in parts)).digest()


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand(key, info, length):
    output, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac_sha256(key, block + info + bytes([number]))
        output += block
    return output[:length]


def hkdf(salt, key, info, length):
    return expand(hmac_sha256(salt, key), info, length)


def derive(key, label, context=b""):
    return hkdf(b"", key, b"rookery/1/" + label.encode() + b"\0" + context, 32)


def number(value):
    return struct.pack(">I", value)


def verify(key, message, signature):
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): HChaCha20, then the usual cipher.


def hchacha20(key, nonce):
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]

    def quarter(a, b, c, d):
        for add, to, turn in ((b, d, 16), (d, b, 12), (b, d, 8), (d, b, 7)):
            first, second = (a, to) if to == d else (c, to)
            state[first] = (state[first] + state[add]) & 0xFFFFFFFF
            mixed = state[second] ^ state[first]
            state[second] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for start in range(4):
            quarter(start, 4 + (start + 1) % 4, 8 + (start + 2) % 4, 12 + (start + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def open_sealed(key, context, sealed):
    nonce, sealed = sealed[:24], sealed[24:]
    cipher = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    try:
        return cipher.decrypt(bytes(4) + nonce[16:], sealed, context)
    except Exception as error:
        raise Unopenable from error


def padme(length):
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    low = (1 << (exponent - exponent.bit_length())) - 1
    return (length + low) & ~low


def unpad(padded, floor):
    text = padded.rstrip(b"\0")
    check(text.endswith(b"\x80"), "no padding")
    check(len(padded) == max(floor, padme(len(text))), "padding of another length")
    return text[:-1]


# HPKE (RFC 9180) in base mode with X-Wing, HKDF-SHA-256 and ChaCha20-Poly1305.

SUITE = b"HPKE" + struct.pack(">HHH", 0x647A, 1, 3)


def x_wing(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    agreement = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    return mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), agreement


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def decapsulate(seed, encapsulated):
    lattice, agreement = x_wing(seed)
    theirs = encapsulated[1088:]
    parts = lattice.decapsulate(encapsulated[:1088]), agreement.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
    return hashlib.sha3_256(b"".join(parts) + theirs + raw(agreement.public_key()) + rb"\.//^" + b"\\").digest()


def open_box(seed, info, aad, sealed):
    def extract(salt, label, key):
        return hmac_sha256(salt, b"HPKE-v1" + SUITE + label + key)

    def labelled_expand(label, length):
        return expand(secret, struct.pack(">H", length) + b"HPKE-v1" + SUITE + label + context, length)

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(decapsulate(seed, sealed[:1120]), b"secret", b"")
    cipher = ChaCha20Poly1305(labelled_expand(b"key", 32))
    try:
        return cipher.decrypt(labelled_expand(b"base_nonce", 12), sealed[1120:], aad)
    except Exception as error:
        raise Unopenable from error


# Megolm, its second version: the full MAC.


class Megolm:
    def __init__(self, session_key):
        check(len(session_key) == 229 and session_key[0] == 2, "no session key")
        self.signing_key = session_key[133:165]
        verify(self.signing_key, session_key[:165], session_key[165:])
        self.start = self.index = int.from_bytes(session_key[1:5])
        self.parts = [session_key[at : at + 32] for at in range(5, 133, 32)]

    def advance(self):
        self.index += 1
        slowest = next(part for part in range(4) if self.index % (1 << 8 * (3 - part)) == 0)
        for part in (3, 2, 1, 0):
            if part >= slowest:
                self.parts[part] = hmac_sha256(self.parts[slowest], bytes([part]))

    def open(self, index, message):
        check(message[0] == 4, "another version of Megolm")
        verify(self.signing_key, message[:-64], message[-64:])
        check(index >= self.index, "an index that was used")
        while self.index < index:
            self.advance()
        keys = hkdf(b"\0", b"".join(self.parts), b"MEGOLM_KEYS", 80)
        check(hmac.compare_digest(hmac_sha256(keys[32:64], message[:-96]), message[-96:-64]), "a MAC that does not hold")
        named, at = varint(message, self.field(message, 1, 0x08))
        length, at = varint(message, self.field(message, at, 0x12))
        check(named == index and at + length == len(message) - 96, "another index or length")
        decryptor = Cipher(algorithms.AES(keys[:32]), modes.CBC(keys[64:])).decryptor()
        text = decryptor.update(message[at : at + length]) + decryptor.finalize()
        check(1 <= text[-1] <= 16, "no padding")
        return text[: -text[-1]]

    @staticmethod
    def field(message, at, tag):
        check(message[at] == tag, "another field")
        return at + 1


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


# Epochs.


class Place:
    """Which epoch of which audience."""

    def __init__(self, community, audience, epoch):
        self.community, self.audience, self.epoch = community, audience, epoch
        self.context = community + number(audience) + number(epoch)

    def info(self, roster_root):
        return b"rookery/1/epoch\0" + self.context + roster_root

    def previous(self, what):
        return labelled("epoch/prev", what, self.community, number(self.audience), number(self.epoch))

    def text(self, what, of):
        return labelled("text", self.community, number(self.audience), number(self.epoch), bytes([what]), of)


def commitment(secret, audience, epoch):
    return labelled("epoch", number(audience), number(epoch), secret)


def metadata_key(secret, community, audience):
    return derive(secret, "meta", community + number(audience))


def epoch_keys(secret, place, roster_root, log_root):
    return derive(secret, "k", place.context + roster_root + log_root)


def open_text(metadata, place, what, of, sealed):
    return unpad(open_sealed(derive(metadata, "meta/text"), place.text(what, of), sealed), 64).decode()


class SenderKey:
    """An announced key, and what it opens."""

    def __init__(self, keys, announce):
        self.header = cbor(announce[0])
        key = derive(keys, "ann", number(self.header[2]))
        self.megolm = Megolm(open_sealed(key, announce[0], announce[1]))
        check(self.megolm.start == self.header[9] and self.header[0] == 1, "header and key disagree")

    def open(self, keys, message):
        header = cbor(message[0])
        same = {1: 1, 2: 2, 3: 3, 4: 4, 6: 5, 7: 6, 8: 8}
        check(all(header[ours] == self.header[theirs] for ours, theirs in same.items()), "another key's message")
        sealed = open_sealed(derive(keys, "msg", number(header[2])), message[0], message[1])
        inner = cbor(unpad(self.megolm.open(header[9], sealed), 256))
        check(inner[0] == labelled("msg", message[0]), "a text of another header")
        return header, inner


def content_text(inner):
    """The text of what is a text or an edit, the emoji of a reaction."""
    kind, content = inner[3], inner[4]
    if kind not in (1, 2, 3):
        return None
    return cbor(content)[0 if kind == 1 else 1]


# A dump.


class Chain:
    """Entries that follow one another, each signed, each with the body that was signed."""

    def __init__(self, name, entries):
        self.name, self.entries, self.hash = name, entries, bytes(32)

    def __iter__(self):
        for place, entry in enumerate(map(cbor, map(bytes.fromhex, self.entries))):
            check(entry[0] == self.name and entry[2] == place and entry[3] == self.hash, "an entry out of place")
            payload, signatures = entry[5][0], entry[5][1]
            for index, signature in enumerate(signatures):
                domain = b"rookery/1/sig/" + (b"item" if index == 0 else b"cosign") + b"\0"
                verify(signature[0], domain + payload, signature[1])
            item, body = cbor(payload), entry.get(6)
            check(item[0] == self.name, "an item of another chain")
            check(body is None or hashlib.sha256(body).digest() == item[3], "another body than was signed")
            before = self.hash
            digest = labelled("item", payload, *(part for signature in signatures for part in (signature[0], signature[1])))
            position = [struct.pack(">Q", entry[4])] if entry.get(4) is not None else []
            owner, seq = struct.pack(">Q", entry[1]), struct.pack(">Q", place)
            self.hash = labelled("entry", self.name, owner, seq, before, digest, *position)
            yield place, before, labelled("dev", signatures[0][0]), item, body


class Community:
    def __init__(self, dump):
        self.id = bytes.fromhex(dump["community"])
        self.user = bytes.fromhex(dump["member"]["user"])
        self.seeds = [bytes.fromhex(seed) for seed in dump["member"]["puks"].values()]
        self.blobs = {name: bytes.fromhex(blob) for name, blob in dump["blobs"].items()}
        self.epochs, self.secrets, self.metadata = {}, {}, {}
        self.statements = list(self.read_log(dump["log"]))
        self.walk_back()
        self.channels = dump["channels"]

    def read_log(self, entries):
        for place, before, _, item, body in Chain(labelled("chain/log", self.id), entries):
            check(item[2] == COMMUNITY_STATEMENT, "another kind of entry")
            statement = cbor(body)
            check(place > 0 or labelled("comm", body) == self.id, "another community")
            kind, said = statement[5][0], statement[5][1].get(0)
            if kind == EPOCH:
                self.begin(said, before)
            if kind == ADMIT and said[2] == self.user:
                self.take(self.epochs[said[0], said[1]], [said[3]])
            yield place, kind, said

    def begin(self, start, log_root):
        epoch = {"place": Place(self.id, start[0], start[1]), "start": start, "log_root": log_root}
        self.epochs[start[0], start[1]] = epoch
        blob = self.blobs[start[6].hex()]
        check(len(blob) % 1168 == 0 and len(blob) >= 1168 * start[4], "a blob of another length")
        self.take(epoch, [blob[at : at + 1168] for at in range(0, 1168 * start[4], 1168)])

    def take(self, epoch, wraps):
        """Opens the wrap that is for this member, if there is one."""
        info = epoch["place"].info(epoch["start"][3])
        for wrap in wraps:
            for seed in self.seeds:
                try:
                    secret = open_box(seed, info, b"user\0" + self.user, wrap)
                except Unopenable:
                    continue
                self.learn(epoch, secret)

    def learn(self, epoch, secret):
        place = epoch["place"]
        check(commitment(secret, place.audience, place.epoch) == epoch["start"][5], "another secret than was committed to")
        self.secrets[place.audience, place.epoch] = secret
        self.metadata[place.audience, place.epoch] = metadata_key(secret, self.id, place.audience)

    def walk_back(self):
        for (audience, number_), epoch in sorted(self.epochs.items(), reverse=True):
            former, start, place = (audience, number_ - 1), epoch["start"], epoch["place"]
            secret, metadata = self.secrets.get((audience, number_)), self.metadata.get((audience, number_))
            if secret and start.get(7):
                self.learn(self.epochs[former], open_sealed(derive(secret, "link"), place.previous(b"link"), start[7]))
            if metadata and start.get(8):
                opened = open_sealed(derive(metadata, "meta/link"), place.previous(b"meta"), start[8])
                check(self.metadata.setdefault(former, opened) == opened, "another metadata key than the epoch's")

    def text(self, sealed, what, of=b""):
        metadata = self.metadata.get((sealed[0], sealed[1]))
        return open_text(metadata, Place(self.id, sealed[0], sealed[1]), what, of, sealed[2]) if metadata else None

    def texts(self):
        """The sealed texts of the log: which field of which statement is which kind of text, of what."""
        fields = {
            EDIT: [(0, 1, "community name", None), (1, 2, "community topic", None)],
            ROLE_SET: [(4, 3, "role name", 0)],
            CHANNEL_SET: [(6, 4, "channel name", 0), (7, 5, "channel topic", 0)],
            NICKNAME: [(1, 6, "nickname", 0)],
            KICK: [(1, 7, "reason", 0)],
            BAN: [(1, 7, "reason", 0)],
        }
        for place, kind, said in self.statements:
            for field, what, name, named_by in fields.get(kind, []):
                if said.get(field) is None:
                    continue
                of = b"" if named_by is None else said[named_by]
                text = self.text(said[field], what, of if isinstance(of, bytes) else number(of))
                shown = None if named_by is None else of.hex() if isinstance(of, bytes) else of
                yield {"log": place, "what": name, "of": shown, "text": text}

    def keys(self, audience, epoch):
        secret = self.secrets.get((audience, epoch))
        if secret is None:
            raise Unopenable
        known = self.epochs[audience, epoch]
        return epoch_keys(secret, known["place"], known["start"][3], known["log_root"])

    def messages(self, channel):
        sender_keys = {}
        chain = labelled("chain/channel", self.id, number(channel))
        for place, _, device, item, body in Chain(chain, self.channels[str(channel)]):
            if item[2] == ANNOUNCE and body is not None:
                announce = cbor(body)
                header = cbor(announce[0])
                check(header[1] == self.id and header[2] == channel and header[6] == device, "an announcement out of place")
                try:
                    sender_keys[header[8]] = SenderKey(self.keys(header[3], header[4]), announce)
                except Unopenable:
                    pass
            elif item[2] == MESSAGE:
                yield {"channel": channel, "place": place, **self.message(sender_keys, device, item, body)}

    def message(self, sender_keys, device, item, body):
        if body is None:
            return {"item": item[1].hex(), "erased": True}
        message = cbor(body)
        header = cbor(message[0])
        check(header[10] == item[1] and header[7] == device and header[1] == self.id, "a message out of place")
        said = {"author": header[6].hex(), "item": item[1].hex()}
        try:
            _, inner = sender_keys[header[8]].open(self.keys(header[3], header[4]), message)
        except (KeyError, Unopenable):
            return {**said, "sealed": True}
        return {**said, "kind": inner[3], "text": content_text(inner)}


def read_dump(dump):
    community = Community(dump)
    yield from community.texts()
    for channel in sorted(map(int, dump["channels"])):
        yield from community.messages(channel)


# The frozen vectors.


def read_vectors(vectors):
    value = {name: bytes.fromhex(text) for name, text in vectors.items() if isinstance(text, str)}
    place = Place(value["community"], vectors["audience"], vectors["epoch"])
    secret, former = value["secret"], value["former secret"]

    def same(name, made):
        check(made == value[name], f"{name}: {made.hex()}")

    same("commit", commitment(secret, place.audience, place.epoch))
    same("wrap info", place.info(value["roster root"]))
    for receiver in ("user", "link"):
        seed, aad = value[f"{receiver} kem seed"], value[f"{receiver} aad"]
        check(open_box(seed, value["wrap info"], aad, value[f"{receiver} wrap"]) == secret, f"the wrap of the {receiver}")
    same("user aad", b"user\0" + value["user"])
    same("link aad", b"link\0" + number(vectors["invite"]))
    same("previous context", place.previous(b"link"))
    check(open_sealed(derive(secret, "link"), place.previous(b"link"), value["previous"]) == former, "the secret before")
    metadata = metadata_key(secret, place.community, place.audience)
    same("metadata key", metadata)
    before = open_sealed(derive(metadata, "meta/link"), place.previous(b"meta"), value["previous metadata"])
    check(before == metadata_key(former, place.community, place.audience), "the metadata key before")
    for text in vectors["texts"]:
        opened = open_text(metadata, place, text["what"], bytes.fromhex(text["of"]), bytes.fromhex(text["sealed"]))
        check(opened == text["text"], "a text")
    same("link signing seed", derive(value["link secret"], "invite/sign"))
    same("link kem seed", derive(value["link secret"], "invite/kem"))
    signing = ed25519.Ed25519PrivateKey.from_private_bytes(value["link signing seed"])
    proof = labelled("invite", place.community, number(vectors["invite"]), value["user"])
    same("link proof", signing.sign(b"rookery/1/sig/invite\0" + proof))
    same("puk kem seed", derive(value["puk seed"], "puk/kem"))
    keys = epoch_keys(secret, place, value["roster root"], value["log root"])
    same("epoch keys", keys)
    for length, padded in vectors["padme"]:
        check(padme(length) == padded, "a padded length")
    sender_key = SenderKey(keys, cbor(value["announce"]))
    for message in vectors["messages"]:
        header, inner = sender_key.open(keys, cbor(bytes.fromhex(message)))
        before, seen = inner.get(1), inner.get(2)
        shown = {"own_prev": before and before.hex(), "seen": seen and seen.hex()}
        yield {"index": header[9], "kind": inner[3], "text": content_text(inner), **shown}


def main():
    with open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin as source:
        given = json.load(source)
    for line in read_vectors(given["vectors"]) if "vectors" in given else read_dump(given):
        print(json.dumps(line), flush=True)


main()
