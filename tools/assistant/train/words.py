# SPDX-License-Identifier: Apache-2.0
"""Words that fill the slots of the templates. What stands in HELD_OUT is never in a training command."""

ROOMS = """kitchen|bedroom|living room|bathroom|hallway|office|garage|dining room|guest room|basement|attic|laundry room|
nursery|study|kids room|porch|garden|balcony|terrace|cellar|entrance|playroom|corridor|den|master bedroom|back yard"""

# what is switched on and off, and what can also be dimmed or set to a level
SWITCHES = """tv|television|radio|speaker|kettle|coffee machine|humidifier|air purifier|dishwasher|washing machine|oven|
plug|christmas tree|printer|projector|toaster|heater|fan|lamp|light|lights|ceiling light|desk lamp|floor lamp|
reading lamp|night light"""
LEVELS = """lamp|light|lights|ceiling light|desk lamp|floor lamp|reading lamp|night light|fan|ceiling fan|blinds|
humidifier|heater|lamps"""
LAMPS = "lamp|light|lights|ceiling light|desk lamp|floor lamp|reading lamp|night light|lamps"
COVERS = "blinds|curtains|shutters|shades|window|garage door|gate|skylight|awning|curtain|blind|windows|roof window"
DOORS = "front door|back door|garage door|patio door|side door|gate|cellar door|main door|door|kitchen door"

COLORS = "red|blue|green|yellow|purple|orange|pink|white|warm white|cold white|violet|cyan|gold|light blue|dark red"
MUSIC = """jazz|rock|classical music|pop music|beatles songs|mozart|bach|queen|reggae|hip hop|techno|folk music|evening news|
piano music|my playlist|blues|abba|madonna|christmas songs|country music|lullabies|soul|opera|radio four|pink floyd"""
ITEMS = """milk|bread|eggs|butter|apples|bananas|cheese|coffee|tea|sugar|flour|rice|pasta|tomatoes|onions|chicken|
toilet paper|dish soap|orange juice|batteries|olive oil|salt|cat food|potatoes|yogurt|light bulbs|tooth paste|carrots"""
LISTS = "shopping|grocery|to do|packing|wish|party|hardware"
SCENES = """movie|good night|dinner|party|reading|relax|away|holiday|morning|cinema|work|romantic|sleep|welcome home|
cleaning"""
TIMERS = "pasta|egg|pizza|laundry|tea|workout|rice|nap|cake|study|bread|chicken|break"
TASKS = """call mum|call the dentist|feed the cat|take out the trash|water the plants|pay the rent|buy milk|
walk the dog|pick up the kids|send the report|take my pills|book a table|clean the car|wash the dishes|check the mail|
renew my passport|do the laundry|fix the bike|visit grandma|buy a present"""

HELD_OUT = {
    "room": """conservatory|pantry|workshop|library|sewing room|lounge|utility room|veranda|sunroom|loft|gym|
music room|greenhouse|foyer|parlor""",
    "switch": "chandelier|lantern|dehumidifier|spotlights|dryer|fountain|sauna|aquarium|microwave|monitor|stereo|blender",
    "level": "chandelier|lantern|dehumidifier|spotlights|radiator|stove|sconces|ventilator",
    "lamp": "chandelier|lantern|spotlights|sconces|candles|lava lamp",
    "cover": "drapes|hatch|louvres|roof hatch|screens|trapdoor",
    "door": "basement door|shed door|balcony door|office door|attic door|wine cellar door",
    "color": "turquoise|crimson|lavender|teal|amber|magenta|light green|dark blue",
    "music": "metal|chopin|swing music|elton john|disco|salsa|nirvana|gospel|beethoven|dance music",
    "item": "mushrooms|honey|spinach|noodles|soap|garlic|sponges|lemons|dog food|cereal|almond milk",
    "list": "camping|gift|garden|pharmacy|school",
    "scene": "sunset|yoga|gaming|breakfast|concert|siesta",
    "timer": "soup|steak|meditation|homework|roast|dough",
    "task": """call dad|feed the fish|buy stamps|wash the car|send the invoice|visit the bank|pick up the parcel|
book a flight|check the oven|pay the bills""",
}
KNOWN = {
    "room": ROOMS, "switch": SWITCHES, "level": LEVELS, "lamp": LAMPS, "cover": COVERS, "door": DOORS, "color": COLORS,
    "music": MUSIC, "item": ITEMS, "list": LISTS, "scene": SCENES, "timer": TIMERS, "task": TASKS,
}


def split(text):
    return [word.strip() for word in text.replace("\n", "").split("|")]


