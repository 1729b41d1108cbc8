"""Declaring a limit together with its setting.

A class of limits is an attrs class whose fields are made by `limit`, `duration` or `rate_limit`.
The setting that a deployment changes the limit with is derived from the field
(`entrypoints/limit_settings.py`).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal

import attrs

from socketio_app.domain.rates import Rate

BURST_SECONDS: Final = 10
"""Default burst size, in seconds of traffic."""

_MAX_PER_SECOND = 1_000_000
_SETTING = "setting"


@attrs.frozen
class LimitSetting:
    """How a deployment sets a limit."""

    name: str
    """Name in the environment."""
    default: int
    lowest: int
    highest: int
    meaning: str
    """Description, and what happens at the limit; shown in docs/configuration.md."""
    unit: Literal["number", "milliseconds", "per second"] = "number"

    def limit(
        self, value: int, burst_seconds: float = BURST_SECONDS
    ) -> int | timedelta | Rate | None:
        """Convert a value of the setting to the limit."""
        if self.unit == "milliseconds":
            return timedelta(milliseconds=value)
        if self.unit == "per second":
            return rate(value, burst_seconds)
        return value


def rate(per_second: int, burst_seconds: float = BURST_SECONDS) -> Rate | None:
    """Return a rate with a burst of `burst_seconds` of traffic, or `None` if the rate is 0."""
    return Rate(per_second, round(per_second * burst_seconds)) if per_second else None


def rate_setting(name: str, default: int, meaning: str) -> LimitSetting:
    """Return the setting of a rate, in events per second; 0 means unlimited."""
    return LimitSetting(name, default, 0, _MAX_PER_SECOND, meaning, "per second")


def limit(name: str, default: int, lowest: int, highest: int, meaning: str) -> Any:
    """Declare a number; the bounds are those of its setting, both included."""
    return _field(LimitSetting(name, default, lowest, highest, meaning))


def duration(name: str, default: int, lowest: int, highest: int, meaning: str) -> Any:
    """Declare a `timedelta`, whose setting is in milliseconds."""
    return _field(LimitSetting(name, default, lowest, highest, meaning, "milliseconds"))


def rate_limit(name: str, default: int, meaning: str) -> Any:
    """Declare a `Rate`, whose setting is in events per second; `None` means unlimited."""
    return _field(rate_setting(name, default, meaning))


def settings_of(limits: type[attrs.AttrsInstance]) -> Mapping[str, LimitSetting]:
    """Return the settings of a class of limits, by field. Fields without a setting are left out."""
    return {
        field.name: field.metadata[_SETTING]
        for field in attrs.fields(limits)
        if _SETTING in field.metadata
    }


def _field(setting: LimitSetting) -> Any:
    return attrs.field(default=setting.limit(setting.default), metadata={_SETTING: setting})
