"""Faker for one locale."""

from __future__ import annotations

from typing import Any

from synthmill.refusal import Refusal, choices


def faker_of(locale: str, at: str) -> Any:
    """Raises Refusal, which begins with `at`, where Faker does not know the locale."""
    import faker
    from faker.config import AVAILABLE_LOCALES

    if locale not in AVAILABLE_LOCALES:
        raise Refusal(f"{at}: locale: '{locale}' is not known; {choices(locale, sorted(AVAILABLE_LOCALES))}")
    return faker.Faker(locale)
