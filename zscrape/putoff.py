"""Modules of others that are run when something of them is used, whoever imports them before.

What libraries import for some of their work alone an idle process would hold for nothing. Our
own modules name such a module by `zscrape.onuse` instead.
"""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader

_locks: dict[str, threading.RLock] = {}  # by module; what a module runs may ask it for something
_waiting: set[str] = set()


class _PutOff(ModuleType):
    """A module that is run when it is asked for something that it does not have yet.

    With `importlib.util.LazyLoader` it would be run as soon as it is imported once more.
    """

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        with _locks[name]:  # others wait until it has been run to its end
            if name in _waiting:
                _waiting.discard(name)
                try:
                    _loader(self).exec_module(self)
                except BaseException:
                    _waiting.add(name)
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment] # both are modules
        return ModuleType.__getattribute__(self, attribute)


def put_off(name: str) -> None:
    """Have the module `name` run when something of it is used.

    For modules that others name by `import x`, or by those inside of it: `from x import y` takes
    something at once. What has been loaded stays as it is.

    Raises:
        ModuleNotFoundError: There is no such module.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = module_from_spec(spec)
    _locks[name] = threading.RLock()
    _waiting.add(name)
    module.__class__ = _PutOff
    sys.modules[name] = module
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)


def _loader(module: ModuleType) -> Loader:
    if module.__spec__ is None or module.__spec__.loader is None:
        raise ImportError(f"{module.__name__} has no loader", name=module.__name__)
    return module.__spec__.loader
