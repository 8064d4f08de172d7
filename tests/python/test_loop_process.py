"""Signals, interrupts and forks: what a loop shares with its process."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import pytest
from helpers import until

from ziggurat._loop import PyLoop, new_event_loop

Factory = Callable[[], PyLoop]


@pytest.fixture(params=[False, True], ids=["epoll", "tokio"])
def factory(request: pytest.FixtureRequest) -> Factory:
    return partial(PyLoop, park_in_tokio=request.param)


@pytest.fixture
def loop(factory: Factory) -> Iterator[PyLoop]:
    loop = factory()
    yield loop
    loop.close()


def send_later(number: signal.Signals, delay: float = 0.02) -> None:
    threading.Timer(delay, os.kill, (os.getpid(), number)).start()


def test_a_signal_reaches_its_handler(loop: PyLoop) -> None:
    seen: list[str] = []

    def handler(name: str) -> None:
        seen.append(name)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, "usr1")
    send_later(signal.SIGUSR1)
    loop.run_forever()
    assert seen == ["usr1"]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_that_came_before_the_run_is_not_lost(loop: PyLoop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    os.kill(os.getpid(), signal.SIGUSR1)
    timer = loop.call_later(10, pytest.fail, "the signal was lost")
    loop.run_forever()
    timer.cancel()


def test_a_signal_between_two_runs_is_not_lost(loop: PyLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))

    async def add() -> None:
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)

    loop.run_until_complete(add())
    os.kill(os.getpid(), signal.SIGUSR1)
    timer = loop.call_later(10, pytest.fail, "the signal was lost")
    loop.run_forever()
    timer.cancel()


def test_signals_without_a_handler_on_the_loop_do_not_end_the_run(loop: PyLoop) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: seen.append(number))
    try:
        send_later(signal.SIGUSR2)
        begun = time.monotonic()
        loop.run_until_complete(asyncio.sleep(0.1))
        assert time.monotonic() - begun >= 0.1
        assert seen == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_removing_the_last_handler_keeps_interrupts_working(loop: PyLoop) -> None:
    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.remove_signal_handler(signal.SIGUSR1)
        send_later(signal.SIGINT)
        await asyncio.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())


def test_interrupting_a_parked_loop(loop: PyLoop) -> None:
    send_later(signal.SIGINT)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert time.monotonic() - begun < 5
    loop.run_until_complete(asyncio.sleep(0))


def test_interrupting_a_runner_cancels_the_main_task(factory: Factory) -> None:
    seen: list[str] = []

    async def main() -> None:
        send_later(signal.SIGINT)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert seen == ["cancelled"]


def test_the_wakeup_descriptor_is_given_back(factory: Factory) -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    before = signal.set_wakeup_fd(write_fd)
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.sleep(0))
        assert signal.set_wakeup_fd(before) == write_fd
    finally:
        signal.set_wakeup_fd(before)
        os.close(read_fd)
        os.close(write_fd)


def test_handlers_need_the_main_thread(factory: Factory) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        async def main() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)

        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())
        except RuntimeError as problem:
            problems.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(problems) == 1


def in_child(work: Callable[[], None], timeout: float = 20) -> int:
    """Forks, does the work in the child, and gives its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


def use_a_loop() -> None:
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        server.close()
        assert await asyncio.to_thread(lambda: 5) == 5
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_a_child_of_a_process_that_used_a_loop_can_use_its_own() -> None:
    use_a_loop()
    assert in_child(use_a_loop) == 0


def test_a_child_forked_inside_a_running_loop(factory: Factory) -> None:
    def work() -> None:
        # The child starts inside the callback, with the parent's loop still on its stack.
        asyncio._set_running_loop(None)
        use_a_loop()

    async def main() -> int:
        return in_child(work)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) == 0
        # The epoll set is shared with the child; the parent's must still work.
        runner.run(asyncio.sleep(0.01))
        assert runner.run(asyncio.to_thread(lambda: 5)) == 5


def test_a_child_may_close_the_loop_of_its_parent_but_not_run_it(loop: PyLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))

    def work() -> None:
        try:
            loop.run_until_complete(asyncio.sleep(0))
        except RuntimeError as problem:
            assert "before a fork" in str(problem)
        else:
            raise AssertionError("it ran")
        loop.close()

    assert in_child(work) == 0
    ran: list[int] = []
    loop.call_later(0.01, ran.append, 1)
    threading.Timer(0.02, loop.call_soon_threadsafe, (loop.stop,)).start()
    loop.run_forever()
    assert ran == [1]


def square_on_a_loop(number: int) -> int:
    async def main() -> int:
        await asyncio.sleep(0.001)
        return number * number

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


def test_a_pool_of_forked_processes(factory: Factory) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, square_on_a_loop, n) for n in range(6)))

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) == [n * n for n in range(6)]


