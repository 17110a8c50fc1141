"""A second, small implementation of how communities are sealed: epochs, names, Sender Keys, messages.

It shares no code with the first. It reads one JSON object, from the file that is named or from standard input, and prints JSON lines.

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
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric import ed25519

from sealing import (
    Megolm, Unopenable, cbor, check, derive, labelled, number, open_box, open_sealed, padme, unpad, verify,
)

COMMUNITY_STATEMENT, ANNOUNCE, MESSAGE, REDACT = 3, 4, 5, 6
CREATE, EDIT, ROLE_SET, CHANNEL_SET, NICKNAME, KICK, BAN, EPOCH, ADMIT = 1, 2, 3, 7, 18, 19, 20, 23, 24


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