KNOWN = {kind: split(text) for kind, text in KNOWN.items()}
HELD_OUT = {kind: split(text) for kind, text in HELD_OUT.items()}
HELD_OUT_WORDS = {word for phrases in HELD_OUT.values() for phrase in phrases for word in phrase.split()} - {
    word for phrases in KNOWN.values() for phrase in phrases for word in phrase.split()}

ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()
TENS = "_ ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(n):
    if n < 20:
        return ONES[n]
    if n == 100:
        return "a hundred"
    return TENS[n // 10] + (" " + ONES[n % 10] if n % 10 else "")


# any word may be the name of something: these and made-up ones fill half of the slots of training commands
NOUNS = """river cloud pencil bottle carpet market bridge castle candle dragon engine farmer forest guitar hammer island jacket
kitten ladder lemonade magnet mirror needle ocean orchid palace parrot pepper pillow planet pocket prince pumpkin puzzle
rabbit ribbon rocket saddle sailor school shadow silver spider spring square statue summer sunrise tablet temple ticket
tiger tower tunnel turtle valley velvet village violin voyage walnut whale willow window winter wizard zebra anchor apron
arrow badge ball banana barrel basket beacon bell bench berry bird blanket boat bone book boot bowl branch brick brush
bucket butterfly button cabin cabinet cable camera canvas card cart cat chain chalk chapel cherry chest circle clock
closet coat coin comb compass copper corner cotton couch counter cow crab cradle crown cube cupboard cushion deck deer
desert diamond dish dog doll drawer dream drum duck eagle easel elbow ember emerald falcon feather fence ferry field
finger fire flag flame flower flute fog fork fox frame frog fruit furnace galaxy gallery glass globe glove goat goose
grape grass harbor hat hawk hill hive hook horn horse hotel ice igloo ink iron ivory jar jewel jungle kite knife knot
lace lake leaf leather lens letter lily lion lizard log loom maple marble mask meadow melon metal mill mint moss
mountain mouse nest nickel night nut oak oat olive onyx orange otter owl paddle paint panda panel paper park path peach
pearl pebble pen piano pigeon pine pipe plate plum pond pony poplar portal post pot pump quill rack raft rain rake
ranch raven reef ring road robin roof room rope rose ruby rug sand saw scarf seal seat seed shed sheep shell shelf ship
shirt shoe shower sink ski sky sled snail snow sock sofa spoon staff stage stair stamp star steam stone storm straw
stream string sugar suit sun swan table tail tape tea tent thread throne tide tin toad tooth torch toy track trail tray
tree trophy trunk tub tulip umbrella urn van vase vault vine vest wagon wall wand watch water wave wax web well wheel
whistle wind wing wolf wood wool worm yard yarn""".split()

ONSETS = "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr qu sh sk sl sm sn sp st str sw th tr tw wh y".split()
VOWELS = "a e i o u a e i o u ai ea ee ie oa oo ou y".split()
CODAS = "_ _ _ _ b ck d ff g l ll m n nd ng nt p r rd rk rm rn s sh ss st t th tch x ve ze ce le".split()
NOUNS = [noun for noun in NOUNS if noun not in HELD_OUT_WORDS]
# what compounds are made of, and what a word may begin with: carriers too, which have tokens of their own behind a space
PARTS = [noun for noun in NOUNS if len(noun) < 6] + 4 * """house work shop light home room music green door list time out side
back over under day night sun air head hand high play sound wash""".split()
STARTS = """a i the in is it to on at by so we do be my me no all home house music set time turn up down off open get put can how
what de re un mini auto bio some for from""".split()
SYLLABLES = [onset + vowel for onset in "b c d f g h l m n p qu r s t v".split() for vowel in "a e i o u".split()]
ENDINGS = "_ _ _ _ er or y ory ium ary ine et ic ow ing ier ade ion us age ator ifier ette ome s es ers".split()


def made_up(random):
    """A word that nobody expects there, so that slots are copied rather than recognised."""
    if random.random() < 0.4:
        return random.choice(NOUNS)
    roll = random.random()
    if roll < 0.25:
        word = random.choice(PARTS) + random.choice(PARTS)
    elif roll < 0.33:
        word = random.choice(STARTS) + random.choice(SYLLABLES) + random.choice(ENDINGS).strip("_")
    else:
        syllables = random.choice((1, 1, 1, 2, 2, 3))
        word = "".join(random.choice(ONSETS) + random.choice(VOWELS) + random.choice(CODAS).strip("_")
                       for _ in range(syllables)) + random.choice(ENDINGS).strip("_")
    return made_up(random) if word in HELD_OUT_WORDS or len(word) < 3 else word
