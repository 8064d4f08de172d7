"""Mail that the shop sends: files in a folder, which a mail server takes away."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

from .models import Customer, Order


class Outbox:
    """Writes files whole or not at all. It blocks, so it is called on threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def order_was_placed(self, customer: Customer, order: Order) -> None:
        """Tells a customer what was ordered."""
        lines = [f"{line.count} x {line.title}  {line.price * line.count:.2f}" for line in order.lines]
        self._send(customer, f"Your order {order.id}", [*lines, "", f"Total {order.total:.2f}"], str(order.id))

    def _send(self, customer: Customer, subject: str, lines: list[str], name: str) -> None:
        mail = EmailMessage()
        mail["From"] = "shop@bookshop.example"
        mail["To"] = customer.email
        mail["Subject"] = subject
        mail.set_content(f"Dear {customer.name},\n\n" + "\n".join(lines) + "\n")
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        unfinished.write_bytes(bytes(mail))
        unfinished.replace(self._folder / f"{name}.eml")
