"""SPAKE2 by its first implementation: Brian Warner's."""

from spake2 import SPAKE2_A, SPAKE2_B

from lines import serve

state = {}


def start(side, password, new, old):
    kind = SPAKE2_A if side == "new" else SPAKE2_B
    state["side"] = kind(bytes.fromhex(password), idA=bytes.fromhex(new), idB=bytes.fromhex(old))
    return {"message": state["side"].start().hex()}


def finish(message):
    return {"key": state["side"].finish(bytes.fromhex(message)).hex()}


serve({"start": start, "finish": finish})
