"""Olm's Double Ratchet, out of an independent one: DoubleRatchet with Olm's key derivations and framing, and full MACs.

Only the key derivations, the cipher and the framing are here; the ratchet itself is the package's. Olm does not send the length of
the chain before, which the package wants, so the other side tells it beside the message.
"""

import hashlib
import hmac

from doubleratchet import DoubleRatchet, EncryptedMessage, Header
from doubleratchet.kdf import KDF
from doubleratchet.recommended import HashFunction, aead_aes_hmac, diffie_hellman_ratchet_curve25519, kdf_hkdf

from lines import serve

VERSION = 4


class RootKDF(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return b"OLM_RATCHET"


class ChainKDF(KDF):
    @staticmethod
    async def derive(key, data, length):
        step = lambda byte: hmac.new(key, byte, hashlib.sha256).digest()
        return step(b"\x02") + step(b"\x01")


class Cipher(aead_aes_hmac.AEAD):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return b"OLM_KEYS"


class Olm(DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data, header):
        """What Olm's MAC covers before the ciphertext; `associated_data` is the ciphertext's length."""
        index = varint(header.sending_chain_length)
        return bytes([VERSION]) + b"\x0a\x20" + header.ratchet_pub + b"\x10" + index + b"\x22" + associated_data


def varint(number):
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + varint(number >> 7)


def read_varint(data):
    number = shift = 0
    for place, byte in enumerate(data):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, data[place + 1:]
    raise ValueError("a number without an end")


def frame(message):
    length = varint(len(message.ciphertext) - 32)
    return (Olm._build_associated_data(length, message.header) + message.ciphertext).hex()


def unframe(message, previous):
    data = bytes.fromhex(message)
    assert data[:3] == bytes([VERSION]) + b"\x0a\x20" and data[35:36] == b"\x10"
    index, rest = read_varint(data[36:])
    assert rest[:1] == b"\x22"
    length, ciphertext = read_varint(rest[1:])
    assert len(ciphertext) == length + 32
    return EncryptedMessage(Header(data[3:35], previous, index), ciphertext), varint(length)


def padded(text):
    return varint((len(text) // 16 + 1) * 16)


SHARED = dict(
    diffie_hellman_ratchet_class=diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet,
    root_chain_kdf=RootKDF,
    message_chain_kdf=ChainKDF,
    message_chain_constant=b"\x01",
    dos_protection_threshold=100,
    max_num_skipped_message_keys=1000,
    aead=Cipher,
)
state = {}


async def begin(root, remote, text):
    text = bytes.fromhex(text)
    state["ratchet"], message = await Olm.encrypt_initial_message(
        **SHARED,
        shared_secret=bytes.fromhex(root),
        recipient_ratchet_pub=bytes.fromhex(remote),
        message=text,
        associated_data=padded(text),
    )
    return {"message": frame(message)}


async def join(root, own, message):
    message, length = unframe(message, 0)
    state["ratchet"], text = await Olm.decrypt_initial_message(
        **SHARED,
        shared_secret=bytes.fromhex(root),
        own_ratchet_priv=bytes.fromhex(own),
        message=message,
        associated_data=length,
    )
    return {"text": text.hex()}


async def seal(text):
    text = bytes.fromhex(text)
    return {"message": frame(await state["ratchet"].encrypt_message(text, padded(text)))}


async def open_(message, previous):
    message, length = unframe(message, previous)
    return {"text": (await state["ratchet"].decrypt_message(message, length)).hex()}


serve({"begin": begin, "join": join, "seal": seal, "open": open_})
