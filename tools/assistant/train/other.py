# SPDX-License-Identifier: Apache-2.0
"""What is no command for a home: questions, chat, other people's jobs, other languages, fragments, noise. The answer is
always `unknown`. Lines that begin with * are held out, and so are the words of HELD_OUT."""

TEMPLATES = """
who [wrote|invented|discovered|painted|built] {thing}
what is [the|a] {thing}
what does {thing} mean
how do you [spell|pronounce|say] {thing}
what's the capital of {place}
how [far|big|old] is {place}
how do i get to {place}
how many people live in {place}
tell me a [joke|story|secret|fairy tale]
tell me [something|more] about {thing}
tell me about {place}
[call|text|message|phone|email] {person}
send [a message|an email|a text|flowers] to {person}
[order|buy|get] me [a|some] {food}
order {food} from the restaurant
book [a flight|a hotel|a train|a taxi|a trip] to {place}
[call|get] me a taxi to {place}
what's the weather [like|] in {place}
will it [rain|snow] [today|tomorrow|in {place}]
do i need an umbrella
how are you [today|]
who are you
what's your name
are you [happy|real|human|clever|listening]
do you [love|like|know|hate] {person}
do you like {food}
i [love|like|hate|miss] {person}
i [love|like|hate|want] {food}
i am [tired|hungry|bored|sad|happy]
you are [great|funny|stupid|nice]
good [morning|evening|night|bye]
what is {number} [plus|minus|times|divided by] {number}
how much is {number} {money} in {money}
what's the price of {thing}
translate {thing} into {language}
say {thing} in {language}
how do you say {food} in {language}
who won the [game|match|election|race]
when is the next [bus|train|game|election]
show me [pictures|photos|a picture] of {thing}
[sing|dance] for me
[write|read] me a [poem|letter|book]
what should i [eat|wear|cook|watch] [today|tonight|]
how do i [cook|make|bake] {food}
give me a recipe for {food}
how many calories are in {food}
find [a restaurant|a doctor|a shop|a hotel] near me
where is [the nearest|a good] [restaurant|bank|hospital|shop]
where did i put my [keys|phone|wallet|glasses]
why is the sky blue
why do [cats|dogs|birds] {verb}
can [cats|dogs|birds] {verb}
can you {verb}
let's {verb}
my {thing} is broken
the {device} is [nice|ugly|new|expensive|made of wood]
i bought a [new|] {device}
how does a {device} work
what is a {device}
how much does a {device} cost
my {room} is [nice|ugly|big|small]
we are in the {room}
i like the {room}
who invented the {device}
where can i buy a {device}
turn on
turn off
turn the
turn [left|right|around]
set the
the {device}
the {room}
in the {room}
please
[okay|hello|thanks|thank you|yes|no|maybe|well|um]
open the
i want
to {number} percent
{number}
{color}
put the
remind me
add
play the lottery
[sketch|draft|review|analyse|interpret|name|print] {thing}
[print|frame|edit|hang up|take] a [photo|picture|painting] of {thing}
suggest a [film|book|song|poem|game] [about|on] {thing}
[wire|give|lend|pay] {number} {money} to {person}
have we [met|seen|called] {person}
who has [seen|met] {person}
the {device} is from {place}
the {device} was [bought|made|sold|broken|painted] by {person}
the {device} belongs to {person}
the {device} was [a gift|very cheap|very expensive|on sale]
{person} [gave|sold|showed] me a {device}
{person} has a {device} like [this|ours|mine]
{person} [hates|wants|needs|made|bought|bought me] {food}
{person} [is|was|lives|works] in {place}
{person} is [my friend|a teacher|funny|tired|nice|rich]
is the {device} [new|old|expensive|pretty|made of glass]
is {person} [nice|tall|a teacher|at home|coming]
is {food} [good|tasty|expensive|bad for you]
is {thing} [real|dangerous|beautiful|important]
is it [true|possible|legal|hard] to {verb}
is it far to {place}
are there {food} in {place}
[why|when|how] was {thing} [invented|built|found]
why is {place} so [big|famous|cold|hot]
why is {person} [angry|sad|late]
why does the {device} [smell|look so old|cost so much]
when was {person} born
when did {person} [leave|arrive|call]
how old is {person}
how heavy is {thing}
how many {device} [do people have|are there in the world]
how often should i {verb}
how many {food} can i eat
what time zone is {place} in
what language do they speak in {place}
what did {person} say
what happened [in {place}|to {person}|yesterday]
what rhymes with {thing}
what is the [best|biggest|oldest] [city|river|mountain] in {place}
which is better {food} or {food}
[count|multiply|divide|double|compute] {number} [and|by|with|] {number}
{number} {number} {number}
{number} [plus|minus|times] {number}
[guess|choose|pick] a number
[describe|explain|summarize|discuss] {thing}
[buy|sell] [a house|shares|bitcoin|a car] in {place}
[upload|share|like|download] [the video|my photos|the file|a song]
[pay|lend|owe] {person} {number} {money}
[visit|meet|see|know|kiss|help] {person}
i [saw|met|bought|lost|sold|found] {thing} [in {place}|yesterday|]
i [live|was born|work|was] in {place}
i would like to {verb} [in {place}|tomorrow|]
i think {person} is [nice|funny|wrong]
shall we {verb}
do people {verb} in {place}
{person} wants to {verb}
{verb} with {person}
{verb} or {verb}
my {device} [is old|was stolen|was made in {place}]
our {room} [has two windows|was painted|is on the first floor]
the {room} [was painted by {person}|is very big|has a red door]
{thing} and {thing}
{thing} is [great|boring|fascinating]
[photos|news|pictures] from {place}
the [news|score|traffic|lottery numbers] please
any news from {person}
the weather [tomorrow|in {place}|next week]
open a bank account
close my bank account
lock my [phone|car|bike]
set the table
set sail for {place}
play chess with me
play football with {person}
start the car
start a fight
stop talking
stop smoking
book me a table at the restaurant
{person} is in the {room}
{person} and {person} are here
{thing} {thing} {thing}
{place} {verb} {food}
{noise}
{noise} {noise}
{noise} {noise} {noise}
{noise} the {noise}
{noise} {verb} {noise} {thing}
{german}
{french}
{spanish}
{italian}
{foreign} {foreign} {foreign}
{foreign} {foreign} {foreign} {foreign} {foreign}
* what colour is {thing}
* who is the [president|king] of {place}
* is {place} [nice|far away|expensive]
* what do you think about {thing}
* recommend a [film|book|song] about {thing}
* [post|publish] a photo of {thing}
* transfer {number} {money} to {person}
* how tall is {person}
* where does {person} live
* have you [seen|met] {person}
* the {device} was a present from {person}
* why is my {device} so [big|ugly]
* i saw a {device} in {place}
* how often do people {verb}
* is it healthy to eat {food}
* solve {number} {number} {number}
* define {thing}
* what's new in {place}
* {person} likes {food}
* should i {verb} or {verb}
* {noise} {noise} and {noise}
* {german_held_out}
* {french_held_out}
* {spanish_held_out}
* {italian_held_out}
"""

