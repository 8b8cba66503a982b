"""The Spec: everything needed to make a dataset, as data. YAML and Python build the same object."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from .constraints import parse
from .frame import digest
from .refusal import Refusal, choices

Use = dict[str, Any]
"""A plugin with its configuration: `{use: tabular.copula, ...}`."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class RealNeed(Part):
    """The real-data anchor. holdout: a share of the entities, or the path of the user's own held-out file."""

    path: str | None = None
    table: str | None = None
    target: str | None = None
    entity: str | None = None
    holdout: Annotated[float, Field(gt=0, lt=1)] | str = 0.2
    columns: dict[str, str] = {}
    missing: list[str] = []
    accept_synthetic: bool = False
    licence: str | None = None


class Cover(Part):
    """Which kinds of record, how many of each. `quota` is per cell; `total` is split by `weights`."""

    axes: dict[str, list[Any] | Use | Literal["all"]] = {}
    quota: Annotated[int, Field(gt=0)] | None = None
    total: Annotated[int, Field(gt=0)] | None = None
    weights: Literal["uniform", "as_real"] | dict[str, dict[Any, float]] = "as_real"
    max_attempts: Annotated[int, Field(gt=0)] = 20

    @field_validator("weights", mode="before")
    @classmethod
    def _by_axis(cls, given: Any) -> Any:
        if isinstance(given, dict) and not all(isinstance(v, dict) for v in given.values()):
            raise ValueError(f"{given!r}: weights are given by axis, such as {{income: {{'<=50K': 3, '>50K': 1}}}}")
        return given

    @model_validator(mode="after")
    def _one_of(self) -> Cover:
        if self.quota is not None and self.total is not None:
            raise ValueError("give 'quota' (per cell) or 'total' (split by 'weights'), not both")
        return self


class Fill(Part):
    """How the work is cut; it decides bytes, so it is part of the run's identity. Empty: from the generator's kind."""

    size: Annotated[int, Field(gt=0)] | None = None
    window: Annotated[int, Field(gt=0)] | None = None
    group: Annotated[int, Field(gt=0)] | None = None
    part_rows: Annotated[int, Field(gt=0)] = 250_000


class EngineNeed(Part):
    """Who does the work; it never changes bytes. timeout: of a request; fit_timeout: of fitting one plugin, None: no end."""

    kind: Literal["auto", "serial", "thread", "process"] = "auto"
    workers: Annotated[int, Field(gt=0)] | None = None
    timeout: Annotated[float, Field(gt=0)] = 600.0
    fit_timeout: Annotated[float, Field(gt=0)] | None = 3600.0
    checkpoint: Annotated[float, Field(ge=0)] = 2.0


class Budget(Part):
    """Where to stop although cells are short. seconds: of filling; megabytes: of data on disk; tokens, money: of models."""

    seconds: Annotated[float, Field(gt=0)] | None = None
    megabytes: Annotated[float, Field(gt=0)] | None = None
    tokens: Annotated[int, Field(gt=0)] | None = None
    money: Annotated[float, Field(gt=0)] | None = None


class GuardNeed(Part):
    """max_depth: last generation that may be made. anchor: least share of train that is real where any of it is synthetic."""

    max_depth: Annotated[int, Field(ge=1)] = 3
    anchor: Annotated[float, Field(ge=0, le=1)] = 0.1


class BlendNeed(Part):
    """real: share of the whole that is real, at least; regime: whether every real record stays, or the share is exact. per_cell: that share within each cell. max_depth: oldest synthetic generation let in."""

    real: Annotated[float, Field(ge=0, le=1)] = 0.7
    regime: Literal["accumulate", "replace"] = "accumulate"
    per_cell: bool = False
    total: Annotated[int, Field(gt=0)] | None = None
    max_depth: Annotated[int, Field(ge=1)] | None = None
    weight_real: Annotated[float, Field(gt=0)] = 1.0
    weight_synthetic: Annotated[float, Field(gt=0)] = 1.0