def test_a_process_ends_with_a_loop_left_open() -> None:
    program = """
        import asyncio, signal
        from ziggurat._loop import PyLoop

        loop = PyLoop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.call_later(60, print)
        print("end")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30)
    assert done.stdout == "end\n"
    assert done.returncode == 0, done.stderr


def test_children_are_waited_for_without_a_thread(loop: PyLoop) -> None:
    async def main() -> None:
        before = threading.active_count()
        children = [await asyncio.create_subprocess_exec("sleep", "0.2") for _ in range(5)]
        assert threading.active_count() == before
        assert [await child.wait() for child in children] == [0] * 5
        child = await asyncio.create_subprocess_exec("sleep", "60")
        child.kill()
        assert await child.wait() == -signal.SIGKILL

    loop.run_until_complete(asyncio.wait_for(main(), 20))


def test_an_exit_status_that_somebody_else_took_is_told(loop: PyLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "0.1")
        os.waitpid(child.pid, 0)
        assert await asyncio.wait_for(child.wait(), 20) == 255

    loop.run_until_complete(main())
    assert "exit status already read" in caplog.text


def test_a_child_that_outlives_the_loop_leaves_no_descriptor(factory: Factory) -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    async def main() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec("sleep", "60")

    factory().close()
    before = descriptors()
    loop = factory()
    child = loop.run_until_complete(main())
    transport = child._transport  # type: ignore[attr-defined]
    loop.close()
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    transport._proc.returncode = -signal.SIGKILL
    transport.close()
    # The loop itself has one until it is gone.
    del loop, child, transport
    gc.collect()
    if sys.version_info < (3, 12):
        # What threads of other tests have open for a moment is not the child's.
        until(lambda: descriptors() <= before)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the interpreter chooses there")
def test_without_descriptors_of_processes_a_thread_waits(loop: PyLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    from ziggurat import _loop

    def refuse(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    _loop._pidfd_works.cache_clear()
    monkeypatch.setattr(os, "pidfd_open", refuse)

    async def main() -> None:
        child = await asyncio.create_subprocess_exec("true")
        assert await asyncio.wait_for(child.wait(), 20) == 0

    try:
        loop.run_until_complete(main())
    finally:
        _loop._pidfd_works.cache_clear()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="child watchers are on their way out there")
def test_a_watcher_that_was_chosen_is_used(loop: PyLoop) -> None:
    used: list[int] = []

    class Watcher(asyncio.ThreadedChildWatcher):
        def add_child_handler(self, pid: int, callback: Callable[..., object], *args: object) -> None:
            used.append(pid)
            super().add_child_handler(pid, callback, *args)

    async def main() -> int:
        child = await asyncio.create_subprocess_exec("true")
        assert await asyncio.wait_for(child.wait(), 20) == 0
        return child.pid

    before = asyncio.get_child_watcher()
    asyncio.set_child_watcher(Watcher())
    try:
        assert used == [loop.run_until_complete(main())]
    finally:
        asyncio.set_child_watcher(before)


INTERRUPTED = """
import asyncio, os, signal, sys, threading, time
from ziggurat import PyLoop

ready, timed, threaded, awaited = [], [], [], []
COUNT = 3000

async def wait(number):
    await asyncio.sleep(0)
    awaited.append(number)

def spin():
    # Python code, which an interrupt can hit at any instruction.
    if spinning:
        loop.call_soon(spin)
        if state == "fired":
            # It hit something that cannot raise it.
            loop.stop()

def arm():
    global state
    state = "armed"

def from_a_thread():
    for number in range(COUNT):
        loop.call_soon_threadsafe(threaded.append, number)

# What is interrupted in a finalizer cannot be raised.
sys.unraisablehook = lambda *args: None
loop = PyLoop(park_in_tokio=sys.argv[1] == "tokio")
loop.set_debug(sys.argv[2] == "debug")
loop.set_exception_handler(lambda *args: None)
spinning = True
# A function in C is never left half done.
for number in range(COUNT):
    loop.call_soon(ready.append, number)
    loop.call_later(number * 1e-5, timed.append, number)
tasks = [loop.create_task(wait(number)) for number in range(COUNT)]
loop.call_soon(spin)
loop.call_soon(spin)
thread = threading.Thread(target=from_a_thread)
thread.start()
interrupts, deadline, state = 0, time.monotonic() + 20, "idle"

def interrupt(*args):
    # Once for each run, and never between two, where asyncio's own code would be hit.
    global state
    if state == "armed":
        state = "fired"
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while time.monotonic() < deadline and not (len(timed) >= COUNT and len(threaded) >= COUNT and interrupts > 200):
    state = "idle"
    loop.call_soon(arm)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
spinning = False
thread.join()
loop.run_until_complete(asyncio.sleep(0.1))
assert ready == [*range(COUNT)], "ready"
assert sorted(timed) == [*range(COUNT)], "timed"
assert threaded == [*range(COUNT)], "threaded"
# An interrupt ends the task that it hits, and no other one.
hit = [task for task in tasks if isinstance(task.exception(), KeyboardInterrupt)]
assert len(set(awaited)) == len(awaited) and len(awaited) + len(hit) >= COUNT, (len(awaited), len(hit))
assert interrupts > 200, interrupts
assert all(task.done() for task in tasks)
loop.close()
print("nothing was lost")
"""


@pytest.mark.parametrize("mode", ["plain", "debug"])
def test_interrupts_under_load_lose_nothing(factory: Factory, mode: str) -> None:
    """What was scheduled runs once or stays in the queue, whenever ^C comes and whoever scheduled it."""
    kind = "tokio" if factory.keywords["park_in_tokio"] else "epoll"  # type: ignore[attr-defined]
    command = [sys.executable, "-c", INTERRUPTED, kind, mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "nothing was lost\n"), done.stderr


def serve_in_child(answers: Any) -> None:
    from ziggurat import Ziggurat
    from ziggurat.testing import TestClient

    app = Ziggurat()

    @app.get("/")
    async def hello() -> str:
        return "hello"

    try:
        with TestClient(app) as client:
            answers.put(str(client.get("/").status))
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")


def test_an_app_in_a_forked_child_is_refused_and_does_not_hang(loop: PyLoop) -> None:
    # The parent has a runtime.
    loop.run_until_complete(asyncio.sleep(0))
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=serve_in_child, args=(answers,))
    child.start()
    answer = answers.get()
    child.join(20)
    assert child.exitcode == 0
    assert "the runtime was started before a fork" in answer
