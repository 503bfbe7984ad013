"""A call as it is said to a worker, and what a worker says of it as what has come of it.

Knows calls and messages.
"""

from dataclasses import replace

from bulkup.cluster.messages import Message, read_error, read_event
from bulkup.cluster.waiting import Call
from bulkup.events import PhotoUploaded
from bulkup.memory import Fact
from bulkup.photos import Photo


def order(call: Call, *, where: str) -> Message:
    """Return what a worker is told to do; `where` is what it calls the file."""
    told: Message = {
        "call": call.number,
        "where": where,
        "size": call.photo.size,
        "mtime_ns": call.photo.mtime_ns,
        "changed": call.changed,
    }
    if (job := call.job) is not None and call.journey is not None:
        told["job"] = {
            "md5": job.md5,
            "folder": call.photo.path.absolute().parent.name,
            "album": job.album,
            "level": call.journey.level if job.level is None else job.level,
            "replaces": job.replaces,
            "format_of": job.format_of,
            "lost": "finishing" if call.finishing else "begun" if call.begun else None,
        }
    return told


async def remember(call: Call, message: Message) -> None:
    """Keep what a worker wants kept of a call."""
    if call.journey is None:
        return
    memory = call.journey.memory
    match message["kind"]:
        case "begin":
            await memory.begin(message["name"])
        case "end":
            await memory.end(message["name"])
        case "learn":
            await memory.learn(Fact(message["fact"]), message["value"])


def as_sent(photo: Photo, told: list[int] | None) -> Photo:
    """Return a photo as a worker has found it, if that was otherwise than here."""
    return photo if told is None else replace(photo, size=told[0], mtime_ns=told[1])


def end(call: Call, message: Message) -> None:
    """Give whoever waits for a call what has come of it."""
    if call.journey is not None:
        call.journey.doubtful.update(message["doubtful"])
    if message["kind"] == "failed":
        call.end(error=read_error(message["error"]))
    elif message["kind"] == "broken":
        call.end(error=RuntimeError(f"on a worker:\n{message['trace']}"))
    else:
        photo, md5 = as_sent(call.photo, message["photo"]), message["md5"]
        if call.job is None:
            call.end((photo, md5))
        else:
            event = read_event(message["event"], path=photo.path)
            if isinstance(event, PhotoUploaded):  # which it is
                event = replace(event, albums=call.job.all_albums)
            call.end((replace(call.job, photo=photo, md5=md5), event))
