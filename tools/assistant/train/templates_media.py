# SPDX-License-Identifier: Apache-2.0
"""What people say about music and its volume, for templates.py, which tells how a template is written."""

INTENTS = {
    "play": """
give me {music}{in_room}
bring me some {music}{in_room}
i'm in the mood for [hearing|] {music}{in_room}
i feel like [listening to|having] {music}{in_room}
how would {music} be{in_room}
i fancy [hearing|] {music}{in_room}
find some {music}{in_room}
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
the music can stop{in_room}
have the music [stop|pause]{in_room}
let's pause the song{in_room}
end playing{in_room}
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
get the music going again{in_room}
back to the music{in_room}
the song can go on{in_room}
carry on playing{in_room}
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
get me the next [song|track]
move on to the next [song|track]
jump forward a [song|track]
something else please
the one after this
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
get me the previous [song|track]
play the [song|track] before that
the one before this one
i want the last [song|track] back
jump one [song|track] back
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
{percent} on the volume{in_room}
{percent} loud{in_room}
we want the volume at {percent}{in_room}
the volume ought to be {percent}{in_room}
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
the music is not loud enough{in_room}
more [volume|sound]{in_room}
make the sound louder{in_room}
let it be louder{in_room}
give me more volume{in_room}
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
the music is not quiet enough{in_room}
less [volume|sound|noise]{in_room}
make the sound quieter{in_room}
let it be quieter{in_room}
give me less volume{in_room}
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
go silent{in_room}
i want silence{in_room}
cut the sound{in_room}
switch the sound off{in_room}
let there be silence{in_room}
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
[lift|undo|finish] the mute{in_room}
no more mute{in_room}
stop the silence{in_room}
switch the sound on again{in_room}
give me the sound back{in_room}
turn mute off{in_room}
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
}
