"""pytest-asyncio with PyLoop as its loop, in a test run of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


def test_tests_and_fixtures_run_on_the_loop_of_the_hook(tmp_path: Path, loop_name: str) -> None:
    module, _, function = loop_name.partition(":")
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent(f"""
            import {module}

            def pytest_asyncio_loop_factories(config, item):
                return {{"the-loop": {module}.{function}}}
        """)
    )
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(f"""
            import asyncio
            import pytest
            import pytest_asyncio
            import {module}

            @pytest_asyncio.fixture
            async def server():
                async def echo(reader, writer):
                    writer.write(await reader.read())
                    writer.close()
                server = await asyncio.start_server(echo, "127.0.0.1", 0)
                yield server.sockets[0].getsockname()
                server.close()
                await server.wait_closed()

            @pytest.mark.asyncio
            async def test_echo(server):
                other = {module}.{function}()
                assert type(asyncio.get_running_loop()) is type(other)
                other.close()
                reader, writer = await asyncio.open_connection(*server)
                writer.write(b"hello")
                writer.write_eof()
                assert await reader.read() == b"hello"
                writer.close()
                await writer.wait_closed()
        """)
    )
    command = [sys.executable, "-m", "pytest", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [*command, "--rootdir", ".", "test_it.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
