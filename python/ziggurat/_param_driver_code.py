"""The code that calls a handler with its dependencies: one function for all handlers of one shape.

What depends on what is known when it is written, so it is a straight line of calls, and a block where a dependency yields:

    async def drive(run, a0, a1):
        d0 = await f0(a0)
        g1 = f1(d0)
        try:
            d1 = await anext(g1)
        except StopAsyncIteration:
            raise not_begun() from None
        try:
            waiting = run.answer(await handler(a1, d1))
            if waiting is not None:
                await waiting
        except BaseException as e1:
            if not await thrown_async(g1, e1):
                raise
        else:
            try:
                await anext(g1)
            except StopAsyncIteration:
                pass
            else:
                await goes_on_async(g1)

That is `async with asynccontextmanager(f1)(d0) as d1:` without the object, the two coroutines and the calls that it takes. What an exception
does to the generator is left to contextlib. What is cleaned up before the answer stands inside of all else:

            answered = False
            g2 = f2()
            ...
                answer = await handler(a1, d1, d2)
                answered = True
            ...
            if answered:
                waiting = run.answer(answer)
"""

from __future__ import annotations

import functools
import types
from typing import Literal, NamedTuple

from ._record import record

__all__ = ["Driver", "Kind", "Mode", "Shape", "driver"]

Kind = Literal["value", "async", "generator", "asyncgen"]
"""What calling a function gives."""
Mode = Literal["call", "run", "answer", "generator"]
"""`call` gives what the handler gives. So does `run`, which is handed what runs functions on threads. `answer` hands the answer to that,
and returns when all is cleaned up. `generator` yields the answer, and cleans up when it is gone on with."""

_NESTED = 15
"""Python takes 20 blocks in each other."""


class Shape(NamedTuple):
    """What the code of a call is made of; see `Step`."""

    kind: Kind
    thread: bool
    args: tuple[str, ...]
    inner: bool


@record
class Driver:
    """The code of a function that calls `f0`, `f1` and so on, and then `handler`."""

    code: types.CodeType
    mode: Mode
    is_async: bool
    """Whether it is for the loop."""
    managers: tuple[int, ...]
    """Which of `f0`, `f1` and so on make a context manager, where the function itself is a generator."""


