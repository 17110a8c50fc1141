"""HPKE with X-Wing, HKDF-SHA-256 and ChaCha20-Poly1305, by pyca/cryptography (OpenSSL)."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite,
)

from lines import serve

SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def private(seed):
    expanded = hashlib.shake_256(bytes.fromhex(seed)).digest(96)
    return MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def seal(public, info, text):
    public = bytes.fromhex(public)
    key = MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]),
        x25519.X25519PublicKey.from_public_bytes(public[1184:]),
    )
    return {"sealed": SUITE.encrypt(bytes.fromhex(text), key, bytes.fromhex(info)).hex()}


def open_(seed, info, sealed):
    return {"text": SUITE.decrypt(bytes.fromhex(sealed), private(seed), bytes.fromhex(info)).hex()}


serve({"seal": seal, "open": open_})
