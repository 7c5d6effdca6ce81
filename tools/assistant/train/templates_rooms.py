# SPDX-License-Identifier: Apache-2.0
"""What people say to lights, blinds and heating, for templates.py, which tells how a template is written."""

INTENTS = {
    "turn_on": """
light up {switch}{when}
[boot|wake] up {switch}{when}
{switch} [ought to|shall] be on{when}
i could use {switch} on{when}
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
{switch} [ought to|shall] be off{when}
[stop|quit|end] {switch}{when}
let's have {switch} off{when}
{switch} can be off{when}
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
{level} [ought to|shall] be at {percent}{when}
[push|pull|slide|shift] {level} to {percent}{when}
let's have {level} at {percent}{when}
i'd like {percent} on {level}{when}
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
[bring|turn|pull] {level} up some more
[bring|turn|raise] {level} up by {percent}
i need more [light|power] from {level}
let {level} be [brighter|stronger]
[boost|increase] {level} some
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
[bring|turn|pull] {level} down some more
[bring|turn] {level} down by {percent}
i need less [light|power] from {level}
let {level} be [dimmer|darker]
[reduce|decrease] {level} some
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
[show|light] {lamp} in {color}{when}
[switch|put|turn] {lamp} to {color} light{when}
get {lamp} on {color}
{lamp} on {color}{when}
turn {lamp} a {color} color
{lamp} [ought to|shall] be {color}
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
[slide|draw|push|crank] {cover} open{when}
{cover} [ought to|shall] be open{when}
get {cover} opened{when}
pull open {cover}{when}
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
[slide|draw|push|crank] {cover} shut{when}
{cover} [ought to|shall] be closed{when}
get {cover} shut up{when}
pull shut {cover}{when}
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
{degrees} would be [nice|good|fine]{in_room}{when}
we want {degrees}{in_room}{when}
let the {room} be {degrees}{when}
it ought to be {degrees}{in_room}{when}
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
it is not warm enough{in_room}
{degrees} [hotter|higher]{in_room}
make it {degrees} warmer{in_room}
[heat|warm] it up a [bit|little]{in_room}
bring the temperature up{in_room}
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
it is not cool enough{in_room}
{degrees} [colder|lower]{in_room}
make it {degrees} cooler{in_room}
cool it down a [bit|little]{in_room}
bring the temperature down{in_room}
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
i wonder how [warm|cold] it is{in_room}
give me the temperature{in_room}
how's the temperature{in_room}
see how [warm|cold] it is{in_room}
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
}
