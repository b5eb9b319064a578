"""A server on loopback that does one thing wrong, or one dialect right: which one is the first part of the path.

`faulty.url("cut")` is what `--engine` takes. No model: it writes the same few tokens, whatever it is asked.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).with_name("wrong_host.pem")
"""For the name elsewhere.invalid, signed by nobody; of use for nothing but these tests."""
WORDS = (" Paris", ",", " né", "e", " là", ".")
TEXT = "".join(WORDS)
NEVER = 3600.0
BYTES_EVERY = 0.05
COUNTING: dict[str, Callable[[str], int]] = {"counts-words": lambda text: len(text.split()), "counts-letters": len}
"""Servers that count the tokens of a prompt, three more around a message, and cut no text into them."""
REFUSES: dict[str, Callable[[dict[str, Any]], str]] = {
    "newest": lambda body: (
        next((name for name in ("max_tokens", "logprobs", "seed", "stop") if name in body), "")
        or ("temperature" if body.get("temperature", 1) != 1 else "")
    ),
    "in-words": lambda body: "max_tokens" if "messages" in body and "max_tokens" in body else "",
    "strict": lambda body: next((name for name in ("stop", "stream_options") if name in body), ""),
    "stubborn": lambda body: "temperature",
    "cold": lambda body: "temperature" if body.get("temperature", 0) > 1 else "",
}
"""Which field of a request a server refuses, if any: as the newest models of OpenAI, only in words, as one that knows
no other fields than its own, whatever is sent, and one that is never hot."""


class Faulty:
    """What happened so far: `open` connections now, every request's `headers` and `bodies`, the `most` that were open
    at once. `names` are those of the models, by fault, where it is not tiny-0."""

    def __init__(self, tls: bool = False) -> None:
        self.open = self.most = self.port = 0
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.count: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self._scheme, self._tls = "https" if tls else "http", tls
        self._loop = asyncio.new_event_loop()

    def url(self, fault: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}/{fault}/v1"

    def start(self) -> None:
        ready = threading.Event()
        threading.Thread(target=self._serve, args=(ready,), name="faulty", daemon=True).start()
        assert ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self, ready: threading.Event) -> None:
        async def begin() -> None:
            context = None
            if self._tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(CERTIFICATE)
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        self._loop.create_task(begin())
        self._loop.run_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        answering: asyncio.Task[None] | None = None
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode().strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
                body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
                self.headers.append(headers)
                self.bodies.append(body)
                fault, _, path = line.split()[1].lstrip("/").partition("/")
                self.count[fault] = self.count.get(fault, 0) + 1
                answering = asyncio.create_task(self._answer(fault, path, headers, body, writer))
                gone = asyncio.create_task(reader.read(1))
                # the other end sends nothing while it waits, so that what is read then is its end
                await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
                if not gone.done():
                    gone.cancel()
                return
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if answering is not None:
                answering.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await answering
            writer.close()
            self.open -= 1

    async def _answer(
        self, fault: str, path: str, headers: dict[str, str], body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        if path == "v1/models":
            names = [self.names.get(fault, "tiny-0"), "tiny-1"][: 2 if fault == "two" else 1]
            await _json(writer, {"data": [{"id": name, "max_model_len": 512} for name in names]})
        elif field := REFUSES.get(fault, lambda body: "")(body):
            await _json(writer, _refusal_of(fault, field), "400 Bad Request" if fault != "strict" else "422 Unfit")
        elif fault in COUNTING:
            await _counting(fault, path, body, writer)
        elif fault in ("vllm", "mute", "chat-only", *REFUSES):
            await self._dialect(fault, path, body, writer)
        elif (refusal := self._refusal(fault, headers)) is not None:
            status, extra, said = refusal
            await _json(writer, {"error": {"message": said}}, status, extra)
        elif not body.get("stream"):
            await _json(writer, {"choices": [{"text": TEXT, "message": {"content": TEXT}, "finish_reason": "stop"}]})
        else:
            await self._stream(fault, "chat" in path, writer)

    def _refusal(self, fault: str, headers: dict[str, str]) -> tuple[str, str, str] | None:
        first = self.count[fault] <= 2
        elsewhere = f"Location: {self._scheme}://elsewhere.invalid/v1/completions\r\n"
        return {
            "busy": ("429 Too Many Requests", "Retry-After: 0\r\n", "too many") if first else None,
            "busy-silent": ("503 Service Unavailable", "", "too many") if first else None,
            "busy-long": ("429 Too Many Requests", "Retry-After: 3600\r\n", "come back tomorrow"),
            "500": ("500 Internal Server Error", "", "the GPU fell off"),
            "redirect": ("307 Temporary Redirect", elsewhere, ""),
            "key": ("401 Unauthorized", "", f"Incorrect API key: {headers.get('authorization', 'none')}"),
        }.get(fault)

    async def _stream(self, fault: str, chat: bool, writer: asyncio.StreamWriter) -> None:
        kind = "application/json" if fault == "not-streamed" else "text/event-stream"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

        async def send(data: bytes) -> None:
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()

        match fault:
            case "silent":
                await asyncio.sleep(NEVER)
            case "drip":
                for byte in event({"choices": [{"text": TEXT}]}):
                    await send(bytes([byte]))
                    await asyncio.sleep(BYTES_EVERY)
            case "huge":
                await send(b'data: {"choices": [{"text": "' + b"x" * 10_000_000 + b'"}]}\n\n')
            case "wrong-json":
                await send(b'data: {"choices": [{"text": 1}]}\n\n')
            case "mid-character":
                await send('data: {"choices": [{"text": "né'.encode()[:-1])
                return
            case "cut":
                await send(event(part(WORDS[0], chat)))
            case "endless":
                while True:
                    await send(event(part(WORDS[0], chat)))
                    await asyncio.sleep(0.002)
            case "fails":
                await send(event(part(WORDS[0], chat)) + event({"error": {"message": "out of memory"}}))
            case "split":
                for byte in b"".join(events(chat)):
                    await send(bytes([byte]))
            case _:
                for data in events(chat):
                    await send(data)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _dialect(self, fault: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        chat, mute = "chat" in path, fault == "mute"
        fault = "vllm" if mute else fault
        if path == "tokenize" and fault == "vllm":
            if "messages" in body:
                said = [f"<{one['role']}>{one['content']}" for one in body["messages"]]
                body = {"prompt": "".join(said) + "<assistant>"}
            if "prompt" not in body:
                await _json(writer, {"error": "prompt is missing"}, "400 Bad Request")
                return
            words = body["prompt"].replace(" ", " Ġ").split(" ")
            await _json(writer, {"count": len(words), "tokens": list(range(len(words))), "token_strs": words})
        elif (fault != "vllm" and not chat) or path == "tokenize":
            await _json(writer, {"error": {"message": "no such thing"}}, "404 Not Found")
        elif max(int(body.get("logprobs") or 0), body.get("top_logprobs") or 0) > (20 if fault == "vllm" else 5):
            await _json(writer, {"error": {"message": "too many"}}, "400 Bad Request")
        elif body.get("stream"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            words = () if mute else WORDS
            for data in events(chat, body, usage="stream_options" in body, words=words):
                writer.write(data)
            await writer.drain()
        elif "prompt_logprobs" in body:
            prompt = body["prompt"]
            named = (
                [(7, word) for word in prompt.replace(" ", "| ").split("|")]
                if isinstance(prompt, str)
                else [(token, "") for token in prompt]
            )
            places = [
                {str(i): {"logprob": -0.5 if word else -1.0, "rank": 1, "decoded_token": word}} for i, word in named[1:]
            ]
            await _json(writer, {"choices": [{"text": "", "prompt_logprobs": [None, *places]}]})
        elif body.get("echo") and fault == "vllm":
            words = body["prompt"].replace(" ", "| ").split("|")
            logprobs = {"tokens": [*words, "."], "token_logprobs": [None, *([-0.5] * len(words))]}
            await _json(writer, {"choices": [{"text": body["prompt"] + ".", "logprobs": logprobs}]})
        else:
            await _json(writer, {"choices": [{"text": TEXT}]})


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def part(text: str, chat: bool, **others: object) -> dict[str, Any]:
    return {"choices": [{**({"delta": {"content": text}} if chat else {"text": text}), **others}]}


def events(
    chat: bool,
    body: dict[str, Any] | None = None,
    usage: bool = False,
    words: tuple[str, ...] = WORDS,
    prompt_tokens: int = 5,
) -> Iterator[bytes]:
    """A whole answer; `body` is what was asked for, where that is heeded."""
    asked, whole = body or {}, words
    words = words[: asked.get("max_tokens", asked.get("max_completion_tokens", len(words)))]
    top = asked.get("top_logprobs") if chat else asked.get("logprobs")
    for word in words:
        others = [(word, -0.1), *((f" w{n}", -3.0 - n) for n in range(1, int(top or 0)))]
        listed = [{"token": token, "logprob": p} for token, p in others]
        in_lists = {"tokens": [word], "token_logprobs": [-0.1], "top_logprobs": [dict(others)]}
        said = {"content": [{"token": word, "logprob": -0.1, "top_logprobs": listed}]} if chat else in_lists
        yield event(part(word, chat, **({"logprobs": said} if top else {})))
    yield event(part("", chat, finish_reason="length" if len(words) < len(whole) else "stop"))
    if usage:
        counts = {"prompt_tokens": prompt_tokens, "completion_tokens": len(words)}
        yield event({"choices": [], "usage": {**counts, "prompt_tokens_details": {"cached_tokens": 4}}})
    yield b"data: [DONE]\n\n"


def _refusal_of(fault: str, field: str) -> dict[str, Any]:
    said = f"Unsupported parameter: '{field}' is not supported with this model."
    if fault == "strict":
        return {
            "detail": [{"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}]
        }
    if fault == "in-words":
        return {"error": {"message": f"{said} Use 'max_completion_tokens' instead.", "param": None}}
    return {"error": {"message": said, "param": field, "code": "unsupported_parameter"}}


async def _counting(fault: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    if not path.endswith("/completions"):
        await _json(writer, {"error": {"message": "no such thing"}}, "404 Not Found")
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    chat = "chat" in path
    counted = COUNTING[fault](body["messages"][0]["content"]) + 3 if chat else COUNTING[fault](body["prompt"])
    for data in events(chat, body, usage="stream_options" in body, prompt_tokens=counted):
        writer.write(data)
    await writer.drain()


async def _json(writer: asyncio.StreamWriter, value: object, status: str = "200 OK", extra: str = "") -> None:
    data = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    writer.write(f"{head}Connection: close\r\n{extra}\r\n".encode() + data)
    await writer.drain()


@contextmanager
def faulty_server(tls: bool = False) -> Iterator[Faulty]:
    server = Faulty(tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()
