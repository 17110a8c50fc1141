"""Small programs to be run under the fault library, so that a test can see that it does what it says.

    probe.py commit DATABASE SYNCHRONOUS   commits a row at a time, for ever; a line of standard output for each attempt
    probe.py walk FILE SEED END ANSWER     random file operations against a model; then ends by END: exit, _exit or kill,
                                           and leaves in ANSWER what FILE must hold then
    probe.py sync FILE                     a write, a sync that may fail, and a second sync; tells what each of them said
    probe.py clock                         tells what time it is by some of the clocks, in seconds
"""

import contextlib
import errno
import json
import os
import random
import signal
import sqlite3
import sys
import time


def clock():
    print(json.dumps({"time": time.time(), "realtime": time.clock_gettime(time.CLOCK_REALTIME),
                      "boottime": time.clock_gettime(time.CLOCK_BOOTTIME)}))


def commit(database, synchronous):
    connection = sqlite3.connect(database, isolation_level=None, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # Small enough that checkpoints, and the write-ahead log's reuse from its start, come about as well.
    connection.execute("PRAGMA wal_autocheckpoint = 20")
    connection.execute("CREATE TABLE IF NOT EXISTS number (value INTEGER PRIMARY KEY, padding BLOB) STRICT")
    value = connection.execute("SELECT coalesce(max(value), 0) FROM number").fetchone()[0]
    while True:
        value += 1
        try:
            connection.execute("INSERT INTO number VALUES (?, ?)", (value, os.urandom(random.randrange(6000))))
            print("committed", value, flush=True)
        except sqlite3.OperationalError as error:
            value -= 1
            rows = connection.execute("SELECT count(*) FROM number").fetchone()[0]
            print("refused", str(error).replace(" ", "_"), rows, flush=True)


class Walk:
    """One file, seen through several descriptors, beside what it must contain."""

    def __init__(self, path, seed):
        self.path = path
        self.random = random.Random(seed)
        self.content = bytearray()
        self.durable = b""
        self.plain = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.appending = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.reading = os.open(path, os.O_RDONLY)

    def offset(self):
        return self.random.randrange(len(self.content) + 9000)

    def data(self):
        return self.random.randbytes(self.random.choice([1, 24, 100, 4096, 4120, 10000]))

    def store(self, at, data):
        if at > len(self.content):
            self.content.extend(bytes(at - len(self.content)))
        self.content[at : at + len(data)] = data

    def write_at(self):
        at, data = self.offset(), self.data()
        os.pwrite(self.plain, data, at)
        self.store(at, data)

    def write_here(self):
        at, data = self.offset(), self.data()
        os.lseek(self.plain, at, os.SEEK_SET)
        twin = os.dup(self.plain)
        os.write(twin, data)
        os.close(twin)
        assert os.lseek(self.plain, 0, os.SEEK_CUR) == at + len(data), "descriptors of one opening share a position"
        self.store(at, data)

    def write_parts(self):
        at, first, second = self.offset(), self.data(), self.data()
        os.pwritev(self.plain, [first, second], at)
        self.store(at, first + second)

    def append(self):
        data = self.data()
        os.write(self.appending, data)
        self.store(len(self.content), data)

    def read(self):
        at, length = self.offset(), self.random.randrange(1, 12000)
        wanted = bytes(self.content[at : at + length])
        assert os.pread(self.reading, length, at) == wanted, "pread"
        os.lseek(self.reading, at, os.SEEK_SET)
        assert os.read(self.reading, length) == wanted, "read"
        parts = [bytearray(length // 2), bytearray(length - length // 2)]
        got = os.preadv(self.reading, parts, at)
        assert b"".join(parts)[:got] == wanted, "preadv"

    def size(self):
        assert os.fstat(self.plain).st_size == len(self.content), "fstat"
        assert os.stat(self.path).st_size == len(self.content), "stat"
        assert os.lseek(self.reading, 0, os.SEEK_END) == len(self.content), "lseek"

    def resize(self):
        size = self.random.choice([0, self.offset(), self.random.randrange(len(self.content) + 1)])
        os.ftruncate(self.plain, size)
        self.content = self.content[:size] + bytes(max(0, size - len(self.content)))

    def reserve(self):
        at, length = self.offset(), self.random.randrange(1, 9000)
        os.posix_fallocate(self.plain, at, length)
        self.content.extend(bytes(max(0, at + length - len(self.content))))

    def reopen(self):
        for name in ("plain", "appending", "reading"):
            os.close(getattr(self, name))
        flags = os.O_RDWR
        if self.random.random() < 0.3:
            flags |= os.O_TRUNC
            self.content = bytearray()
        self.plain = os.open(self.path, flags)
        self.appending = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.reading = os.open(self.path, os.O_RDONLY)

    def sync(self):
        self.random.choice([os.fsync, os.fdatasync])(self.random.choice([self.plain, self.reading]))
        self.durable = bytes(self.content)

    def run(self, steps):
        often = [self.write_at, self.write_here, self.write_parts, self.append, self.read, self.size]
        for _ in range(steps):
            self.random.choice(often * 3 + [self.resize, self.reserve, self.reopen, self.sync])()


def walk(path, seed, end, answer):
    one = Walk(path, int(seed))
    one.run(600)
    lost = end == "kill" or os.environ["ROOKERY_FAULT_POWER_CUT"] == "at-any-end"
    with open(answer, "wb") as file:
        file.write(one.durable if lost else one.content)
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "_exit":
        os._exit(0)


def sync(path):
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    answer = {}
    for attempt in ("first", "second"):
        if attempt == "first":
            os.write(file, b"kept?")
        try:
            os.fsync(file)
            answer[attempt] = "done"
        except OSError as error:
            answer[attempt] = errno.errorcode[error.errno]
        # The first failure is the only one: what follows must say whether the data is there.
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.environ["ROOKERY_FAULT_CONTROL"])
    answer["seen"] = os.pread(file, 100, 0).decode()
    print(json.dumps(answer), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    {"commit": commit, "walk": walk, "sync": sync, "clock": clock}[sys.argv[1]](*sys.argv[2:])
