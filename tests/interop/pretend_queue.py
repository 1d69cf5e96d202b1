"""The queue of the pretend service: hands its messages out once, and those again that were given back."""
import base64
import json
import re
import time
from threading import Lock
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

FOREIGN = "9-X+y/z=="


class PretendQueue:
    def __init__(self, encoded):
        self.encoded = encoded
        self.waiting, self.taken, self.deleted, self.lock = {}, {}, set(), Lock()
        self.visible_from = 0

    def put(self, events):
        """Takes events in, and one of somebody else; a reader has time to learn from the submit answer which are its own."""
        handles = {f"{n}-A+b/c==": event for n, event in enumerate(events)}
        with self.lock:
            self.waiting = handles | {FOREIGN: {"EventType": "FileUploadComplete", "VideoId": "v1"}}
            self.visible_from = time.monotonic() + 0.5

    def action(self, request):
        parts = urlsplit(request.target)
        if not parts.path.endswith("/messages"):
            return "GetQueueAttributes"
        by_handle = "ReceiptHandle" in parts.query
        return {"GET": "BatchReceiveMessage", "PUT": "ChangeMessageVisibility",
                "DELETE": "DeleteMessage" if by_handle else "BatchDeleteMessage"}[request.method]

    def answer(self, action, request):
        """Status, content type and body."""
        # A handle is sent as it is; in a form's reading its plus signs were blanks.
        handle = re.search("ReceiptHandle=([^&]*)", request.target)
        if action == "BatchReceiveMessage":
            return self.receive(int(parse_qs(urlsplit(request.target).query)["waitseconds"][0]))
        if action == "ChangeMessageVisibility":
            self.give_back(handle[1])
            inside = f"<ReceiptHandle>{handle[1]}</ReceiptHandle><NextVisibleTime>{now()}</NextVisibleTime>"
            return xml(200, "ChangeVisibility", inside)
        if action == "DeleteMessage":
            self.deleted.add(handle[1])
            return 204, "text/xml", ""
        if action == "BatchDeleteMessage":
            self.deleted.update(re.findall("<ReceiptHandle>(.*?)</ReceiptHandle>", request.body.decode()))
            return 204, "text/xml", ""
        return xml(200, "Queue", "<QueueName>q</QueueName><VisibilityTimeout>30</VisibilityTimeout>")

    def receive(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.lock:
                if self.waiting and time.monotonic() >= self.visible_from:
                    self.taken |= self.waiting
                    messages, self.waiting = self.waiting, {}
                    return xml(200, "Messages", "".join(self.message(*one) for one in messages.items()))
            time.sleep(0.05)
        return error(404, "MessageNotExist")

    def give_back(self, handle):
        """A slow reader, which did not know yet that a message is its own, gets it again; the foreign one goes elsewhere."""
        with self.lock:
            if handle != FOREIGN:
                self.waiting[handle] = self.taken[handle]
                self.visible_from = time.monotonic() + 1

    def message(self, handle, event):
        body = json.dumps(event)
        body = base64.b64encode(body.encode()).decode() if self.encoded else body
        return (f"<Message><MessageId>M{handle[0]}</MessageId><ReceiptHandle>{handle}</ReceiptHandle>"
                f"<MessageBody>{escape(body)}</MessageBody><EnqueueTime>{now()}</EnqueueTime>"
                f"<NextVisibleTime>{now() + 30_000}</NextVisibleTime><DequeueCount>1</DequeueCount></Message>")


def now():
    return int(time.time() * 1000)


def xml(status, root, inside):
    return status, "text/xml", f'<{root} xmlns="http://mns.aliyuncs.com/doc/v1/">{inside}</{root}>'


def error(status, code):
    return xml(status, "Error", f"<Code>{code}</Code><Message>{code}</Message><RequestId>R1</RequestId><HostId>h</HostId>")
