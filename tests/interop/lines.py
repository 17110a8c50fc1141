"""Answers JSON lines from standard input on standard output: {"op": NAME, ...} is NAME(**rest). Bytes travel as hex."""

import asyncio
import inspect
import json
import sys


def serve(operations):
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        request = json.loads(line)
        operation = operations[request.pop("op")]
        try:
            answer = operation(**request)
            if inspect.isawaitable(answer):
                answer = loop.run_until_complete(answer)
        except Exception as error:  # The other side tests what is refused, and by what.
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)