class Bar(Part):
    """A bar on a measure, such as `<= 0.02`. It holds if the interval's unfavourable end does; `at: estimate` opts out."""

    op: Literal["<=", ">=", "<", ">"]
    value: float
    at: Literal["interval", "estimate"] = "interval"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if isinstance(given, dict) and "bar" in given:
            rest = {k: v for k, v in given.items() if k != "bar"}
            return {**cls._parse(given["bar"]), **rest}
        return given if isinstance(given, dict) else cls._parse(given)

    @staticmethod
    def _parse(text: Any) -> dict[str, Any]:
        words = str(text).split()
        if len(words) != 2 or words[0] not in ("<=", ">=", "<", ">"):
            raise ValueError(f"'{text}' is not a bar; write for example '<= 0.02'")
        try:
            value = float(words[1])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"'{words[1]}' is not a number; write for example '<= 0.02'")
        return {"op": words[0], "value": value}

    def __str__(self) -> str:
        return f"{self.op} {self.value:g}"


class Spec(Part):
    """base: the folder that relative paths start from, itself relative to the spec's own; a run's copy of its spec needs it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: int = 0
    real: RealNeed | None = None
    constraints: list[Use] = []
    cover: Cover = Cover()
    models: dict[str, Use] = {}
    generate: list[Use]
    verify: list[Use] = []
    filter: list[Use] = []
    decontaminate: list[str] = []
    monitor: list[Use] = []
    guard: GuardNeed = GuardNeed()
    blend: BlendNeed | None = None
    evaluate: list[Use] = []
    release: dict[str, Bar] = {}
    fill: Fill = Fill()
    engine: EngineNeed = EngineNeed()
    budget: Budget = Budget()
    licence: str | None = None
    base: str = "."

    @field_validator("generate", "verify", "filter", "monitor", "evaluate", mode="before")
    @classmethod
    def _uses(cls, given: Any, info: ValidationInfo) -> Any:
        given = [given] if isinstance(given, dict | str) else given
        if not isinstance(given, list):
            raise ValueError(f"expected '{{use: name}}' or a list of those, not {given!r}")
        made = [{"use": g} if isinstance(g, str) else g for g in given]
        known = ("use", "mix") if info.field_name == "generate" else ("use",)
        for m in made:
            if not isinstance(m, dict) or not any(k in m for k in known):
                raise ValueError(f"{m!r} names no plugin; write for example '{{use: schema}}'")
        return made

    @field_validator("models", mode="before")
    @classmethod
    def _models(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not all(isinstance(v, dict | str) for v in given.values()):
            raise ValueError(f"{given!r}: expected names with models, such as {{teacher: {{model: m, base_url: ...}}}}")
        return {k: {"model": v} if isinstance(v, str) else v for k, v in given.items()}

    @field_validator("decontaminate", mode="before")
    @classmethod
    def _files(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("constraints", mode="before")
    @classmethod
    def _constraints(cls, given: Any) -> Any:
        """Raises Refusal, whose sentence already names the place."""
        given = [given] if isinstance(given, dict) else given
        parse(given)
        return given

    @field_validator("generate")
    @classmethod
    def _some(cls, made: list[Use]) -> list[Use]:
        if not made:
            raise ValueError("at least one generator is needed")
        return made

    def fill_digest(self, real: str, plugins: object) -> str:
        """The run's identity: what decides its bytes. real: the anchor's content digest; plugins: their versions."""
        parts = self.model_dump(
            mode="json", include={"seed", "cover", "generate", "verify", "filter", "monitor", "fill"}
        )
        parts |= {"constraints": self.constraints} if self.constraints else {}
        parts |= {"decontaminate": self.decontaminate} if self.decontaminate else {}
        parts |= {"models": self.models} if self.models else {}
        parts = {k: _deciding(v) for k, v in parts.items()}
        anchor = self.real.model_dump(mode="json", exclude={"path", "licence"}) if self.real else None
        return digest("run", parts, anchor, real, plugins)


TRANSPORT = ("base_url", "key", "concurrency", "deadline", "retries", "prices", "together", "slots")
"""Settings of a language model that decide how it is reached, and nothing of what it answers."""


def _deciding(part: Any) -> Any:
    """A part of the spec without how models are reached: the same run may go on with another port, key or price."""
    if isinstance(part, list):
        return [_deciding(p) for p in part]
    if not isinstance(part, dict):
        return part
    return {k: _deciding(v) for k, v in part.items() if k not in TRANSPORT or "model" not in part or "use" in part}


def load_spec(path: str | Path) -> tuple[Spec, Path]:
    """The spec in a YAML file and the folder its paths are relative to. Raises Refusal naming file, key and value."""
    import yaml

    path = Path(path)
    if not path.is_file():
        raise Refusal(f"{path}: {'is a folder; a spec is a YAML file' if path.is_dir() else 'there is no such file'}")
    try:
        data = yaml.load(path.read_text("utf-8"), Loader=_loader())
    except UnicodeDecodeError:
        raise Refusal(f"{path}: not UTF-8 text") from None
    except OSError as e:
        raise Refusal(f"{path}: {(e.strerror or str(e)).lower()}") from None
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = str(getattr(e, "problem", None) or e).splitlines()[0]
        raise Refusal(f"{path}: {line}not valid YAML: {problem}") from None
    if not isinstance(data, dict):
        raise Refusal(f"{path}: a spec is a mapping with keys such as name, real, generate")
    spec = parse_spec(data, str(path))
    return spec, path.parent / spec.base


def parse_spec(data: dict[str, Any], source: str = "spec") -> Spec:
    try:
        return Spec.model_validate(data)
    except Refusal as e:
        raise Refusal(f"{source}: {e}") from None
    except ValidationError as e:
        raise Refusal(f"{source}: {_sentence(e)}") from None


def _loader() -> Any:
    """YAML 1.1 reads `no`, `12:30` and dates as what nobody means, as 1.2 does not; a key written twice hides the first."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in _YAML_1_1]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    def mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for k, v in node.value:
            key = loader.construct_object(k, deep=True)
            if isinstance(key, list | dict):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a single value", k.start_mark)
            if key in out:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is written twice", k.start_mark)
            out[key] = loader.construct_object(v, deep=True)
        return out

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    for tag, pattern, first in _YAML_1_2:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    return Loader


