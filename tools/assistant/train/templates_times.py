# SPDX-License-Identifier: Apache-2.0
"""What people say to timers and alarms, and of what to be reminded, for templates.py, which tells how a template is written."""

INTENTS = {
    "set_timer": """
start counting {duration}
i want {duration} on the timer
run a timer for {duration}
put {duration} on the {timer} timer
have a timer run for {duration}
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
end the {timer} timer please
no more {timer} timer
no more timer
kill the [timer|{timer} timer]
the timer can [go|end]
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
is the {timer} timer done yet
how's the {timer} timer [doing|going]
i wonder how long the {timer} timer has
see how long the timer has left
how much more time on the timer
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
i want to be up by {time} {day}
ring me awake at {time}
let me sleep until {time}
make it an alarm for {time} {day}
have me woken at {time} {day}
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
no more alarm {day}
kill the alarm
the {time} alarm can go
forget about the alarm {day}
lose the {time} alarm
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
i wonder when my alarm is
see when my alarm is
have i got an alarm {day}
how many alarms do i have
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
{task} at {time} please remind me
give me a note to {task} {day}
i have to remember to {task} at {time}
put a reminder to {task} {day}
make sure i {task} at {time}
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
}
