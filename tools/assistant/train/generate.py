# SPDX-License-Identifier: Apache-2.0
"""Spoken commands for a home and the JSON that they mean.

    generate.py [--split train|templates|words|combinations|other] [--count N] [--seed S]    prints COMMAND <tab> JSON

train         no held-out template, word or combination of slots; half of the slots are words made up on the spot
templates     held-out templates and phrases of politeness
strangers     templates by somebody who had not seen the others
words         held-out rooms, devices, doors, colours, music, items, …
combinations  combinations of intent and slots (one in eight, by hash) that training never sees
other         held-out sentences that are no command
A sentence of several commands may be in any split; in the held-out ones each part is of that split."""
import argparse
import functools
import hashlib
import json
import random
import re

import other
import templates_strangers
import words
from spoken import day, degrees, duration, percent, time
from templates import AFTER, BEFORE, HELD_OUT_AFTER, HELD_OUT_BEFORE, INTENTS, JOIN

SPLITS = ("templates", "words", "combinations", "other")
STRANGERS = "strangers"
KEYS = ("intent", "device", "room", "color", "music", "item", "list", "scene", "name", "task", "direction", "value",
        "unit", "time", "day", "delay")
UNKNOWN = {"intent": "unknown", "reply": "sorry, i cannot help with that"}


class Speech:
    """One sentence in the making: its words, of which a slip may change the carriers only."""

    def __init__(self, rng, split):
        self.random, self.split = rng, split

    def choose(self, items):
        return self.random.choice(items)

    def word(self, kind):
        if self.split == "words" and self.random.random() < 0.8:
            return self.choose(words.HELD_OUT[kind])
        if self.split == "train" and self.random.random() < 0.45:
            return self.invent(kind)
        return self.choose(words.KNOWN[kind])

    def invent(self, kind):
        new = words.made_up(self.random)
        if kind == "room":
            return new + " room" if self.random.random() < 0.25 else new
        if kind == "door":
            return self.choose((new, new, words.made_up(self.random) + " " + new, new + " cellar")) + " door"
        if kind == "lamp" and self.random.random() < 0.2:
            return self.choose(("ceiling ", "desk ", "floor ")) + new
        if kind == "task":
            return self.choose(("call", "buy", "visit", "feed the", "pick up", "send the", "check the", "book a", "wash the",
                                "pay the", "fix the", "clean the", "pay", "water the", "bring the")) + " " + new
        if kind == "color" and self.random.random() < 0.3:
            return self.choose(("light ", "dark ")) + new
        if self.random.random() < {"music": 0.35, "item": 0.35, "scene": 0.1, "timer": 0.1}.get(kind, 0):
            return new + " " + words.made_up(self.random)
        if kind in ("music", "item", "cover", "switch") and self.random.random() < 0.15:
            known = self.choose(words.KNOWN[kind]).split()
            known[self.random.randrange(len(known))] = new
            return " ".join(known)
        return new


# ---- slots: each returns the words and what they add to the meaning

def thing(kind):
    def slot(s):
        name, room = s.word(kind), s.word("room")
        said, with_room = s.choose((("the {d}", 0),) * 6 + (("the {r} {d}", 1),) * 6 + (("the {d} in the {r}", 1),) * 5 +
                                   (("my {d}", 0), ("{d}", 0), ("{r} {d}", 1), ("the {d} in my {r}", 1), ("all {d} in the {r}", 1)))
        return said.format(d=name, r=room), {"device": name, **({"room": room} if with_room else {})}
    return slot


def plain(kind, key):
    def slot(s):
        name = s.word(kind)
        return name, {key: name}
    return slot


def door(s):
    name = s.word("door")
    return s.choose(("the ", "the ", "the ", "my ", "")) + name, {"device": name}


def in_room(s):
    if s.random.random() < 0.55:
        return "", {}
    room = s.word("room")
    return s.choose((" in the ", " in the ", " in my ")) + room, {"room": room}


def when(s):
    roll = s.random.random()
    if roll < 0.6:
        return "", {}
    if roll < 0.72:
        said, (n, unit) = duration(s)
        return " in " + said, {"delay": f"{n} {unit}"}
    said, meaning = time(s)
    if roll < 0.9:
        return " at " + said, {"time": meaning}
    named, name = day(s)
    return s.choose((f" at {said} {named}", f" {named} at {said}")), {"time": meaning, "day": name}


def when_first(s):
    if s.random.random() < 0.3:
        said, (n, unit) = duration(s)
        return "in " + said, {"delay": f"{n} {unit}"}
    said, meaning = time(s)
    return "at " + said, {"time": meaning}


def discarded(s):
    said, _ = command(s, s.split if s.split in SPLITS[1:] else "train", s.choose(DISCARDABLE))
    return said, {}


