"""Loaders and agents that are measured where they are found on PATH; this repository installs none of them."""


def tools():
    return []
