# SPDX-License-Identifier: Apache-2.0
"""What people say about music, lists, locks, the vacuum, and what they ask, for templates.py, which tells how a template is written."""

INTENTS = {
    "play": """
get me some {music}{in_room}
i feel like {music}{in_room}
what about some {music}{in_room}
we want to hear {music}{in_room}
let us have some {music}{in_room}
play {music}{in_room}
play [some|me] {music}{in_room}
put on [some|] {music}{in_room}
i want to [hear|listen to] {music}{in_room}
[start playing|stream] {music}{in_room}
let's [hear|listen to] [some|] {music}{in_room}
let me hear {music}{in_room}
turn on some {music}{in_room}
i'd like to [hear|listen to] {music}{in_room}
can we have some {music}{in_room}
play {music} on the {room} [speaker|speakers]
* give me some {music}{in_room}
* i feel like hearing {music}{in_room}
* how about some {music}{in_room}
* we want to listen to {music}{in_room}
""",
    "pause": """
let the music pause{in_room}
make the song stop{in_room}
the song should stop{in_room}
pause [the music|the song|it|]{in_room}
[stop|halt|hold] the [music|song|playback]{in_room}
stop playing{in_room}
hold the music for a moment{in_room}
take a break from the music{in_room}
pause [playing|playback]{in_room}
* make the music stop{in_room}
* the music should pause{in_room}
* halt playing{in_room}
""",
    "resume": """
carry on{in_room}
let the music go on{in_room}
continue the song{in_room}
resume [the music|the song|playing|playback|]{in_room}
continue [the music|the song|playing|playback]{in_room}
go on [playing|with the music]{in_room}
keep [playing|the music going]{in_room}
start the music again{in_room}
play on{in_room}
unpause{in_room}
* carry on with the music{in_room}
* the music can go on{in_room}
* continue with the song{in_room}
""",
    "next_track": """
let's hear the next song
jump ahead
let me hear another [song|track]
the next song please
[next|skip] [song|track]
skip [this|this song|this track|the song|it]
[play|go to] the next [song|track|one]
next one
i don't like this [song|track]
another [song|track]
next
* jump to the next [song|track]
* let's hear another song
* can i have the next song
""",
    "previous_track": """
jump back a song
the song before please
let me hear the last song again
play the one before
[previous|last] [song|track]
[play|go to] the [previous|last] [song|track|one]
go back a [song|track]
play that [song|one] again
back to the [previous|last] [song|track]
go back one [song|track]
one song back
* jump to the previous [song|track]
* can i have the last song again
* play the song before this one
""",
    "set_volume": """
get the volume [up|down] to {percent}{in_room}
the volume [has to|must] be {percent}{in_room}
let the volume be {percent}{in_room}
{percent} of volume{in_room}
[set|turn|put] the volume to {percent}{in_room}
[turn|bring] the [volume|music|sound] [up|down] to {percent}{in_room}
volume {percent}{in_room}
volume [to|at] {percent}{in_room}
[raise|lower|change] the volume to {percent}{in_room}
set the {room} volume to {percent}
make the volume {percent}{in_room}
i want the volume at {percent}{in_room}
* have the volume at {percent}{in_room}
* the volume should be {percent}{in_room}
* get the volume to {percent}{in_room}
* {percent} volume{in_room}
""",
    "change_volume direction=up": """
i want the music louder{in_room}
the volume is too low{in_room}
bring up the volume{in_room}
the volume should be [louder|higher]{in_room}
bring the volume up{in_room}
[turn|put] [it|the music|the volume|the sound] up{in_room}
[turn|pump] up the [music|volume|sound]{in_room}
louder{in_room}
make [it|the music] louder{in_room}
[raise|increase] the volume{in_room}
[raise|increase] the volume by {percent}{in_room}
i can't hear [it|the music|anything]{in_room}
volume up{in_room}
a [bit|little] louder{in_room}
it's too quiet{in_room}
* the music should be louder{in_room}
* i want it louder{in_room}
* the music is too quiet{in_room}
* bring the volume up by {percent}{in_room}
""",
    "change_volume direction=down": """
i want the music quieter{in_room}
the volume is too high{in_room}
bring down the volume{in_room}
the volume should be lower{in_room}
bring the volume down{in_room}
[turn|put] [it|the music|the volume|the sound] down{in_room}
turn down the [music|volume|sound]{in_room}
quieter{in_room}
make [it|the music] quieter{in_room}
[lower|decrease] the volume{in_room}
[lower|decrease] the volume by {percent}{in_room}
it's too loud{in_room}
volume down{in_room}
a [bit|little] quieter{in_room}
not so loud{in_room}
* the music should be quieter{in_room}
* i want it quieter{in_room}
* the music is too loud{in_room}
* bring the volume down by {percent}{in_room}
""",
    "mute": """
make no noise{in_room}
put the sound on mute{in_room}
make the music silent{in_room}
kill the music sound{in_room}
mute [it|the sound|the music|the speaker|]{in_room}
[silence|be quiet|quiet]{in_room}
[sound|volume] off{in_room}
no sound{in_room}
turn off the [sound|volume]{in_room}
* make it silent{in_room}
* put it on mute{in_room}
* kill the sound{in_room}
""",
    "unmute": """
bring back the sound{in_room}
end the silence{in_room}
stop muting{in_room}
get the sound back{in_room}
unmute [it|the sound|the music|the speaker|]{in_room}
[sound|volume] [back|] on{in_room}
turn the [sound|volume] back on{in_room}
turn on the [sound|volume]{in_room}
let me hear it again{in_room}
end the mute{in_room}
* bring the sound back{in_room}
* stop the mute{in_room}
* get the sound on again{in_room}
""",
    "add_to_list": """
{item} should be on [the|my] {list} list
note {item} for [the|my] {list} list
get {item} onto [the|my] {list} list
to my {list} list [put|write] {item}
[add|put] {item} [to|on] [the|my] {list} list
[add|put] [some|] {item} [to|on] [the|my] {list} list
we need {item} on the {list} list
write {item} on [the|my] {list} list
{list} list [add|plus] {item}
[the|my] {list} list needs {item}
i need {item} on my {list} list
{item} [on|for] [the|my] {list} list
* {item} goes on [the|my] {list} list
* note {item} on [the|my] {list} list
* to [the|my] {list} list add {item}
* get {item} on [the|my] {list} list
""",
    "remove_from_list": """
get {item} out of [the|my] {list} list
strike {item} out of my {list} list
from my {list} list [take|drop] {item}
[remove|delete|take|strike] {item} from [the|my] {list} list
take {item} off [the|my] {list} list
cross {item} off [the|my] {list} list
i [bought|have|got] the {item} take it off the {list} list
{list} list [remove|delete] {item}
we don't need {item} on the {list} list any more
drop {item} from [the|my] {list} list
* get {item} off [the|my] {list} list
* from [the|my] {list} list remove {item}
* strike {item} off [the|my] {list} list
""",
    "query_list": """
let me [see|hear] what is on [the|my] {list} list
is there any {item} on [the|my] {list} list
have we got {item} on [the|my] {list} list
[what's|what is] on [the|my] {list} list
[read|show|tell] me [the|my] {list} list
read [out|] [the|my] {list} list
is {item} on [the|my] {list} list
do [we|i] have {item} on [the|my] {list} list
what do [we|i] have on the {list} list
what does the {list} list say
* let me hear [the|my] {list} list
* is there {item} on [the|my] {list} list
* what have we got on [the|my] {list} list
""",
    "clear_list": """
make [the|my] {list} list blank
erase [the|my] {list} list
begin again with [the|my] {list} list
[clear|empty|delete|wipe] [the|my] {list} list
[delete|remove|clear] everything [from|on] [the|my] {list} list
start a new {list} list
start over with [the|my] {list} list
throw away [the|my] {list} list
take everything off [the|my] {list} list
* make [the|my] {list} list empty
* erase everything on [the|my] {list} list
* begin a new {list} list
""",
    "lock": """
{door} [must|has to|needs to] be locked{when}
let {door} be locked{when}
lock {door}{when}
lock up {door}{when}
{door} locked
[make sure|see that] {door} is locked{when}
i want {door} locked{when}
[bolt|secure] {door}{when}
get {door} locked{when}
i'd like {door} locked{when}
{when_first} lock {door}
* {door} should be locked{when}
* have {door} locked{when}
* i need {door} locked{when}
* see to it that {door} is locked{when}
""",
    "unlock": """
{door} [must|has to|needs to] be unlocked{when}
let {door} be unlocked{when}
unlock {door}{when}
{door} unlocked
[make sure|see that] {door} is unlocked{when}
i want {door} unlocked{when}
[unbolt|release] {door}{when}
get {door} unlocked{when}
i'd like {door} unlocked{when}
take the lock off {door}{when}
{when_first} unlock {door}
* {door} should be unlocked{when}
* have {door} unlocked{when}
* i need {door} unlocked{when}
* see to it that {door} is unlocked{when}
""",
    "query_lock": """
see whether {door} is locked
i want to know if {door} is locked
has anyone locked {door}
do you know if {door} is locked
is {door} [locked|unlocked]
did [i|we] lock {door}
check [if|that|whether] {door} is locked
have [i|we] locked {door}
tell me [if|whether] {door} is locked
are you sure {door} is locked
is the lock on {door} closed
* i wonder if {door} is locked
* see if {door} is locked
* did anyone lock {door}
""",
    "start_vacuum": """
i want the {room} cleaned{when}
get the robot to clean the {room}{when}
the {room} [must|has to] be vacuumed{when}
have the {room} vacuumed{when}
[start|run] the [vacuum|robot|vacuum cleaner]{in_room}
vacuum the {room}{when}
[clean|hoover] the {room}{when}
[start|run] the [vacuum|robot|vacuum cleaner]{in_room}{when}
let the [vacuum|robot] [clean|do|run in] the {room}
send the [vacuum|robot] [to|into] the {room}
the {room} [is dirty|needs cleaning]
[start|begin] [vacuuming|cleaning]{in_room}
clean the floor{in_room}{when}
* have the robot clean the {room}{when}
* the {room} needs vacuuming
* get the [vacuum|robot] going{in_room}
* i want the {room} vacuumed{when}
""",
    "stop_vacuum": """
tell the vacuum to stop
no more cleaning
enough vacuuming
end the cleaning
[stop|pause|halt] the [vacuum|robot|vacuum cleaner]
stop [vacuuming|cleaning]
[turn|switch] off the [vacuum|vacuum cleaner]
the [vacuum|robot] should stop
make the [vacuum|robot] stop
[hold|interrupt] the cleaning
* halt the cleaning
* tell the robot to stop
* no more vacuuming
""",
    "dock_vacuum": """
bring the vacuum home
get the vacuum back to its base
the robot can go home
the vacuum can go to its charger
send the [vacuum|robot|vacuum cleaner] [home|back|to its dock]
[dock|charge] the [vacuum|robot|vacuum cleaner]
the [vacuum|robot] should go [home|back|to its dock]
return the [vacuum|robot] to [its|the] [dock|base|charger]
make the [vacuum|robot] go home
vacuum go home
* bring the [vacuum|robot] back to its dock
* get the robot home
* the [vacuum|robot] can go back to the charger
""",
    "query_state": """
see whether {switch} is on
i want to know if {switch} is [on|off]
have i left {switch} on
do you know if {cover} is open
see whether {cover} is [open|closed]
is {switch} on
is {switch} off
is {switch} [still|] [on|off|running]
did [i|we] leave {switch} on
did [i|we] [turn|switch] off {switch}
check [if|whether] {switch} is on
[what's|what is] the [state|status] of {switch}
tell me [if|whether] {switch} is [on|off|running]
is {cover} [open|closed|shut]
check [if|whether] {cover} is [open|closed]
did [i|we] [close|shut] {cover}
did [i|we] leave {cover} open
* i wonder if {switch} is on
* have we left {switch} on
* see if {cover} is [open|closed]
* how is {switch} doing
""",
    "query_time": """
can you tell me the time
what does the clock show
could i know the time
how late do we have it
what time is it
what's the time
[tell|give] me the time
how late is it
what is the time now
do you know what time it is
time please
the time
* do you have the time
* can i have the time
* what does the clock say
""",
    "query_date": """
do you know the date
what's the day today
which date is it
do you have today's date
what day is it
what's the date
what is today's date
[tell|give] me the date
what day of the week is it
which day is today
what's today
the date
* which date do we have
* can i have the date
* do you know what day it is
""",
    "run_scene": """
i want {scene} mode{when}
put the house in {scene} mode{when}
do {scene} mode
make it {scene} time
[start|run|activate|set] the {scene} scene{when}
[start|run|activate] {scene} [mode|scene]{when}
{scene} [mode|scene]{when}
[turn|switch] on {scene} mode{when}
[turn|switch|put] the house [to|into] {scene} mode{when}
[go|change|switch] to {scene} [mode|scene]
it's time for the {scene} scene
set the house to {scene}
* put us in {scene} mode
* i want the {scene} scene{when}
* make it {scene} mode{when}
* do the {scene} scene
""",
    "cancel": """
drop that
forget what i said
wait never mind
oh don't do it
scratch it
please forget it
cancel what you are doing
wait forget that
{discarded} no [undo|leave|drop] that
{discarded} wait don't
cancel [that|it|]
never mind
forget [it|that|about it]
stop that
no [cancel|forget] [that|it]
[undo|scratch] that
i changed my mind
don't do [that|it|anything]
leave it
no no
actually [no|don't|never mind|forget it]
oh never mind
{discarded} [no|oh|wait|actually] [cancel that|never mind|forget it|forget that]
* [no|] drop it
* oh forget about that
* wait don't do that
* please cancel what i said
* {discarded} no scratch that
""",
}
