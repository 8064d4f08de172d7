"""Puts people into a database as the servers keep them, for want of a quick way through them.

`python -m harness.fill_mongo mongodb://.../database 100000`, by an interpreter that has PyMongo.
"""

import sys
from uuid import UUID

from bson import Int64
from pymongo import MongoClient

from .people import person

AT_ONCE = 5000


def stored(number: int) -> dict[str, object]:
    document = person(number)
    # Ids in the order of the numbers, of version 7.
    id = UUID(int=(0x0197 << 112) | (7 << 76) | (2 << 62) | number)
    return {"_id": id, **document, "age": Int64(document["age"]), "_v": Int64(1)}


def main(uri: str, count: int) -> None:
    with MongoClient(uri, uuidRepresentation="standard") as client:
        people = client.get_default_database()["person"]
        for first in range(0, count, AT_ONCE):
            people.insert_many([stored(number) for number in range(first, min(first + AT_ONCE, count))])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
