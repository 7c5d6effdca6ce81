# SPDX-License-Identifier: Apache-2.0
"""What people say for each intent. One template a line: [a|b] is a choice, {slot} is filled by generate.py.
Lines that begin with * are held out: they make test commands and never training commands."""

INTENTS = {
    "turn_on": """
{switch} [must|has to|needs to] be on{when}
let {switch} run{when}
i want to have {switch} on{when}
[turn|switch|put] on {switch}{when}
[turn|switch|put] {switch} on{when}
{switch} on{when}
[power|fire] up {switch}{when}
[start|activate|enable] {switch}{when}
i [want|need] {switch} on{when}
i'd like {switch} [turned|switched] on{when}
[make sure|see that] {switch} is on{when}
get {switch} [going|running|on]{when}
{when_first} [turn|switch] on {switch}
{when_first} [turn|switch] {switch} on
have {switch} [turned|switched] on{when}
* [let me have|give me] {switch} on{when}
* i need you to get {switch} switched on{when}
* see to it that {switch} is turned on{when}
* {switch} should be on{when}
* bring {switch} on{when}
""",
    "turn_off": """
{switch} [must|has to|needs to] be off{when}
[we|i] don't need {switch}
nobody needs {switch} any more
[turn|switch|put] off {switch}{when}
[turn|switch|put] {switch} off{when}
{switch} off{when}
[power|shut] down {switch}{when}
[shut off|kill|deactivate|disable] {switch}{when}
i [want|need] {switch} off{when}
i don't need {switch} [any more|anymore]
i'd like {switch} [turned|switched] off{when}
[make sure|see that] {switch} is off{when}
cut the power to {switch}{when}
{when_first} [turn|switch] off {switch}
{when_first} [turn|switch] {switch} off
have {switch} [turned|switched] off{when}
* i need you to get {switch} switched off{when}
* see to it that {switch} is turned off{when}
* {switch} should be off{when}
* shut {switch} off{when}
* we don't need {switch} on any more
""",
    "set_level": """
{level} [should|must|has to] be at {percent}{when}
i need {level} at {percent}{when}
{percent} on {level}{when}
[drive|let] {level} [down|up] to {percent}{when}
[set|turn|put|bring] {level} to {percent}{when}
[turn|bring|take] {level} [down|up] to {percent}{when}
[turn|bring] [down|up] {level} to {percent}{when}
[dim|brighten|raise|lower] {level} to {percent}{when}
[adjust|change] {level} to {percent}{when}
{level} [at|to] {percent}{when}
i want {level} at {percent}{when}
make {level} {percent}{when}
set the [level|brightness] of {level} to {percent}{when}
{when_first} [set|dim|turn] {level} to {percent}
* [move|drop] {level} to {percent}{when}
* i'd like {level} set to {percent}{when}
* get {level} [down|up] to {percent}{when}
* {percent} for {level}{when}
* have {level} at {percent}{when}
""",
    "change_level direction=up": """
i'd like {level} brighter
{level} should be [brighter|stronger]
{level} up
raise {level} a [bit|little]
[brighten|raise] {level}
[turn|bring] {level} up
[turn|bring] up {level}
make {level} [brighter|stronger]
[turn|bring] {level} up by {percent}
[raise|brighten] {level} by {percent}
turn up {level} by {percent}
{level} [is|are] too [dim|dark|weak]
it's too dark [turn up|brighten] {level}
{level} a [bit|little] [brighter|stronger]
a [bit|little] more from {level}
increase {level} by {percent}
* {level} up a [bit|little]
* i want {level} brighter
* increase {level}
* bring {level} up a [bit|little] by {percent}
""",
    "change_level direction=down": """
i'd like {level} dimmer
{level} should be [dimmer|darker]
{level} down
lower {level} a [bit|little]
[dim|lower] {level}
[turn|bring] {level} down
[turn|bring] down {level}
make {level} [dimmer|darker|weaker]
[turn|bring] {level} down by {percent}
[lower|dim] {level} by {percent}
turn down {level} by {percent}
{level} [is|are] too [bright|strong]
it's too bright [turn down|dim] {level}
{level} a [bit|little] [dimmer|darker|weaker]
a [bit|little] less from {level}
decrease {level} by {percent}
* {level} down a [bit|little]
* i want {level} dimmer
* decrease {level}
* bring {level} down a [bit|little] by {percent}
""",
    "set_color": """
{lamp} should be {color}{when}
i need {lamp} in {color}
have {lamp} in {color}{when}
let me have {lamp} in {color}
[make|turn|paint] {lamp} {color}{when}
[set|change|switch] {lamp} to {color}{when}
[set|change] the color of {lamp} to {color}{when}
i want {lamp} [in|to be] {color}{when}
{lamp} to {color}
{color} [for|on] {lamp}
give {lamp} a {color} color
let {lamp} [be|shine|glow] {color}
* i'd like {lamp} to be {color}{when}
* have {lamp} shine in {color}
* put {lamp} on {color}
* turn {lamp} to a {color} color
""",
    "open": """
{cover} [must|has to|needs to] be open{when}
have {cover} opened{when}
[open|raise|pull up] {cover}{when}
open up {cover}{when}
{cover} open
[get|have] {cover} open{when}
i want {cover} open{when}
[make sure|see that] {cover} is open{when}
let some [air|light] in and open {cover}
{when_first} open {cover}
i'd like {cover} [open|opened]{when}
roll up {cover}{when}
* i need {cover} open{when}
* {cover} should be open{when}
* pull {cover} open{when}
* get {cover} opened up{when}
""",
    "close": """
{cover} [must|has to|needs to] be [closed|shut]{when}
have {cover} [closed|shut]{when}
[close|shut|pull down] {cover}{when}
close up {cover}{when}
{cover} [closed|shut]
[get|have] {cover} [closed|shut]{when}
i want {cover} [closed|shut]{when}
[make sure|see that] {cover} is [closed|shut]{when}
it's cold close {cover}
{when_first} [close|shut] {cover}
i'd like {cover} [closed|shut]{when}
roll down {cover}{when}
* i need {cover} closed{when}
* {cover} should be [closed|shut]{when}
* pull {cover} shut{when}
* get {cover} closed up{when}
""",
    "set_temperature": """
it [must|has to] be {degrees}{in_room}{when}
i need {degrees}{in_room}{when}
let it be {degrees}{in_room}
have it at {degrees}{in_room}{when}
set [the|] [temperature|heating|thermostat|heat|air conditioning]{in_room} to {degrees}{when}
[turn|put|bring] the [heating|heat|thermostat|temperature] [up|down|] to {degrees}{in_room}{when}
[heat|warm|cool] the {room} [up|down|] to {degrees}{when}
make it {degrees}{in_room}{when}
i want {degrees}{in_room}{when}
[heat|warm|cool] the {room} to {degrees}
[change|adjust] the [temperature|thermostat]{in_room} to {degrees}{when}
{room} [temperature|heating] to {degrees}{when}
set the {room} [temperature|heating|thermostat|] to {degrees}{when}
{when_first} set the [temperature|heating]{in_room} to {degrees}
{degrees}{in_room} please
bring the {room} [up|down|] to {degrees}{when}
* it should be {degrees}{in_room}{when}
* i'd like {degrees}{in_room}{when}
* get the {room} to {degrees}{when}
* have the [heating|temperature]{in_room} at {degrees}{when}
""",
    "change_temperature direction=up": """
it should be warmer{in_room}
i feel cold{in_room}
{degrees} more{in_room}
i'd like it warmer{in_room}
make it [warmer|hotter]{in_room}
[turn|bring|put] [up the heating|the heating up|the heat up|up the heat]{in_room}
[raise|increase] the [temperature|heating]{in_room}
[raise|increase] the [temperature|heating]{in_room} by {degrees}
[turn|bring] the [temperature|heating] up by {degrees}{in_room}
it's [too|so|] cold{in_room}
i'm [cold|freezing]{in_room}
warm [it|things] up{in_room}
a [bit|little] [warmer|more heat]{in_room}
* it could be warmer{in_room}
* heat things up{in_room}
* i want it warmer{in_room}
* {degrees} warmer{in_room}
""",
    "change_temperature direction=down": """
it should be cooler{in_room}
i feel hot{in_room}
{degrees} less{in_room}
i'd like it cooler{in_room}
make it [cooler|colder]{in_room}
[turn|bring|put] [down the heating|the heating down|the heat down|down the heat]{in_room}
[lower|decrease] the [temperature|heating]{in_room}
[lower|decrease] the [temperature|heating]{in_room} by {degrees}
[turn|bring] the [temperature|heating] down by {degrees}{in_room}
it's [too|so|] [hot|warm]{in_room}
i'm [hot|sweating]{in_room}
cool [it|things] down{in_room}
a [bit|little] [cooler|less heat]{in_room}
* it could be cooler{in_room}
* i want it cooler{in_room}
* i'm too hot{in_room}
* {degrees} cooler{in_room}
""",
    "query_temperature": """
do you know how [warm|cold] it is{in_room}
what's the heating at{in_room}
let me know the temperature{in_room}
[what's|what is|tell me] the temperature{in_room}
how [warm|cold|hot] is it{in_room}
what temperature [is it|do we have]{in_room}
is it [warm|cold|hot]{in_room}
what's the {room} temperature
how many degrees [is it|do we have]{in_room}
what does the thermostat say{in_room}
how [warm|cold] is the {room}
* tell me how [warm|cold] it is{in_room}
* how [warm|hot] do we have it{in_room}
* what's the thermostat at{in_room}
""",
    "set_timer": """
let the timer run for {duration}
can i get a {timer} timer of {duration}
make a {timer} timer of {duration}
i want a timer [of|for] {duration}
[set|start] a timer for {duration}
[set|start] a {duration} timer
timer for {duration}
{duration} timer
[set|start] a {timer} timer for {duration}
[set|start] a timer for {duration} for the {timer}
[set|start] a {duration} timer for the {timer}
count down {duration}
[wake|call|ping] me in {duration}
give me {duration} for the {timer}
i need a timer for {duration}
new timer {duration}
{timer} timer {duration}
* i'd like a timer for {duration}
* let a timer run for {duration}
* can i have a {timer} timer for {duration}
* make a timer of {duration} for the {timer}
""",
    "cancel_timer": """
i'm done with the {timer} timer
remove the timer
drop the {timer} timer
we don't need the [timer|{timer} timer] any more
[cancel|stop|delete|end] the timer
[cancel|stop|delete|end] the {timer} timer
turn off the {timer} timer
[turn|switch] off the timer
i don't need the {timer} timer any more
[cancel|stop] my timer
forget the {timer} timer
get rid of the {timer} timer
forget the timer
* i don't need the timer any more
* get rid of the timer
* remove the {timer} timer
* the {timer} timer can be stopped
""",
    "query_timer": """
when is the timer done
time left on the {timer} timer
how is the {timer} timer doing
how far is the timer
how [much|long] is left on the timer
how much time is left on the {timer} timer
how long [until|till] the {timer} timer [rings|ends|is done|goes off]
how long [until|till] the timer [rings|ends|is done|goes off]
[what's|what is] left on the {timer} timer
how much longer for the {timer} timer
when does the {timer} timer [end|ring|go off]
when does the timer [end|ring|go off]
check the {timer} timer
check the timer
* how far is the {timer} timer
* when is the {timer} timer done
* time left on the timer
""",
    "set_alarm": """
get me out of bed at {time} {day}
i'd like to be woken at {time}
let the alarm ring at {time}
get me out of bed at {time}
i want an alarm for {time} {day}
[set|make|create] an alarm for {time}
[set|make|create] an alarm for {time} {day}
[set|make|create] an alarm {day} at {time}
wake me [up|] at {time}
wake me [up|] at {time} {day}
wake me [up|] {day} at {time}
alarm [for|at] {time}
alarm {day} at {time}
i [need|have|want] to [get|wake|be] up at {time} {day}
i [need|have|want] to [get|wake|be] up at {time}
set my alarm [for|to] {time}
set my alarm [for|to] {time} {day}
new alarm [for|at] {time}
* get me up at {time}
* get me up at {time} {day}
* i'd like an alarm for {time} {day}
* have an alarm ring at {time}
""",
    "cancel_alarm": """
get rid of the {time} alarm
forget the alarm {day}
drop the alarm at {time}
we don't need the alarm at {time}
forget the alarm
[cancel|delete|remove] the {time} alarm
[cancel|delete|remove|turn off] the alarm
[cancel|delete|remove|turn off] my alarm {day}
[cancel|delete|remove|turn off] my alarm
[cancel|delete|turn off] the alarm at {time}
[cancel|delete|turn off] the alarm [for|at] {time} {day}
i don't need the alarm {day}
i don't need the {time} alarm
don't wake me {day}
no alarm {day}
* get rid of the alarm at {time}
* get rid of the alarm {day}
* i don't need the alarm at {time}
* forget the {time} alarm
""",
    "query_alarm": """
which alarms do i have
is any alarm set
tell me about my alarms
is an alarm on {day}
when is my [next|] alarm
what time is my [next|] alarm
what alarms [do i have|are set]
[show|tell|read] me my alarms
is there an alarm {day}
do i have an alarm {day}
when do [i have to|you] [get up|wake me] {day}
what time is my alarm {day}
* which alarms are set
* is an alarm set {day}
* tell me when my alarm is
""",
    "set_reminder": """
i must {task} at {time} remind me
i want to be reminded to {task} {day}
i need to {task} at {time} remind me
note that i have to {task} {day} at {time}
remind me to {task} at {time}
remind me to {task} {day}
remind me to {task} at {time} {day}
remind me to {task} {day} at {time}
remind me in {duration} to {task}
remind me at {time} to {task}
remind me {day} to {task}
remind me {day} at {time} to {task}
[set|make|create] a reminder to {task} at {time}
[set|make|create] a reminder {day} at {time} to {task}
don't let me forget to {task} at {time}
don't let me forget to {task} {day}
{day} at {time} remind me to {task}
in {duration} remind me to {task}
* i have to {task} at {time} remind me
* at {time} i must be reminded to {task}
* i need a reminder to {task} {day}
* give me a reminder to {task} at {time}
""",
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
