#!/usr/bin/python3
"""Prints the records of Kafka that an nginx with the fanout module sends.

It speaks the dialect "bare", see docs/protocol.md:

    fanout_client.py --uri ws://127.0.0.1:8080/ws --topic prices
    fanout_client.py --topic prices --key EURUSD
    fanout_client.py --topic prices --prefix EUR

A line a record on stdout: key, tab, value.  Bytes that can't be printed are
written as \\xHH.  Without --topic the location must have a fanout_filter.
wss:// trusts the system's authorities, or those of SSL_CERT_FILE; a user and
password may stand in the URI (ws://user:password@host/ws).
"""

import argparse
import asyncio
import os
import signal
import socket
import ssl
import sys
import urllib.parse

import websockets
from websockets import exceptions


PROMPT = "what topic/key do you want?\n"

# exit codes; 2 is argparse's

OK = 0               # --count was reached, or Ctrl-C
UNREACHABLE = 1      # no connection, or no websocket
REFUSED = 3          # the same again is refused again
LATER = 4            # the same again may succeed later
LOST = 5             # the connection broke

STATUSES = {
    400: "the server takes this for a bad request",
    401: "the server wants a user and a password, or others",
    403: "the server forbids it",
    404: "there is nothing at this path",
    405: "there is no websocket at this path",
    426: "the server wants another version of the websocket protocol",
    429: "too many requests",
    502: "a proxy can't reach the server",
    503: "the server has no room, try later",
}

CLOSES = {
    1000: "the server ends the session",
    1001: "the server is going away, try again",
    1002: "the server complains about the protocol",
    1006: "the connection was lost",
    1008: "the server refuses",
    1009: "a message was too long",
    1011: "the server failed",
    1013: "the server asks to try later",
}


class Failure(Exception):
    """What to tell the user, and the exit code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 done or Ctrl-C, 1 no connection, 2 usage, "
               "3 refused,\n4 try later, 5 connection lost")

    parser.add_argument("--uri", default="ws://127.0.0.1:8080/ws",
                        help="default: %(default)s")
    parser.add_argument("--topic")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--key", help="only records with this key")
    which.add_argument("--prefix", help="only keys that begin with this")
    parser.add_argument("--count", type=int, metavar="N",
                        help="end after N records")
    parser.add_argument("--label", default="", metavar="TEXT",
                        help="begins every line")

    args = parser.parse_args()

    if args.topic is None and (args.key, args.prefix) != (None, None):
        parser.error("--key and --prefix need a --topic")

    return args


def reply_of(args):
    """The answer to the prompt, or None."""

    if args.topic is None:
        return None

    # what is no letter, digit or one of "_.-~" is percent-encoded

    quote = urllib.parse.quote
    topic = quote(args.topic, safe="")

    if args.key is not None:
        return topic + "/" + quote(os.fsencode(args.key), safe="")

    if args.prefix is not None:
        return topic + "/" + quote(os.fsencode(args.prefix), safe="") + "*"

    return topic


def printable(data):
    text = data.decode("utf-8", "backslashreplace")

    return "".join(c if c.isprintable()
                   else c.encode("unicode_escape").decode() for c in text)


def say(text):
    print("fanout_client: " + text, file=sys.stderr, flush=True)


def notice(text):
    """A Text message of the server; True if it is a gap."""

    words = text.split()

    if words[:1] != ["gap"]:
        return False

    if len(words) > 1:
        say("gap: %s records were missed" % words[1])
    else:
        say("gap: records were missed, nobody knows how many")

    return True


async def converse(ws, args):
    """Reads to the end of the connection; the server's last words."""

    reply = reply_of(args)
    key = None
    count = 0
    last = ""

    try:
        while args.count is None or count < args.count:
            message = await ws.recv()

            if isinstance(message, str):
                if message == PROMPT:
                    if reply is None:
                        raise Failure(REFUSED, "the server asks for a topic:"
                                               " --topic is needed")
                    await ws.send(reply)
                    reply = None

                elif not notice(message):
                    last = message.strip()

            elif args.topic is not None and reply is not None:
                raise Failure(REFUSED, "the server sends what it is "
                              "configured to: leave --topic out")

            elif key is None:
                key = message

            else:
                # in one write, whatever the buffering: others may print, too

                print(args.label + printable(key) + "\t"
                      + printable(message) + "\n", end="", flush=True)
                key = None
                count += 1

    except exceptions.ConnectionClosed as e:
        raise closed(e, last) from None


def closed(e, last):
    frame = getattr(e, "rcvd", None)
    code = frame.code if frame else 1006
    text = CLOSES.get(code, "the server closes the connection")

    if last:
        text = last
    elif frame and frame.reason and frame.reason not in text:
        text += ": " + frame.reason

    exits = {1001: LATER, 1013: LATER, 1000: LOST, 1006: LOST}

    return Failure(exits.get(code, REFUSED), "%s (%d)" % (text, code))


async def run(args):
    try:
        ws = await websockets.connect(args.uri, max_size=None,
                                      open_timeout=10, close_timeout=5)

    except exceptions.InvalidURI:
        raise Failure(UNREACHABLE, "not a websocket URI: " + args.uri) \
            from None

    except exceptions.InvalidHandshake as e:
        raise handshake(e) from None

    except asyncio.TimeoutError:
        raise Failure(UNREACHABLE, "no answer within 10 s") from None

    except ssl.SSLError as e:
        reason = getattr(e, "verify_message", None) or e.reason or str(e)
        raise Failure(UNREACHABLE, "TLS: " + reason) from None

    except socket.gaierror as e:
        raise Failure(UNREACHABLE, "%s: %s" % (
            urllib.parse.urlsplit(args.uri).hostname, e.strerror)) from None

    except OSError as e:
        raise Failure(UNREACHABLE, "can't connect: %s" % (
            os.strerror(e.errno) if e.errno else e)) from None

    try:
        await converse(ws, args)
    finally:
        await ws.close()


def handshake(e):
    response = getattr(e, "response", None)
    status = getattr(e, "status_code", None) \
        or getattr(response, "status_code", None)

    if status is None:
        return Failure(UNREACHABLE, "this is no websocket server: %s" % e)

    text = STATUSES.get(status, "this is no websocket")

    return Failure(LATER if status in (429, 503) else UNREACHABLE,
                   "%s (HTTP %d)" % (text, status))


async def main(args):
    task = asyncio.ensure_future(run(args))
    loop = asyncio.get_running_loop()

    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, task.cancel)

    try:
        await task
    except asyncio.CancelledError:
        return OK
    except Failure as e:
        say(str(e))
        return e.code
    except BrokenPipeError:

        # nobody reads stdout any more; python would complain at its exit

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return OK


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse_arguments())))
