# SPDX-License-Identifier: Apache-2.0
"""Numbers, times and days: what is said, and what it means. Each takes a generate.Speech."""
import words

DAYS = "today|tomorrow|monday|tuesday|wednesday|thursday|friday|saturday|sunday".split("|")


def said_number(s, n):
    return str(n) if s.random.random() < 0.4 else words.number_words(n)


def percent(s):
    if s.random.random() < 0.05:
        return s.choose((("half", 50), ("fifty fifty", 50), ("the maximum", 100), ("full", 100), ("the minimum", 1)))
    n = s.choose((s.random.randrange(1, 101), 5 * s.random.randrange(1, 21), 10 * s.random.randrange(1, 11)))
    said = said_number(s, n)
    return said + ("%" if said[0].isdigit() and s.random.random() < 0.5 else s.choose((" percent", " percent", " per cent"))), n


def degrees(s):
    n = s.random.randrange(5, 31)
    half = s.random.random() < 0.15
    said = str(n) + ".5" if half and s.random.random() < 0.4 else said_number(s, n) + (s.choose((" and a half", " point five")) if half else "")
    return said + s.choose((" degrees", " degrees", " degrees celsius")), n + 0.5 if half else n


def duration(s):
    unit = s.choose(("seconds", "minutes", "minutes", "minutes", "hours"))
    roll = s.random.random()
    if roll < 0.04:
        return s.choose((("half an hour", (30, "minutes")), ("an hour and a half", (90, "minutes")),
                         ("a quarter of an hour", (15, "minutes")), ("one and a half hours", (90, "minutes")),
                         ("two and a half hours", (150, "minutes")), ("a minute and a half", (90, "seconds"))))
    if roll < 0.1:
        return s.choose((("a minute", (1, "minutes")), ("an hour", (1, "hours")), ("one hour", (1, "hours")),
                         ("one minute", (1, "minutes")), ("1 hour", (1, "hours")), ("1 minute", (1, "minutes"))))
    n = s.random.randrange(2, 13) if unit == "hours" else s.choose((s.random.randrange(2, 60), 5 * s.random.randrange(1, 13), 90))
    return said_number(s, n) + " " + unit, (n, unit)


PERIODS = {"am": range(1, 13), "pm": range(1, 13), "in the morning": range(1, 12), "in the afternoon": (12, 1, 2, 3, 4, 5, 6),
           "in the evening": range(5, 12), "at night": range(8, 13), "tonight": range(6, 12)}


def clock(s):
    """(what is said, hour 1-12 or 0-23, minute, may a part of the day follow)"""
    hour, roll = s.random.randrange(1, 13), s.random.random()
    if roll < 0.05:
        return s.choose((("noon", 12, 0, False), ("midday", 12, 0, False), ("midnight", 0, 0, False)))
    if roll < 0.25:
        return said_number(s, hour) + s.choose(("", "", " o'clock")), hour, 0, True
    if roll < 0.37:
        return s.choose(("half past ", "half past ", "thirty minutes past ")) + said_number(s, hour), hour, 30, True
    if roll < 0.5:
        return s.choose(("quarter past ", "a quarter past ")) + said_number(s, hour), hour, 15, True
    if roll < 0.6:
        return s.choose(("quarter to ", "a quarter to ")) + said_number(s, hour), (hour - 2) % 12 + 1, 45, True
    minute = s.choose((5 * s.random.randrange(1, 12), s.random.randrange(1, 60)))
    if roll < 0.66 and minute <= 30:
        return said_number(s, minute) + s.choose((" past ", " minutes past ")) + said_number(s, hour), hour, minute, True
    if roll < 0.72 and minute < 30:
        return said_number(s, minute) + s.choose((" to ", " minutes to ")) + said_number(s, hour), (hour - 2) % 12 + 1, 60 - minute, True
    if roll < 0.78:
        hour = s.random.randrange(13, 24)
        return (f"{hour}:{minute:02}" if s.random.random() < 0.6 else spoken_pair(hour, minute)), hour, minute, False
    if roll < 0.9:
        return f"{hour}:{minute:02}", hour, minute, True
    return spoken_pair(hour, minute), hour, minute, True


def spoken_pair(hour, minute):
    return words.number_words(hour) + (" oh " if minute < 10 else " ") + words.number_words(minute)


def time(s):
    said, hour, minute, open_ = clock(s)
    period = s.choose([p for p, hours in PERIODS.items() if hour in hours]) if open_ and s.random.random() < 0.4 else ""
    if period in ("pm", "in the afternoon", "in the evening", "tonight") or (period == "at night" and hour != 12):
        hour = hour % 12 + 12
    elif period in ("am", "at night"):
        hour %= 12
    return said + (" " + period if period else ""), f"{hour:02}:{minute:02}"


def day(s):
    name = s.choose(DAYS)
    said = name if name in ("today", "tomorrow") else s.choose(("on ", "on ", "this ", "next ")) + name
    return said, name