WORDS = {
    "thing": """the telephone|hamlet|gravity|the wheel|the mona lisa|democracy|a dinosaur|the moon|quantum physics|an elephant|
the bible|a volcano|penicillin|happiness|the universe|a computer|a black hole|the eiffel tower|electricity|love|money|
the ocean|a rainbow|photosynthesis|the news paper|a horse|philosophy|a sandwich|football|chess|war and peace|inflation|
a tree|the sun|a whale|the radio|chemistry|a bicycle|freedom|a castle|a camera|the piano|an earthquake|
mathematics|a train|a comet|beauty|the pencil|a crocodile|poetry|gold|a virus|the steam engine|a violin|tennis|history""",
    "place": """france|germany|paris|london|new york|the airport|china|brazil|the station|rome|japan|the moon|africa|spain|berlin|texas|india|
madrid|the mountains|greece|dublin|norway|mexico|the zoo|the castle|hawaii|poland|boston""",
    "person": """mum|dad|john|my boss|anna|grandma|peter|mary|the doctor|my wife|my husband|mike|the neighbour|sarah|my sister|susan|robert|aunt mary|
my cousin|the gardener|emma|paul|the postman|my uncle|laura|george""",
    "food": """pizza|a pizza|pancakes|sushi|a burger|lasagna|soup|chocolate|a cake|noodles|ice cream|a salad|curry|steak|a coffee|sausages|
an apple|popcorn|fried eggs|a cheesecake|ravioli|meatballs|cookies|fish and chips|a smoothie""",
    "money": "dollars|euros|pounds|yen",
    "language": "french|german|spanish|italian|latin|chinese",
    "number": "two|five|ten|twelve|seventeen|twenty|forty two|ninety|3|8|15|20|64|99|100|250",
    "verb": """swim|fly|dance|sing|jump|go shopping|run|sleep|talk|fight|climb|laugh|drive|paint|play football|learn french|eat|read|write|work|walk|
win|cry|dream|shout|study|play chess|go home|bake bread|speak latin|watch films|hike|row|drink coffee""",
    "device": """lamp|light|fan|heater|tv|radio|kettle|vacuum cleaner|thermostat|lock|timer|alarm clock|door|window|blind|speaker|printer|oven|
desk lamp|coffee machine|washing machine|projector|shutter|gate|plug""",
    "room": "kitchen|bedroom|living room|bathroom|garage|office|garden|attic|hallway",
    "color": "red|blue|green|yellow|pink",
    "german": """mach das licht an|wie geht es dir|guten morgen|ich habe hunger|schalte die lampe aus|wo ist der bahnhof|
was ist das|ich liebe dich|mach bitte das fenster zu|wie ist das wetter heute|stelle die heizung auf zwanzig grad""",
    "french": """allume la lumiere|bonjour comment ca va|je voudrais un cafe|il fait froid ici|ferme la porte|
je ne sais pas|merci beaucoup|eteins la lampe de la cuisine|quelle heure est il|ou est la gare""",
    "spanish": """enciende la luz|buenos dias|tengo hambre|apaga la television|donde esta la playa|hace mucho calor|
como te llamas|cierra la puerta por favor|que hora es|me gusta la musica""",
    "italian": """buongiorno come stai|apri la porta del garage|ho sonno|dove sei|che tempo fa oggi|accendi la radio|chiudi le finestre|
mi piace la pizza|non capisco|metti la musica""",
    "foreign": """und der nicht ist ein zu mit auf das fuer le les des est dans une pour que avec sur el los por una con para
del como pero il che non per sono gli della het een van niet voor och att det som ikke med til jeg nie jest sie na tak ja
dobry hola gracias ciao grazie danke bitte merci oui hallo tot ziens kiitos moi terve obrigado sim nao""",
}
HELD_OUT = {
    "thing": """the light bulb|macbeth|a giraffe|relativity|the printing press|a glacier|friendship|an atom|the pyramids|
a submarine|justice|the internet|a penguin|evolution|opera|a tornado""",
    "place": "italy|tokyo|moscow|canada|sweden|sydney|the beach|vienna|egypt|the museum",
    "person": "tom|my brother|julia|the plumber|grandpa|my teacher|david|lisa|uncle bob",
    "food": "spaghetti|a sandwich|tacos|an omelette|fried rice|muffins|a pie|dumplings|waffles",
    "money": "francs|dollars|euros|rupees",
    "language": "dutch|japanese|polish|greek",
    "number": "four|nine|eleven|thirty|sixty five|7|13|48|77|500",
    "verb": "ski|cook|fish|travel|whistle|sail|knit|read books|ride a bike|meditate",
    "device": "toaster|chandelier|dishwasher|curtain|humidifier|garage door|microwave|lantern",
    "room": "library|basement|pantry|lounge|nursery",
    "color": "brown|grey|beige|turquoise",
    "german_held_out": """bitte mach die lampe im schlafzimmer aus|wie spaet ist es|ich moechte musik hoeren|
das wetter ist heute schoen|wo sind meine schluessel|mach die rollos hoch""",
    "french_held_out": """baisse le volume s'il te plait|quel temps fait il|ouvre les volets du salon|je suis fatigue|
raconte moi une histoire""",
    "spanish_held_out": "sube las persianas|pon la calefaccion a veinte grados|estoy cansado|cuanto cuesta esto|abre la ventana",
    "italian_held_out": "accendi la luce in cucina|che ore sono|ho fame|spegni la televisione|buona notte a tutti",
    "foreign": "hoe gaat het met jou vandaag goed hej tack snakker du engelsk prosze dziekuje cosa stai facendo oggi",
}


def table(words):
    return {kind: [w.strip() for w in (text.replace("\n", "").split("|") if "|" in text else text.split())]
            for kind, text in words.items()}


WORDS, HELD_OUT = table(WORDS), table(HELD_OUT)
