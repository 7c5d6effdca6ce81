# SPDX-License-Identifier: Apache-2.0
"""What people say for each intent. One template a line: [a|b] is a choice, {slot} is filled by generate.py.
Lines that begin with * are held out: they make test commands and never training commands."""

import templates_media
import templates_rooms

INTENTS = {**templates_rooms.INTENTS, **templates_media.INTENTS}

# in front of and behind a command
BEFORE = """please|could you|can you|would you|could you please|can you please|would you please|hey|okay|ok|hi|hey assistant|
i want you to|i'd like you to|i need you to|quickly|now|um|uh|well|so|er|um so|uh please|hello|go ahead and|just|
be nice and|please just|oh|listen|alright|hm|okay so|could you just|will you|let's see|excuse me|house|assistant|
be a dear and|be good and|try and|come on and|kindly|perhaps you could|maybe you can|could you kindly|do me the kindness and|
hey you|hi there|dear house|um can you|would you be good and|may i ask you to"""
AFTER = """please|thanks|thank you|now|right now|for me|will you|would you|if you can|okay|right away|please now|um|
thank you very much|quickly|when you can|at once|if possible|you know|as soon as possible|for me please|if you like|if you please|
that would be great|that's all|my dear|many thanks|thanks so much|be quick|that would be lovely|if it's fine|would you"""
HELD_OUT_BEFORE = "do me a favour and|be so kind and|hey there|could you maybe|would you kindly|um could you|hey house please"
HELD_OUT_AFTER = "if you don't mind|thanks a lot|if that's okay|would you please|my friend|would be nice"
JOIN = "and|and then|then|and also|and after that|and please|plus|also|and um|, |and you can also"
