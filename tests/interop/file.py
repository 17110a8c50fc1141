"""Sealed files, by pyca/cryptography: AES-256-GCM in the STREAM layout, under a header that commits to its key."""

import hashlib
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lines import serve

CHUNK, TAG, LEAST = 65536, 16, 256


def derive(key, label, context):
    info = b"rookery/1/" + label + b"\0" + context
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(key)


def padme(size):
    """PADMÉ (Nikitin et al., PETS 2019), of at least LEAST bytes."""
    size = max(size, LEAST)
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def chunks(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def cipher(key, header):
    stream, context = AESGCM(derive(key, b"file/enc", header)), hashlib.sha256(header).digest()
    nonce = lambda number, last: header[14:21] + struct.pack(">I?", number, last)
    return stream, context, nonce


def seal(key, text):
    key, text = bytes.fromhex(key), bytes.fromhex(text)
    padded = padme(len(text))
    opening = b"rkf1" + bytes([1, 16]) + struct.pack(">Q", padded) + os.urandom(7)
    header = opening + derive(key, b"file/commit", opening)
    stream, context, nonce = cipher(key, header)
    parts = chunks(text.ljust(padded, b"\0"), CHUNK)
    sealed = [stream.encrypt(nonce(at, at + 1 == len(parts)), part, context) for at, part in enumerate(parts)]
    return {"sealed": (header + b"".join(sealed)).hex()}


def open_(key, size, sealed):
    key, sealed = bytes.fromhex(key), bytes.fromhex(sealed)
    header, rest = sealed[:53], sealed[53:]
    assert header[:6] == b"rkf1\x01\x10" and header[6:14] == struct.pack(">Q", padme(size))
    assert header[21:] == derive(key, b"file/commit", header[:21])
    stream, context, nonce = cipher(key, header)
    parts = chunks(rest, CHUNK + TAG)
    text = b"".join(stream.decrypt(nonce(at, at + 1 == len(parts)), part, context) for at, part in enumerate(parts))
    assert len(text) == padme(size) and not any(text[size:])
    return {"text": text[:size].hex()}


serve({"seal": seal, "open": open_})
