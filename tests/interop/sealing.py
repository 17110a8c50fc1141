"""What epoch.py is built of: CBOR, labelled hashes and keys, XChaCha20-Poly1305, padding, HPKE over X-Wing, Megolm.

Written out over pyca/cryptography's primitives and Python's own hashes, so that it shares no code with what it is held against.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


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
