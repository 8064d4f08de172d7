"""The parts of the HTTP benchmark; `../run` puts them together."""
