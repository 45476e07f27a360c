"""Write src_c/arithmetic/ddtables.inc: the double-double constants of ddmath.inc, from mpmath at 60 digits.

Run it after changing a table's size here and in ddmath.inc: `python tools/make_ddtables.py > src_c/arithmetic/ddtables.inc`.
"""

from __future__ import annotations

from mpmath import mp, mpf

mp.dps = 60
EXP_STEPS = 128  # 2^(i/EXP_STEPS)
LOG_STEPS = 128  # 1 + i/LOG_STEPS, from 0.75 to 1.5
TURN_STEPS = 256  # sin and cos of pi i/TURN_STEPS, i up to a half


def split(x: mpf) -> str:
    hi = float(x)
    lo = float(x - mpf(hi))
    return f"{{{hi.hex()}, {lo.hex()}}}"


def array(name: str, rows: list[str], kind: str = "dd") -> None:
    print(f"static const {kind} {name}[{len(rows)}] = {{")
    for row in rows:
        print(f"    {row},")
    print("};")


def main() -> None:
    print("/* Written by tools/make_ddtables.py; do not edit. */")
    print(f"static const dd ln2 = {split(mp.log(2))};")
    print(f"static const dd exp_step = {split(mp.log(2) / EXP_STEPS)};")
    print(f"static const dd one_third = {split(mpf(1) / 3)};")
    print(f"static const dd pi = {split(mp.pi)};")
    array("exp_table", [split(mpf(2) ** (mpf(i) / EXP_STEPS)) for i in range(EXP_STEPS)])
    centres = [1 + mpf(i) / LOG_STEPS for i in range(-LOG_STEPS // 4, LOG_STEPS // 2 + 1)]
    # Reciprocals with few bits, so that the rounding error of their product with a double-double is negligible.
    inverses = [mpf(round(1 / c * 4096)) / 4096 for c in centres]
    array("log_inverse", [float(v).hex() for v in inverses], "double")
    array("log_table", [split(-mp.log(v)) for v in inverses])
    turns = range(TURN_STEPS // 2 + 1)
    array("sin_table", [split(mp.sin(mp.pi * i / TURN_STEPS)) for i in turns])
    array("cos_table", [split(mp.cos(mp.pi * i / TURN_STEPS) if 2 * i != TURN_STEPS else mpf(0)) for i in turns])


if __name__ == "__main__":
    main()
