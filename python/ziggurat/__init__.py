"""HTTP services in Python on a Rust Tower stack.

Every request passes a stack of Rust layers to a leaf: a native CRUD service, any other native service, or a Python
handler. Python runs only where business logic needs it.
"""

from . import layers

__all__ = ["layers"]