@functools.lru_cache(512)
def driver(steps: tuple[Shape, ...], handler: Shape, args: tuple[str, ...], answers: bool) -> Driver:
    """Writes the code that calls `steps` one after the other, and then `handler`, given `args`; many handlers have the same.

    Where the handler does not answer, as one of WebSockets, what yields is cleaned up when it has returned.
    """
    # Calling a generator runs none of it.
    is_generator = handler.kind in ("generator", "asyncgen")
    is_async = is_generator or handler.kind == "async"
    yields = sum(step.kind in ("generator", "asyncgen") for step in steps)
    on_loop = is_async or any(step.kind in ("async", "asyncgen") for step in steps)
    # What is `def` runs on a thread where the handler does.
    threads = on_loop and (not is_async or any(step.thread and step.kind in ("value", "generator") for step in steps))
    hands_over = on_loop and yields > 0 and answers
    uses_run = threads or hands_over
    mode: Mode = "call"
    if uses_run:
        mode = "answer" if hands_over else "run"
    elif yields and not on_loop:
        mode = "generator"
    lines: list[str] = []
    managers: list[int] = []
    indent = 1

    def say(text: str) -> None:
        lines.append("    " * indent + text)

    flat = yields > _NESTED
    # What is cleaned up before the answer, so that this may still be another one; nobody asks for it where there is none.
    ends_inside = answers and any(step.inner and step.kind in ("generator", "asyncgen") for step in steps)
    before_inside = indent
    # The generators whose blocks are open, each with its indent and whether it is an asynchronous one.
    opened: list[tuple[int, int, bool]] = []
    opened_outside = 0
    # Where an exception was kept quiet, that is None.
    returns = mode in ("call", "run")

    def open_stack() -> None:
        say("with ExitStack() as stack:" if mode == "generator" else "async with AsyncExitStack() as stack:")

    if flat:
        open_stack()
        indent += 1
    # Both in their order: what is outside depends on nothing that is inside.
    ordered = sorted(enumerate(steps), key=lambda numbered: numbered[1].inner)
    outside = sum(not step.inner for step in steps)
    for place, (number, step) in enumerate(ordered):
        if ends_inside and place == outside:
            before_inside, opened_outside = indent, len(opened)
            say("answered = False")
            if flat:
                open_stack()
                indent += 1
        function = f"f{number}"
        call = f"{function}({', '.join(step.args)})"
        on_thread = on_loop and (step.thread or not is_async)
        if step.kind in ("generator", "asyncgen") and (flat or (step.kind == "generator" and on_thread)):
            managers.append(number)
            waits = step.kind == "asyncgen" or on_thread
            if step.kind == "generator" and on_thread:
                call = f"OnThread(run, {call})"
            if flat:
                say(
                    f"d{number} = "
                    + (f"await stack.enter_async_context({call})" if waits else f"stack.enter_context({call})")
                )
            else:
                say(f"async with {call} as d{number}:")
                indent += 1
        elif step.kind in ("generator", "asyncgen"):
            is_asyncgen = step.kind == "asyncgen"
            say(f"g{number} = {call}")
            say("try:")
            say(f"    d{number} = " + (f"await anext(g{number})" if is_asyncgen else f"next(g{number})"))
            say(f"except {'StopAsyncIteration' if is_asyncgen else 'StopIteration'}:")
            say("    raise not_begun() from None")
            opened.append((number, indent, is_asyncgen))
            say("try:")
            indent += 1
        elif step.kind == "async":
            say(f"d{number} = await {call}")
        elif on_thread:
            say(f"d{number} = await threaded({', '.join(['run', function, *step.args])})")
        else:
            say(f"d{number} = {call}")

    def close(down_to: int) -> None:
        """Ends the blocks, the innermost first."""
        nonlocal indent
        while len(opened) > down_to:
            number, indent, is_asyncgen = opened.pop()
            end, awaits, kind = ("StopAsyncIteration", "await ", "_async") if is_asyncgen else ("StopIteration", "", "")
            say(f"except BaseException as e{number}:")
            say(f"    if not {awaits}thrown{kind}(g{number}, e{number}):")
            say("        raise")
            if returns:
                say("    answer = None")
            say("else:")
            say("    try:")
            say(f"        {awaits}{'anext' if is_asyncgen else 'next'}(g{number})")
            say(f"    except {end}:")
            say("        pass")
            say("    else:")
            say(f"        {awaits}goes_on{kind}(g{number})")

    call = f"handler({', '.join(handler.args)})"
    is_coroutine = on_loop and (uses_run or yields > 0 or any(step.kind == "async" for step in steps))
    if is_coroutine and not is_generator:
        call = f"await {call}" if is_async else f"await threaded({', '.join(['run', 'handler', *handler.args])})"
    if ends_inside:
        say(f"answer = {call}")
        say("answered = True")
        close(opened_outside)
        indent = before_inside
        # Else an exception was kept by what is cleaned up, and that there is no answer is told by those who called.
        say("if answered:")
        indent += 1
        call = "answer"
    if mode == "answer":
        say(f"waiting = run.answer({call})")
        say("if waiting is not None:")
        say("    await waiting")
    elif mode == "generator":
        say(f"yield {call}")
    elif opened:
        # Not from within, which would leave out what ends the blocks.
        say(f"answer = {call}")
    else:
        say(f"return {call}")
    if opened:
        close(0)
        if returns:
            indent = 1
            say("return answer")
    head = f"{'async def' if is_coroutine else 'def'} drive({', '.join([*(['run'] if uses_run else []), *args])}):"
    module = compile("\n".join([head, *lines]), "<dependencies>", "exec")
    code = next(made for made in module.co_consts if isinstance(made, types.CodeType))
    return Driver(code, mode, on_loop, tuple(managers))
