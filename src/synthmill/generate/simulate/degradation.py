"""Machines that wear until they fail."""

from __future__ import annotations

from collections.abc import Generator as Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.plugins import Request
from synthmill.refusal import Refusal

from ._space import Dimension

Floats = NDArray[np.float64]
Machine = Literal["pump", "fan", "compressor", "gearbox"]
Environment = Literal["clean", "dusty", "hot", "wet"]


@dataclass(frozen=True)
class _Kind:
    """wears, cracks: names of the two failure modes. wear_life, crack_life: typical hours to failure at load 1, clean.

    temperature, vibration, pressure: readings of a sound machine at load 1: rise over ambient in K, mm/s RMS, kPa.
    """

    wears: str
    cracks: str
    wear_life: float
    crack_life: float
    temperature: float
    vibration: float
    pressure: float


_KINDS: dict[str, _Kind] = {
    "pump": _Kind("seal_wear", "shaft_crack", 4000, 6000, 25, 2.0, 400),
    "fan": _Kind("belt_wear", "blade_crack", 3500, 5000, 15, 2.8, 1.5),
    "compressor": _Kind("valve_wear", "bearing_fatigue", 3000, 4000, 55, 3.5, 800),
    "gearbox": _Kind("oil_breakdown", "tooth_crack", 6000, 4500, 35, 1.8, 250),
}
_AMBIENT = {"clean": 20.0, "dusty": 22.0, "hot": 40.0, "wet": 18.0}
_WEAR_FACTOR = {"clean": 1.0, "dusty": 1.8, "hot": 1.4, "wet": 1.2}
_CRACK_FACTOR = {"clean": 1.0, "dusty": 1.1, "hot": 1.2, "wet": 1.6}
_INITIAL = 0.1
_SHAPE = 50.0
"""Shape of the gamma process between new and failed: wear at a typical life scatters by 1 / sqrt(50), a seventh."""
_ROUNDS = 40
_READINGS_AT_ONCE = 1_000_000
_OUTCOMES = ("failure_mode", "censored")
_READINGS = ("t", "temperature", "vibration", "pressure", "wear", "crack")


