"""The fixed list of analogies the directions lesson is scored on: a is to b as c is to d, so b - a + c should be d."""

from __future__ import annotations

ANALOGIES: tuple[tuple[str, str, str, str], ...] = tuple(
    (a, b, c, d)
    for a, b, c, d in (
        line.split()
        for line in """
man king woman queen
uncle aunt father mother
brother sister son daughter
he she his her
boy girl husband wife
France Paris Germany Berlin
France Paris Italy Rome
France Paris Japan Tokyo
France Paris Spain Madrid
France Paris England London
France Paris Russia Moscow
France Paris Egypt Cairo
France Paris Greece Athens
France French Germany German
Japan Japanese China Chinese
big bigger small smaller
tall taller short shorter
strong stronger weak weaker
good better bad worse
walk walked jump jumped
go went eat ate
take took give gave
run ran swim swam
cat cats dog dogs
car cars house houses
child children man men
hot cold big small
happy unhappy fair unfair
quick quickly slow slowly
""".strip().splitlines()
    )
)
