"""Hypercorn, over HTTP/1.1 and over HTTP/2 on TLS."""

from __future__ import annotations

import asyncio
from typing import Any

import hypercorn.asyncio
import pytest
from hypercorn.config import Config
from servers import free_port


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    text = f"{scope['http_version']} {scope['method']} {size}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(100):
        await send({"type": "http.response.body", "body": text, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def curl(*arguments: str, data: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--data-binary", "@-", *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(data)
    assert process.returncode == 0
    return output


# Hypercorn leaves its listening sockets to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_curl_asks_it(tls: Any, tmp_path: Any) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in tls.certificate.cert_chain_pems))
    key.write_bytes(tls.certificate.private_key_pem.bytes())
    config = Config()
    plain, secure = free_port(), free_port()
    config.insecure_bind, config.bind = [f"127.0.0.1:{plain}"], [f"127.0.0.1:{secure}"]
    config.certfile, config.keyfile = str(chain), str(key)
    config.errorlog, config.graceful_timeout = None, 1
    stop = asyncio.Event()
    server = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    data = b"x" * (1 << 20)
    connect = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1")
    try:
        answers = await asyncio.gather(*(curl(*connect, f"http://127.0.0.1:{plain}/", data=data) for _ in range(5)))
        assert answers == [b"1.1 POST 1048576\n" * 100] * 5
        two = ("-k", "--http2", f"https://127.0.0.1:{secure}/")
        answers = await asyncio.gather(*(curl(*connect, *two, data=data) for _ in range(5)))
        assert answers == [b"2 POST 1048576\n" * 100] * 5
    finally:
        stop.set()
        await server
