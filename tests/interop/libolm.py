"""libolm: the canary that vodozemac still is Olm."""

import olm

from lines import serve

state = {}


def keys():
    account = state["account"] = olm.Account()
    account.generate_one_time_keys(1)
    one_time = next(iter(account.one_time_keys["curve25519"].values()))
    return {"identity": account.identity_keys["curve25519"], "one_time": one_time}


def begin(identity, one_time, text):
    state["session"] = olm.OutboundSession(state["account"], identity, one_time)
    return seal(text)


def join(body):
    state["session"] = olm.InboundSession(state["account"], olm.OlmPreKeyMessage(body))
    state["account"].remove_one_time_keys(state["session"])
    return {"text": state["session"].decrypt(olm.OlmPreKeyMessage(body))}


def seal(text):
    message = state["session"].encrypt(text)
    return {"type": message.message_type, "body": message.ciphertext}


def open_(type, body):
    message = olm.OlmPreKeyMessage(body) if type == 0 else olm.OlmMessage(body)
    return {"text": state["session"].decrypt(message)}


serve({"keys": keys, "begin": begin, "join": join, "seal": seal, "open": open_})
