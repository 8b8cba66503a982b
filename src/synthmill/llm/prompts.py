"""Prompts are Jinja templates in files beside the code, rendered in a sandbox; what is rendered into them is never a template."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from synthmill.llm.question import Message
from synthmill.refusal import MissingExtra, Refusal

_ROLES = ("system", "user")


class Prompt:
    """A template with a block `user` and perhaps a block `system`: each becomes a message of its own, so that no text
    from outside can open one."""

    def __init__(self, path: Path) -> None:
        try:
            self.text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise Refusal(f"{path}: {getattr(e, 'strerror', None) or 'not UTF-8 text'}") from None
        self.path = path
        self._template = _compiled(self.text, str(path))
        if "user" not in self._template.blocks:
            raise Refusal(f"{path}: a prompt needs a block 'user': {{% block user %}}...{{% endblock %}}")

    def __call__(self, values: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages. Raises Refusal where the template names what it is not given."""
        from jinja2 import TemplateError

        out = []
        try:
            for role in _ROLES:
                if role in self._template.blocks:
                    context = self._template.new_context(dict(values))
                    said = "".join(self._template.blocks[role](context)).strip()
                    out += [{"role": role, "content": said}] if said else []
        except (TemplateError, TypeError) as e:
            raise Refusal(f"{self.path.name}: {e}") from None
        return tuple(out)


def _compiled(text: str, name: str) -> Any:
    sandbox = _sandbox()
    from jinja2 import TemplateSyntaxError

    try:
        return sandbox.from_string(text)
    except TemplateSyntaxError as e:
        raise Refusal(f"{name}: line {e.lineno}: {e.message}") from None


@cache
def _sandbox() -> Any:
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError:
        raise MissingExtra("a prompt", "jinja2", "llm") from None
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
