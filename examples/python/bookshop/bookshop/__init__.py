"""A bookshop: one app as a team would write it."""
