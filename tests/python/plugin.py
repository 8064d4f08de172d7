"""How pytest in a process of its own gets the plugin of the package."""

from importlib.metadata import entry_points

# It comes from an entry point where the package is installed, and is named where it runs from its sources.
PLUGIN = () if entry_points(group="pytest11", name="ziggurat") else ("-p", "ziggurat.pytest_plugin")