def with_unit(f, unit):
    def slot(s):
        said, n = f(s)
        return said, {"value": n, "unit": unit}
    return slot


def duration_slot(s):
    said, (n, unit) = duration(s)
    return said, {"value": n, "unit": unit}


def keyed(f, key):
    def slot(s):
        said, meaning = f(s)
        return said, {key: meaning}
    return slot


SLOTS = {
    "switch": thing("switch"), "level": thing("level"), "lamp": thing("lamp"), "cover": thing("cover"), "door": door,
    "room": plain("room", "room"), "color": plain("color", "color"), "music": plain("music", "music"), "item": plain("item", "item"),
    "list": plain("list", "list"), "scene": plain("scene", "scene"), "timer": plain("timer", "name"), "task": plain("task", "task"),
    "percent": with_unit(percent, "percent"), "degrees": with_unit(degrees, "degrees"), "duration": duration_slot,
    "time": keyed(time, "time"), "day": keyed(day, "day"), "in_room": in_room, "when": when, "when_first": when_first,
    "discarded": discarded,
}
DISCARDABLE = ("turn_on", "turn_off", "set_level", "open", "close", "set_timer", "set_temperature", "play", "lock", "add_to_list")
NO_VERB = set("""i i'd i'm it's it is the a what what's how when which do did have we let's no too not are next louder quieter
another one never oh actually volume sound time timer alarm new {switch} {level} {lamp} {cover} {door} {room} {percent} {degrees}
{music} {item} {list} {timer} {duration} {scene} {when_first} {day} {time} {discarded} in at on can there see who""".split())


@functools.cache
def parsed():
    """(intent, split) -> templates; an intent may carry slots of its own: "change_level direction=up"."""
    table = {(name, STRANGERS): lines for name, lines in templates_strangers.TEMPLATES.items()}
    for name, text in INTENTS.items():
        for line in text.strip().split("\n"):
            split = "templates" if line.startswith("* ") else "train"
            table.setdefault((name, split), []).append(line.removeprefix("* "))
    return table


def unfold(s, template):
    while "[" in template:
        template = re.sub(r"\[([^\[\]]*)\]", lambda m: s.choose(m.group(1).split("|")), template)
    return template


def command(s, split, name):
    """One command: (text with marked slot words, meaning)."""
    template = s.choose(parsed()[name, split if split in ("templates", STRANGERS) else "train"])
    meaning = dict(pair.split("=") for pair in name.split()[1:]) | {"intent": name.split()[0]}

    def fill(match):
        kind = match.group(1)
        said, adds = SLOTS[kind](s)
        meaning.update(adds)
        return said if kind == "discarded" else protect(said)
    text = re.sub(r"{(\w+)}", fill, unfold(s, template))
    if template.split()[0].split("|")[0].lstrip("[") not in NO_VERB:
        meaning["verb"] = True
    return text, meaning


NAMES = list(INTENTS)


def protect(said):
    """Slot words are marked, so that no slip touches them."""
    return re.sub(r"[^ ]+", r"\\\g<0>", said)


# ---- what speech recognition does to carriers

DROPPABLE = {"the", "a", "of", "my", "please", "is", "me", "in"}
HEARD_AS = {"to": "too", "off": "of", "turn": "tern", "please": "pleas", "what's": "whats", "it's": "its", "i'd": "id",
            "don't": "dont", "i'm": "im", "let's": "lets", "volume": "volumes", "set": "sat", "could": "good", "the": "da",
            "open": "opened", "start": "started", "lights": "light's", "play": "played", "list": "lists", "can": "kan"}
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def misspell(s, word):
    i, roll = s.random.randrange(1, len(word) - 1), s.random.random()
    if roll < 0.3:
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    if roll < 0.55:
        return word[:i] + word[i + 1:]
    if roll < 0.75:
        return word[:i] + word[i] + word[i:]
    return word[:i] + s.choose(ALPHABET) + word[i + 1:]


def slip(s, text):
    out = text.split()
    places = [i for i, w in enumerate(out) if w[0] != "\\"]
    if len(out) < 3 or not places:
        return text
    i, roll = s.choose(places), s.random.random()
    if roll < 0.35 and out[i] in DROPPABLE:
        del out[i]
    elif roll < 0.55 and out[i] in HEARD_AS:
        out[i] = HEARD_AS[out[i]]
    elif roll < 0.65:
        out.insert(i, out[i])
    elif roll < 0.75:
        out.insert(i, s.choose(("um", "uh", "er", "like")))
    elif len(out[i]) > 4:
        out[i] = misspell(s, out[i])
    return " ".join(out)


# ---- sentences

