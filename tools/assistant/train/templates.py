# SPDX-License-Identifier: Apache-2.0
"""What people say for each intent. One template a line: [a|b] is a choice, {slot} is filled by generate.py.
Lines that begin with * are held out: they make test commands and never training commands."""

import templates_house
import templates_media
import templates_rooms
import templates_times

INTENTS = {**templates_rooms.INTENTS, **templates_times.INTENTS, **templates_media.INTENTS, **templates_house.INTENTS}

# in front of and behind a command
BEFORE = """please|could you|can you|would you|could you please|can you please|would you please|hey|okay|ok|hi|hey assistant|
i want you to|i'd like you to|i need you to|quickly|now|um|uh|well|so|er|um so|uh please|hello|go ahead and|just|
be nice and|please just|oh|listen|alright|hm|okay so|could you just|will you|let's see|excuse me|house|assistant|
be a dear and|be good and|try and|come on and|kindly|perhaps you could|maybe you can|could you kindly|do me the kindness and|
hey you|hi there|dear house|um can you|would you be good and|may i ask you to|could i ask you to|do me a kindness and|please could you|
whenever you can|when you have a moment|now then|right|be an angel and|as a favour|be so good and|yes|sorry|oh please|
listen house|house please|so um|ah|right then|i was wondering could you|if you would|do me one favour|a favour please|there you are|hey now|hey so|would you mind and|could you possibly|
would you quickly|be kind and|be so nice and|hey robot"""
AFTER = """please|thanks|thank you|now|right now|for me|will you|would you|if you can|okay|right away|please now|um|
thank you very much|quickly|when you can|at once|if possible|you know|as soon as possible|for me please|if you like|if you please|
that would be great|that's all|my dear|many thanks|thanks so much|be quick|that would be lovely|if it's fine|would you|if it's no trouble|if you don't object|if it's all right|if that works|
if that's fine|if you could|if you would|if it isn't too much|if you have a moment|if you are able to|thanks a million|thanks a bunch|
thank you kindly|thanks for that|cheers|my darling|old friend|buddy|my good house|dear|would be great|would be lovely|would be fine|
is that possible|could you please|can you please|will you please|and thank you|and be quick|and that's it|that's it|as always|again|
just for now|like always|if nobody minds|if you won't mind|would you mind|if it doesn't bother you|and don't wait|don't be slow|
if that's no bother|thanks a whole lot|thanks a ton|ta very much|my friends|good friend|it would be nice|that's nice of you|if that's good with you"""
HELD_OUT_BEFORE = "do me a favour and|be so kind and|hey there|could you maybe|would you kindly|um could you|hey house please"
HELD_OUT_AFTER = "if you don't mind|thanks a lot|if that's okay|would you please|my friend|would be nice"
JOIN = "and|and then|then|and also|and after that|and please|plus|also|and um|, |and you can also"
