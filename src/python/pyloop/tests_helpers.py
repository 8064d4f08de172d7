"""What the jobs of the Rust tests call."""

import asyncio
import contextvars
import logging
import time

variable = contextvars.ContextVar("variable", default=0)


async def at_once(number):
    return number + 1


async def after_a_turn(number):
    await asyncio.sleep(0)
    return number + 1


async def in_a_task(_):
    task = asyncio.current_task()
    return task is not None and task in asyncio.all_tasks() and type(task) is asyncio.Task


async def timeout_from_the_first_line(_):
    try:
        async with asyncio.timeout(0.005):
            await asyncio.sleep(10)
    except TimeoutError:
        return "timed out"


async def task_group(number):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0.001, n)) for n in range(number)]
    return [task.result() for task in tasks]


async def context(number):
    before = variable.get()
    variable.set(number)
    inside = variable.get()
    await asyncio.sleep(0.001)
    return [before, inside, variable.get()]


def sync_context(number):
    assert variable.get() == 0
    variable.set(number)


async def raise_at_once(number):
    raise ValueError(number)


async def raise_later(number):
    await asyncio.sleep(0.001)
    raise ValueError(number)


async def cancel_itself(_):
    asyncio.current_task().cancel()
    await asyncio.sleep(10)


class NotACoroutine:
    send = None


def not_a_coroutine(_):
    return NotACoroutine()


async def interrupt(_):
    raise KeyboardInterrupt


async def leave_at_once(_):
    raise SystemExit(3)


async def leave_later(_):
    await asyncio.sleep(0)
    raise SystemExit(3)


async def raise_cancelled(_):
    raise asyncio.CancelledError


async def await_what_is_cancelled(_):
    other = asyncio.ensure_future(asyncio.sleep(10))
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


async def wait_forever(_):
    await asyncio.get_running_loop().create_future()


class Records(logging.Handler):
    """Keeps what asyncio logs."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


records = Records()
logging.getLogger("asyncio").addHandler(records)


async def block(milliseconds):
    time.sleep(milliseconds / 1000)


async def until(over):
    while not over():
        await asyncio.sleep(0.005)


class InterruptedOnce(asyncio.Future):
    interrupted = False

    def cancel(self, msg=None):
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return super().cancel(msg)


async def wait_for_what_is_interrupted(_):
    await InterruptedOnce()