def decorate(s, text, verb, split):
    held = split == "templates"
    before, after = words.split(HELD_OUT_BEFORE if held else BEFORE), words.split(HELD_OUT_AFTER if held else AFTER)
    if s.random.random() < 0.35:
        phrase = s.choose(before)
        if verb or phrase.split()[-1] not in ("you", "to", "and", "favour", "maybe", "kindly", "just", "ahead"):
            text = phrase + " " + text
    if s.random.random() < 0.25:
        text = text + " " + s.choose(after)
    return text


def ordered(meaning):
    return {key: meaning[key] for key in KEYS if key in meaning}


def in_test(meaning):
    """One combination of slots in eight belongs to the test; an intent without slots has no combination."""
    if len(meaning) < 3:
        return False
    return hashlib.sha256(json.dumps(meaning).encode()).digest()[0] % 8 == 0


def part(s, split, names=None):
    """One command that its split allows."""
    while True:
        text, meaning = command(s, split, s.choose(names or NAMES))
        verb, meaning = meaning.pop("verb", False), ordered(meaning)
        held = in_test(meaning)
        if split == "combinations" and not held or split == "train" and held:
            continue
        if split == "words" and not any(word in words.HELD_OUT_WORDS for word in re.findall(r"\\(\S+)", text)):
            continue
        return text, meaning, verb


COORDINATED = {"turn_on": ("turn on ", "switch on ", "start "), "turn_off": ("turn off ", "switch off "),
               "open": ("open ",), "close": ("close ", "shut "), "lock": ("lock ",), "unlock": ("unlock ",)}
OBJECT = {"turn_on": "switch", "turn_off": "switch", "open": "cover", "close": "cover", "lock": "door", "unlock": "door"}


def coordinated(s):
    """turn on the lamp and the fan"""
    name = s.choose(list(COORDINATED))
    (first, a), (second, b) = (SLOTS[OBJECT[name]](s) for _ in range(2))
    text = s.choose(COORDINATED[name]) + protect(first) + " and " + protect(second)
    return text, [ordered({"intent": name, **a}), ordered({"intent": name, **b})]


def several(s, split):
    if split == "train" and s.random.random() < 0.2:
        text, meanings = coordinated(s)
        if not any(in_test(m) for m in meanings):
            return text, {"intent": "several", "commands": meanings}, True
    n = 3 if s.random.random() < 0.2 else 2
    parts = [part(s, split, JOINABLE) for _ in range(n)]
    text = parts[0][0]
    for more, _, verb in parts[1:]:
        text += s.choose([j for j in JOINTS if verb or not j.endswith("can also")]) + " " + more
    return text, {"intent": "several", "commands": [meaning for _, meaning, _ in parts]}, parts[0][2]


JOINTS = [j if j.startswith(",") else " " + j for j in (w.strip() for w in JOIN.split("|"))]
JOINABLE = [n for n in NAMES if n not in ("cancel", "set_reminder")]


def clean(text):
    """As tools/assistant/assistant.c prepares what it reads."""
    text = re.sub(r"[^a-z0-9':%. ]", " ", text.lower())
    return " ".join(re.sub(r"(?<![0-9])\.|\.(?![0-9])", " ", text).split())


def no_command(s, held):
    table = other.WORDS | (other.HELD_OUT if held else {})
    lines = [line for line in other.TEMPLATES.strip().split("\n") if line.startswith("* ") == held]
    text = unfold(s, s.choose(lines).removeprefix("* "))

    def fill(match):
        if match.group(1) == "noise":
            return words.made_up(s.random)
        if not held and match.group(1) in ("thing", "person", "place", "food", "verb", "device", "room") and s.random.random() < 0.3:
            return words.made_up(s.random)
        return s.choose(table[match.group(1)])
    return re.sub(r"{(\w+)}", fill, text), dict(UNKNOWN), False


def sentence(rng, split):
    s = Speech(rng, split)
    if split == "other" or (split == "train" and rng.random() < 0.12):
        text, meaning, verb = no_command(s, split == "other")
        split = "train"
    elif rng.random() < 0.12:
        text, meaning, verb = several(s, split)
    else:
        text, meaning, verb = part(s, split)
    text = decorate(s, text, verb, split)
    if rng.random() < 0.15:
        text = slip(s, text)
    return clean(text.replace("\\", "")), json.dumps(meaning, separators=(",", ":"))


def sentences(split, seed):
    rng = random.Random(f"{split} {seed}")
    while True:
        yield sentence(rng, split)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--split", choices=("train",) + SPLITS + (STRANGERS,), default="train")
    p.add_argument("--count", type=int, default=20)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    source = sentences(a.split, a.seed)
    for _ in range(a.count):
        print("\t".join(next(source)))


if __name__ == "__main__":
    main()