@dataclass
class Degradation:
    """Equipment run to failure: one record per machine, with its sensor readings and inspections as nested lists.

    Two kinds of damage race, each 0 when new and fatal at 1. `wear` is a gamma process (van Noortwijk 2009) whose rate
    grows with load squared and the surroundings. `crack` starts at 0.1 and grows by the Paris law da/dt ~ (load sqrt(a))^3,
    in closed form, with log-normal material scatter. The first to reach 1 is the failure mode. Sensors follow the damage
    (in the manner of Saxena et al. 2008, C-MAPSS): temperature (C) and vibration (mm/s) rise, pressure (kPa) falls, with
    noise (a share of each signal) and a slow drift per sensor. Inspections are simpy events: every `inspection` hours,
    give or take a tenth, an inspector measures the larger damage with a standard error of 0.03 and takes the machine
    out of service at `retire` or more.

    What a verifier can recompute. Readings are at 0, interval, 2 interval, ... and at `life` (hours), which is the last
    one's t. wear and crack never fall. If not `censored`, the damage of `failure_mode` is 1 at `life` and every other
    is below; if censored, failure_mode is "none", both are below 1, and life is `horizon` or the time of the last
    inspection, whose action is then "retire".

    Cells: machine and environment are chosen, load is narrowed, exactly. failure_mode and censored are outcomes: machines
    are simulated and the wrong ones dropped, which is exact too but may give fewer rows than asked where they are rare.
    Times in hours. A test bench for the line, not a model of any real plant.
    """

    machines: tuple[Machine, ...] = ("pump", "fan", "compressor", "gearbox")
    environments: tuple[Environment, ...] = ("clean", "dusty", "hot", "wet")
    load: tuple[float, float] = (0.6, 1.2)
    interval: Annotated[float, Field(gt=0)] = 50.0
    horizon: Annotated[float, Field(gt=0)] = 6000.0
    inspection: Annotated[float, Field(gt=0)] = 750.0
    retire: Annotated[float, Field(gt=0)] = 0.9
    noise: Annotated[float, Field(ge=0)] = 0.02

    def __post_init__(self) -> None:
        if not self.machines or not self.environments:
            raise Refusal("generate: simulate.degradation: 'machines' and 'environments' each need at least one name")
        if not 0 < self.load[0] <= self.load[1]:
            raise Refusal(f"generate: simulate.degradation: load: {list(self.load)!r} is not a range of positive loads")

    def schema(self) -> dict[str, pl.DataType]:
        reading = pl.Struct(dict.fromkeys(_READINGS, pl.Float64))
        inspection = pl.Struct({"t": pl.Float64, "damage": pl.Float64, "action": pl.String})
        return {
            "machine": pl.String(),
            "environment": pl.String(),
            "load": pl.Float64(),
            "life": pl.Float64(),
            "failure_mode": pl.String(),
            "censored": pl.Boolean(),
            "readings": pl.List(reading),
            "inspections": pl.List(inspection),
        }

    def conditions(self, axes: Sequence[str]) -> bool:
        return set(axes) <= {"machine", "environment", "load", *_OUTCOMES}

    def generate(self, request: Request) -> pl.DataFrame:
        made = [pl.DataFrame(schema=self.schema())]
        space = self._narrowed(request.cell.where)
        least = 64 if set(_OUTCOMES) & set(request.cell.where) else 1
        batch = min(max(least, request.n), max(1, _READINGS_AT_ONCE // _steps(self)))
        rows, turn = 0, 0
        while space and rows < request.n and turn < _ROUNDS * -(-request.n // batch):
            rng = request.rng("fleet", turn)
            fleet = _Fleet(self, space, batch, rng)
            kept = fleet.frame.filter(request.cell.holds()).head(request.n - rows)
            made.append(fleet.observed(kept, rng).select(made[0].columns))
            rows, turn = rows + kept.height, turn + 1
        return pl.concat(made)

    def _narrowed(self, where: Mapping[str, Any]) -> list[Dimension] | None:
        """machine, environment and load as the cell leaves them; None if it leaves nothing."""
        at = "generate: simulate.degradation"
        mode = where.get("failure_mode", "none")
        machines = [m for m in self.machines if mode in ("none", _KINDS[m].wears, _KINDS[m].cracks)]
        if not machines:
            return None
        whole = {"machine": machines, "environment": self.environments, "load": {"uniform": self.load}}
        parsed = [Dimension.parse(k, v, at) for k, v in whole.items()]
        left = [d.within(where[d.name]) if d.name in where else d for d in parsed]
        return None if None in left else [d for d in left if d is not None]


def _steps(plan: Degradation) -> int:
    return int(np.ceil(plan.horizon / plan.interval))


class _Fleet:
    """n machines from new to the end. frame: one row each, with its place in the fleet as `_row`."""

    def __init__(self, plan: Degradation, space: list[Dimension], n: int, rng: np.random.Generator) -> None:
        self.plan = plan
        names, surroundings, loads = (d.at(u) for d, u in zip(space, rng.random((3, n)), strict=True))
        self.kinds = [_KINDS[m] for m in names]
        self.load = np.array(loads)
        self.life = np.empty(n)
        self._damage(surroundings, rng)
        self._inspect(rng)
        broken = self.life < np.minimum(self.retired, plan.horizon)
        modes = [k.wears if w else k.cracks for k, w in zip(self.kinds, self.by_wear, strict=True)]
        self.life = np.minimum(np.minimum(self.life, self.retired), plan.horizon)
        self.broken = broken
        self.ambient = np.array([_AMBIENT[e] for e in surroundings])
        self.frame = pl.DataFrame(
            {
                "_row": np.arange(n, dtype=np.int64),
                "machine": pl.Series(names, dtype=pl.String),
                "environment": pl.Series(surroundings, dtype=pl.String),
                "load": self.load,
                "life": self.life,
                "failure_mode": [m if b else "none" for m, b in zip(modes, broken, strict=True)],
                "censored": ~broken,
            },
            schema_overrides={"failure_mode": pl.String},
        )

    def _damage(self, surroundings: list[str], rng: np.random.Generator) -> None:
        """wear: (n, steps + 1) on the reading grid; slope: (n,) of the crack's a^-1/2; life: (n,) hours to the first 1."""
        n, steps = len(self.kinds), _steps(self.plan)
        harsh = np.array([_WEAR_FACTOR[e] for e in surroundings])
        rate = self.load**2 * harsh / np.array([k.wear_life for k in self.kinds]) * rng.lognormal(0, 0.2, n)
        grown = rng.gamma((rate * self.plan.interval * _SHAPE)[:, None], 1 / _SHAPE, (n, steps))
        self.wear = np.concatenate([np.zeros((n, 1)), np.cumsum(grown, axis=1)], axis=1)
        last = np.argmax(self.wear >= 1, axis=1)
        before = self.wear[np.arange(n), last - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (1 - before) / (self.wear[np.arange(n), last] - before)
        worn = np.where(last > 0, (last - 1 + part) * self.plan.interval, np.inf)
        harsh = np.array([_CRACK_FACTOR[e] for e in surroundings])
        cycles = np.array([k.crack_life for k in self.kinds])
        self.slope = (_INITIAL**-0.5 - 1) * self.load**3 * harsh / cycles * rng.lognormal(0, 0.35, n)
        cracked = (_INITIAL**-0.5 - 1) / self.slope
        self.by_wear = worn <= cracked
        self.life = np.minimum(worn, cracked)

    def _inspect(self, rng: np.random.Generator) -> None:
        """visits: (row, t, damage, action) in time order; retired: (n,) hours, infinite where no inspector stepped in."""
        import simpy

        plan, n = self.plan, len(self.kinds)
        most = int(plan.horizon / (0.9 * plan.inspection)) + 1
        gaps, errors = plan.inspection * rng.uniform(0.9, 1.1, (n, most)), rng.normal(0, 0.03, (n, most))
        self.retired = np.full(n, np.inf)
        self.visits: list[tuple[int, float, float, str]] = []
        env = simpy.Environment()

        def inspector(row: int) -> Process[Any, Any, None]:
            for gap, error in zip(gaps[row].tolist(), errors[row].tolist(), strict=True):
                yield env.timeout(gap)
                if env.now >= min(self.life[row], plan.horizon):
                    return
                wear, crack = self._at(np.array([row]), np.array([env.now]))
                seen = max(0.0, max(wear[0], crack[0]) + error)
                done = seen >= plan.retire
                self.visits.append((row, env.now, float(seen), "retire" if done else "none"))
                if done:
                    self.retired[row] = env.now
                    return

        for row in range(n):
            env.process(inspector(row))
        env.run()

    def _at(self, row: NDArray[np.int64], t: Floats) -> tuple[Floats, Floats]:
        """wear, linear between the grid's points, and crack, of machines `row` at hours t."""
        place = t / self.plan.interval
        low = np.minimum(place.astype(np.int64), self.wear.shape[1] - 2)
        start = self.wear[row, low]
        wear = start + (place - low) * (self.wear[row, low + 1] - start)
        crack = (_INITIAL**-0.5 - self.slope[row] * t) ** -2.0
        return wear, crack

    def observed(self, kept: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        """The kept machines with their readings and inspections."""
        rows = kept["_row"].to_numpy()
        counts = np.ceil(self.life[rows] / self.plan.interval).astype(np.int64) + 1
        ends = np.cumsum(counts)
        row = np.repeat(rows, counts)
        t = (np.arange(len(row)) - np.repeat(ends - counts, counts)) * self.plan.interval
        t[ends - 1] = self.life[rows]
        wear, crack = self._at(row, t)
        worn, cracked = self.broken[rows] & self.by_wear[rows], self.broken[rows] & ~self.by_wear[rows]
        wear[ends[worn] - 1] = 1.0
        crack[ends[cracked] - 1] = 1.0
        sensors = self._sensed(row, t, wear, crack, rng)
        flat = pl.DataFrame({"_row": row, "t": t, **sensors, "wear": wear, "crack": crack})
        readings = flat.group_by("_row", maintain_order=True).agg(pl.struct(_READINGS).alias("readings"))
        seen = pl.DataFrame(
            self.visits,
            schema={"_row": pl.Int64, "t": pl.Float64, "damage": pl.Float64, "action": pl.String},
            orient="row",
        )
        visits = seen.group_by("_row", maintain_order=True).agg(pl.struct("t", "damage", "action").alias("inspections"))
        return (
            kept.join(readings, on="_row", how="left", maintain_order="left")
            .join(visits, on="_row", how="left", maintain_order="left")
            .with_columns(pl.col("inspections").fill_null([]))
        )

    def _sensed(
        self, row: NDArray[np.int64], t: Floats, wear: Floats, crack: Floats, rng: np.random.Generator
    ) -> dict[str, Floats]:
        """Three sensors, each with its own drift per machine and noise, to three decimals."""
        sound = np.array([[k.temperature, k.vibration, k.pressure] for k in self.kinds])[row].T
        load = self.load[row]
        rise = sound[0] * load**2 * (1 + 0.6 * wear)
        shake = sound[1] * load * (1 + 0.5 * wear + 3 * (crack - _INITIAL))
        push = sound[2] * load * (1 - 0.35 * wear**2)
        drift = rng.normal(0, self.plan.noise / 2, (3, len(self.kinds)))[:, row] * t / 1000
        rise, shake, push = np.array([rise, shake, push]) * (1 + drift + rng.normal(0, self.plan.noise, (3, len(row))))
        return {
            "temperature": np.round(self.ambient[row] + rise, 3),
            "vibration": np.round(shake, 3),
            "pressure": np.round(push, 3),
        }
