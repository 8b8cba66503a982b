"""A car brakes for a child that steps out. Your own simulator is a function of parameters and a seed."""

import random

FRICTION = {"dry": 0.8, "wet": 0.5, "ice": 0.12}


def brake(parameters: dict, seed: int) -> dict:
    """One scene: where the car stops and whether it stops in time. Speed in km/h, distances in metres."""
    rng = random.Random(seed)
    speed = parameters["speed"] / 3.6
    reaction = rng.lognormvariate(0.0, 0.25) * parameters["attention"]
    friction = FRICTION[parameters["surface"]] * rng.uniform(0.9, 1.1)
    stop = speed * reaction + speed**2 / (2 * 9.81 * friction)
    return {
        "speed": round(parameters["speed"], 1),
        "distance": round(parameters["distance"], 2),
        "reaction": round(reaction, 3),
        "stopping_distance": round(stop, 2),
        "hit": round(stop, 2) > round(parameters["distance"], 2),
    }
