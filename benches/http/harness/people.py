"""What the servers keep: the user of most workloads, and the people of the long lists, who differ in what lists ask for."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
USER = json.loads((HERE / "user.json").read_bytes())
# How many people there are in the groups of workloads that end so.
PEOPLE = {"100": 100, "100k": 100_000}
YOUNGEST = 30


def person(number: int) -> dict[str, Any]:
    """Of any age below 100; two of three are active."""
    return {**USER, "name": f"Person {number}", "age": number * 7919 % 100, "active": number % 3 != 0}
