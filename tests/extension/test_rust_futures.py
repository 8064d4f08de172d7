"""Rust futures awaited from Python."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import ziggurat_extension as rust

import ziggurat

Run = Callable[[Any], Any]


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():
            await asyncio.sleep(0.001)


def test_its_result_is_awaited(run: Run) -> None:
    async def main() -> None:
        assert await rust.pause(0.01, 7) == 7
        assert await rust.at_once() == 1
        future = rust.at_once()
        await until(future.done)
        assert await future == await future == 1
        assert repr(future) == "<RustFuture finished result=1>"

    run(main())


def test_it_runs_on_a_worker_of_the_runtime(run: Run) -> None:
    async def main() -> None:
        assert (await rust.worker()).startswith("ziggurat-io-")

    run(main())


def test_it_is_a_future_for_asyncio(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = rust.pause(0.01, 1)
        assert asyncio.isfuture(future)
        assert asyncio.ensure_future(future) is future
        assert future.get_loop() is loop
        assert await asyncio.wait_for(future, 1) == 1
        assert await asyncio.gather(rust.pause(0.01, 1), rust.at_once(), rust.pause(0, 3)) == [1, 1, 3]
        assert await asyncio.shield(rust.pause(0.01, 4)) == 4
        done, pending = await asyncio.wait([rust.at_once(), rust.pause(10, 1)], return_when="FIRST_COMPLETED")
        assert (len(done), len(pending)) == (1, 1)
        assert [await next_ for next_ in asyncio.as_completed([rust.pause(0.05, 2), rust.at_once()])] == [1, 2]

        async def wait(value: int) -> int:
            return int(await rust.pause(0.001, value))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait(n)) for n in range(20)]
        assert [task.result() for task in tasks] == list(range(20))

    run(main())


def test_anyio_takes_it(run: Run) -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        with anyio.move_on_after(0.02) as scope:
            await rust.pause(10, 1)
        assert scope.cancelled_caught
        with anyio.fail_after(5):
            assert await rust.pause(0.01, 2) == 2

    run(main())


def test_states_and_their_words(run: Run) -> None:
    async def main() -> None:
        future = rust.pause(0.01, 7)
        assert repr(future) == "<RustFuture pending>"
        assert not future.done() and not future.cancelled()
        with pytest.raises(asyncio.InvalidStateError, match=r"^Result is not set.$"):
            future.result()
        with pytest.raises(asyncio.InvalidStateError, match=r"^Exception is not set.$"):
            future.exception()
        await future
        assert future.done() and not future.cancelled()
        assert (future.result(), future.exception()) == (7, None)
        assert future.cancel() is False

    run(main())


def test_errors_and_panics_are_raised(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=r"^no$"):
            await rust.fail("no")
        failed = rust.fail("again")
        await until(failed.done)
        assert repr(failed) == "<RustFuture finished exception=ValueError('again')>"
        assert isinstance(failed.exception(), ValueError)
        with pytest.raises(ValueError, match="again"):
            failed.result()
        with pytest.raises(RuntimeError, match=r"^a Rust future panicked: on purpose$"):
            await rust.panics()
        with pytest.raises(RuntimeError, match="could not be converted"):
            await rust.unconvertible()
        with pytest.raises(RuntimeError, match=r"^a Rust future raised StopIteration$"):
            await rust.stop()
        assert await rust.at_once() == 1

    run(main())
    assert "on purpose" in capfd.readouterr().err


def test_a_failure_that_nobody_looks_at_is_reported(run: Run) -> None:
    async def main() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: reports.append(about))
        for future in (rust.fail("unseen"), rust.at_once()):
            await until(future.done)
            del future
        looked_at = rust.fail("seen")
        await until(looked_at.done)
        looked_at.exception()
        del looked_at
        await asyncio.sleep(0.01)
        assert [(str(about["exception"]), about["message"]) for about in reports] == [
            ("unseen", "RustFuture exception was never retrieved")
        ]

    run(main())


def test_cancelling_drops_the_rust_future(run: Run) -> None:
    async def main() -> None:
        before = rust.aborted()
        future = rust.pause(60, 1)
        assert future.cancel("enough") is True
        assert future.done() and future.cancelled() and future.cancel() is False
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await future
        with pytest.raises(asyncio.CancelledError, match="enough"):
            future.exception()
        assert repr(future) == "<RustFuture cancelled>"
        await until(lambda: rust.aborted() == before + 1)

        async def wait() -> None:
            await rust.pause(60, 1)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        task.cancel("the task")
        with pytest.raises(asyncio.CancelledError, match="the task"):
            await task
        await until(lambda: rust.aborted() == before + 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await rust.pause(60, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rust.pause(60, 1), 0.01)
        await until(lambda: rust.aborted() == before + 4)
        cancelled = rust.pause(60, 1)
        gathered = asyncio.gather(cancelled, return_exceptions=True)
        cancelled.cancel()
        [error] = await gathered
        assert isinstance(error, asyncio.CancelledError)

    run(main())


def test_letting_go_of_it_drops_the_rust_future(run: Run) -> None:
    async def main() -> None:
        before = rust.aborted()
        rust.pause(60, 1)
        await until(lambda: rust.aborted() == before + 1)

    run(main())


def test_what_waits_for_it_is_kept(run: Run) -> None:
    async def main() -> None:
        told: list[object] = []

        async def wait() -> None:
            told.append(await rust.pause(0.02, 5))

        # Held by nothing but the future that it waits for.
        reference = weakref.ref(asyncio.create_task(wait()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        assert reference() is not None
        await until(lambda: told == [5])
        await asyncio.sleep(0)
        gc.collect()
        assert reference() is None

    run(main())


def test_callbacks(run: Run) -> None:
    async def main() -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
        seen: list[object] = []

        def note(future: object) -> None:
            seen.append((future is pending, variable.get()))

        context = contextvars.copy_context()
        context.run(variable.set, "given")
        pending = rust.pause(0.01, 1)
        pending.add_done_callback(note, context=context)
        variable.set("current")
        pending.add_done_callback(note)
        pending.add_done_callback(print)
        pending.add_done_callback(print)
        assert pending.remove_done_callback(print) == 2
        assert pending.remove_done_callback(print) == 0
        await pending
        await asyncio.sleep(0)
        assert seen == [(True, "given"), (True, "current")]
        pending.add_done_callback(note, context=context)
        assert len(seen) == 2, "never called at once"
        await asyncio.sleep(0)
        assert seen[2:] == [(True, "given")]

    run(main())


def test_context_variables_are_kept(run: Run) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def one(number: int) -> bool:
        variable.set(number)
        await rust.pause(0.005, 1)
        await rust.at_once()
        return variable.get() == number

    async def main() -> None:
        assert all(await asyncio.gather(*map(one, range(50))))

    run(main())


def test_a_thousand_at_once(run: Run) -> None:
    async def main() -> None:
        begun = time.monotonic()
        assert await asyncio.gather(*(rust.pause(0.1, n) for n in range(1000))) == list(range(1000))
        assert time.monotonic() - begun < 5

    run(main())


def test_one_future_for_many_tasks(run: Run) -> None:
    async def main() -> None:
        future = rust.pause(0.01, 3)

        async def wait() -> object:
            return await future

        assert await asyncio.gather(*(wait() for _ in range(5))) == [3] * 5

    run(main())


def test_await_by_hand_is_refused(run: Run) -> None:
    async def main() -> None:
        future = rust.pause(10, 3)
        iterator = iter(future)
        next(iterator)
        with pytest.raises(RuntimeError, match=r"^await wasn't used with future$"):
            next(iterator)

    run(main())


def test_objects_go_there_and_back(run: Run) -> None:
    class Thing:
        pass

    async def main() -> None:
        thing = Thing()
        reference = weakref.ref(thing)
        assert await rust.there_and_back(thing, 0.01) is thing
        # Dropped on a worker: its release comes back here.
        rust.there_and_back(thing, 60)
        del thing
        await until(lambda: reference() is None)
        kept = Thing()
        reference = weakref.ref(kept)
        unwanted = rust.there_and_back(kept, 0.005)
        del kept
        await asyncio.sleep(0.02)
        del unwanted
        assert reference() is None

    run(main())


def test_a_loop_that_is_closed_takes_nothing() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    before = rust.aborted()
    loop = ziggurat.new_event_loop()
    tasks = set()

    async def main() -> None:
        async def wait(future: Any) -> None:
            await future

        tasks.add(loop.create_task(wait(rust.pause(60, 1))))
        tasks.add(loop.create_task(wait(rust.there_and_back(thing, 0.05))))  # noqa: F821
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    del thing
    loop.close()
    deadline = time.monotonic() + 5
    while (rust.aborted() == before or reference() is not None) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert rust.aborted() == before + 1
    assert reference() is None
    for task in tasks:
        task._log_destroy_pending = False


def test_a_result_while_the_loop_stands_still() -> None:
    loop = ziggurat.new_event_loop()

    async def begin() -> Any:
        return rust.pause(0.01, 5)

    async def wait(future: Any) -> Any:
        return await future

    future = loop.run_until_complete(begin())
    task = loop.create_task(wait(future))
    time.sleep(0.05)
    assert loop.run_until_complete(task) == 5
    loop.close()


def test_without_a_pyloop() -> None:
    with pytest.raises(RuntimeError, match=r"^no running event loop$"):
        rust.at_once()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="the running loop is a _UnixSelectorEventLoop"):
            rust.at_once()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_in_a_forked_child(run: Run) -> None:
    async def warm() -> None:
        await rust.at_once()

    run(warm())
    child = os.fork()
    if child == 0:
        status = 1
        try:

            async def main() -> None:
                with pytest.raises(RuntimeError, match="forked child process"):
                    rust.at_once()

            run(main())
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_it_is_collected(run: Run) -> None:
    class Thing:
        pass

    async def main() -> None:
        thing = Thing()
        reference = weakref.ref(thing)
        future = rust.pause(0.01, 1)
        thing.future = future  # type: ignore[attr-defined]
        future.add_done_callback(lambda _, thing=thing: None)
        await future
        await asyncio.sleep(0)
        del future, thing
        gc.collect()
        assert reference() is None

    run(main())


PROGRAM = """
import asyncio, sys
sys.path[:0] = {path!r}
import ziggurat_extension as rust
{before}
import ziggurat

async def main():
    print(await rust.plain_worker())
    print(await rust.plain_via_rust(asyncio.sleep(0.001, "back")))
    assert await asyncio.gather(*(rust.plain_at_once() for _ in range(100))) == [1] * 100

with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize(("before", "worker"), [("rust.provide()", "ziggurat-io-"), ("", "tokio-")])
def test_futures_of_pyo3_async_runtimes(before: str, worker: str) -> None:
    """In one module with this crate they run on its runtime; a module by itself has a runtime of its own."""
    program = PROGRAM.format(path=[os.environ["ZIGGURAT_EXTENSION"]], before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    name, back = done.stdout.split()
    assert name.startswith(worker)
    assert back == "back"