_YAML_1_1 = {f"tag:yaml.org,2002:{tag}" for tag in ("bool", "int", "float", "timestamp", "merge")}
_YAML_1_2 = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
)


_EXPECTED = {
    "int_parsing": "a whole number", "int_type": "a whole number", "int_from_float": "a whole number",
    "float_parsing": "a number", "float_type": "a number", "string_type": "text",
    "bool_parsing": "true or false", "bool_type": "true or false", "list_type": "a list", "dict_type": "a mapping",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-' alone",
}  # fmt: skip


def _sentence(error: ValidationError) -> str:
    """The most telling of pydantic's errors, as one clause; what each member of a union expected, joined by 'or'."""
    errors = sorted(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", len(e["loc"])))
    first = errors[0]
    loc = _keys(first["loc"])
    key = ".".join(loc)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{key}'; {choices(loc[-1], _part(loc[:-1]).model_fields)}"
    if first["type"] == "missing":
        return f"'{key}' is required"
    if first["type"] == "model_type":
        return f"{key}: {first['input']!r}: expected a mapping with keys such as {', '.join(_part(loc).model_fields)}"
    if first["type"] == "value_error":
        return f"{key}: {_lower(first['msg'].removeprefix('Value error, '))}"
    expected = [_EXPECTED.get(e["type"], _lower(e["msg"])) for e in errors if _keys(e["loc"]) == loc]
    said = " or ".join(dict.fromkeys(e.removeprefix("input should be ") for e in expected))
    return f"{key}: {first['input']!r}: expected {said}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of an error's place, without the names that pydantic gives to a union's members and to keys."""
    names = [str(p) for p in loc if not (isinstance(p, str) and "[" in p)]
    return names[:2] if names[:2] == ["real", "holdout"] else names


def _part(keys: list[str]) -> type[Part]:
    """The part of the spec that lies under these keys."""
    if not keys:
        return Spec
    parts: dict[str, type[Part]] = {
        "real": RealNeed,
        "cover": Cover,
        "fill": Fill,
        "engine": EngineNeed,
        "budget": Budget,
        "blend": BlendNeed,
        "guard": GuardNeed,
    }
    return parts.get(keys[0], Bar)
