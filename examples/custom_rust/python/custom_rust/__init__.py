"""Rust of this app, as Python sees it. Import it before `ziggurat`: it brings the native half of that along."""

# isort: off
from ._native import double
from ziggurat import ConfigError, layers

# isort: on
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["GeoBlock", "double"]


@dataclass(frozen=True, kw_only=True)
class GeoBlock(layers.Layer):
    """Answers 451 to requests from these countries."""

    countries: Sequence[str]
    """Codes of two letters (ISO 3166)."""
    header: str = "cf-ipcountry"
    """In which the proxy in front names the country of the client."""

    def __post_init__(self) -> None:
        for country in self.countries:
            if len(country) != 2:
                raise ConfigError(f"GeoBlock: {country!r} is no country", cure='write codes of two letters, as "NO"')
