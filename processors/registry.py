"""Finds a processor by its name: a module of this package, or any installed module."""

import importlib
import pkgutil
import re

from processors.contract import Processor

_NOT_PROCESSORS = {
    "bidi",
    "checkpoints",
    "cluster",
    "contract",
    "corrections",
    "device_errors",
    "extras",
    "line_reader",
    "malloc",
    "memory",
    "models",
    "models_cli",
    "options",
    "output_files",
    "pages",
    "parent",
    "protocol",
    "quantities",
    "registry",
    "remote",
    "statements",
    "steps",
    "torch_device",
    "wellformed",
    "worker",
}


def find(name: str) -> type[Processor]:
    """The processor class named `name`: the attribute `processor` of module `processors.<name>`, or, if the name has a
    dot, of the installed module of that name.

    Raises:
        LookupError: there is no such processor.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", name):
        raise LookupError(f"{name!r} is not a processor's name")
    path = name if "." in name else f"processors.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        raise LookupError(f"there is no processor {name!r} (no module {path})") from error
    if not hasattr(module, "processor"):
        raise LookupError(f"{path} is not a processor (it has no attribute `processor`)")
    processor: type[Processor] = module.processor
    return processor


def known() -> list[str]:
    """The names of the processors of this package."""
    package = importlib.import_module("processors")
    return sorted({module.name for module in pkgutil.iter_modules(package.__path__)} - _NOT_PROCESSORS)
