# SPDX-License-Identifier: Apache-2.0
"""What people say about lists, locks, the vacuum, scenes, and what they ask and take back, for templates.py, which tells how a template is written."""

INTENTS = {
    "add_to_list": """
{item} [belongs|must go|should go|can go] on [the|my] {list} list
jot down {item} on [the|my] {list} list
on [the|my] {list} list [put|write] {item}
include {item} in [the|my] {list} list
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
{item} can come off [the|my] {list} list
get rid of {item} on [the|my] {list} list
off [the|my] {list} list with {item}
lose {item} from [the|my] {list} list
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
see what's on [the|my] {list} list
i want to hear [the|my] {list} list
i wonder what's on [the|my] {list} list
any {item} on [the|my] {list} list
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
get everything off [the|my] {list} list
[the|my] {list} list can be cleared
i want [the|my] {list} list empty
make a new {list} list
wipe out [the|my] {list} list
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
{door} [ought to|shall] be locked{when}
have {door} bolted{when}
put the lock on {door}{when}
we want {door} locked{when}
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
{door} [ought to|shall] be unlocked{when}
have {door} unbolted{when}
undo the lock on {door}{when}
we want {door} unlocked{when}
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
i'd like to know [if|whether] {door} is locked
[find out|look] [if|whether] {door} is [locked|unlocked]
can you see whether {door} is locked
i'm not sure if {door} is locked
was {door} locked
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
make the robot clean the {room}{when}
the {room} [could use|wants] vacuuming{when}
set the [vacuum|robot] going{in_room}
we want the {room} vacuumed{when}
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
have the robot stop
the cleaning can stop
quit [vacuuming|cleaning]
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
take the [vacuum|robot] back home
the [vacuum|robot] can return to its [base|dock]
have the robot go home
get the [vacuum|robot] to its charger
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
i'd like to know [if|whether] {switch} is [on|off]
[find out|look] [if|whether] {switch} is on
can you see whether {switch} is on
i'm not sure if {cover} is [open|closed]
was {switch} on
has anyone left {switch} on
how's {switch}
look whether {cover} is open
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
i wonder what time it is
tell me how late it is
what's the clock saying
got the time
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
i wonder what day it is
what date do we have
tell me which day it is
got the date
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
[get|take|bring] us [in|into] {scene} mode{when}
let's have {scene} mode{when}
make this {scene} mode
make it the {scene} scene{when}
we want the {scene} scene{when}
do the {scene} mode
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
oh no don't do that
forget about what i said
wait no don't
{discarded} no wait forget it
{discarded} oh no not that
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
