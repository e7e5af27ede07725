"""An ordinary script, run through the whole sandbox before a worker takes any work.

A layer may hold and yet take away what scripts need, in ways that only a run can show: an
interpreter that the attempts' user cannot read loses its codecs at the first name it resolves.
"""

from __future__ import annotations

from pathlib import Path

from zscrape.config.values import SettingError
from zscrape.errors import WorkerNotStarted
from zscrape.model import OutcomeCode, Pin, RunSpec
from zscrape.runtime import limits
from zscrape.worker.isolation import Isolation
from zscrape.worker.kinds import TemplateFailed
from zscrape.worker.slots import Slots

_FOLDER = Path(limits.__file__).with_name("canary")
_RUN = RunSpec(Pin("zscrape", "canary", "1.0.0", "sha256:0"), kit=("http",), timeout_s=30.0)


async def start(slots: Slots) -> None:
    """Start what attempts are forked from.

    Raises:
        WorkerNotStarted: It does not start: there would be no attempt.
    """
    try:
        await slots.start()
    except TemplateFailed as error:
        raise WorkerNotStarted(reason=str(error)) from error


async def send_canary(slots: Slots) -> None:
    """Run it, and return if it did well.

    Raises:
        ConfigError: It did not: this worker would fail every script.
        WorkerNotStarted: There was no process to run it in.
    """
    try:
        outcome = await slots.try_out(_RUN, _FOLDER)
    except (TemplateFailed, OSError) as error:
        raise WorkerNotStarted(reason=str(error)) from error
    if outcome.code is OutcomeCode.OK:
        return
    told = f"{outcome.error_type}: {outcome.error_message}" if outcome.error_type else ""
    reason = told or f"{outcome.code} {outcome.fields.get('reason', '')}".strip()
    raise SettingError(source="[isolation]", reason=reason, fault="canary", value=reason)


def require_layers(layers: Isolation, required: tuple[str, ...]) -> None:
    """Return if every required layer is in force.

    Raises:
        ConfigError: One is not; the words say why.
    """
    for layer in required:
        why = layers.missing.get(layer)
        if why is not None:
            raise SettingError(
                source="isolation.require", reason=why, fault="layer", value=layer, expected=why
            )
