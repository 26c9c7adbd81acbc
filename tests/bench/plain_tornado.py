"""The server that hot.py compares with: Tornado's RequestHandler on uvloop, an empty 204 for every request."""

import asyncio
import sys

import tornado.web
import uvloop


class NoBid(tornado.web.RequestHandler):
    """The body is read, and nothing else is done."""

    def post(self, path: str) -> None:
        self.set_status(204)

    get = post


async def serve(port: int) -> None:
    """Until the process ends."""
    application = tornado.web.Application([("/(.*)", NoBid)], log_function=lambda handler: None)
    application.listen(port, "127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
