"""Everything that decides how this runs, held against known rules of hardening.

Its face is `checkout`, which checks a whole checkout. The rest is its own: the checkers that run as
they are (`checkers`), and the rules for Quadlet units (`unitaudit`), which compute without I/O.
"""
